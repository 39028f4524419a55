package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/admin/clientfiles"
)

// running is a `weir dev` in this process.
type running struct {
	t    *testing.T
	dir  string
	out  *syncBuffer
	info devInfo
	stop context.CancelFunc
	done chan error
}

// startDev runs Dev on free ports and returns when it has said "ready".
func startDev(t *testing.T, o DevOptions) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, dir: o.DataDir, out: &syncBuffer{}, stop: stop, done: make(chan error, 1)}
	lines, w := io.Pipe()
	o.Listen, o.Admin = "127.0.0.1:0", "127.0.0.1:0"
	o.Out, o.Err = io.MultiWriter(r.out, w), r.out
	go func() { r.done <- errors.Join(Dev(ctx, o, nil), w.Close()) }()
	s := bufio.NewScanner(lines)
	for s.Scan() && s.Text() != "ready" {
	}
	go io.Copy(io.Discard, lines) // ends when Dev does
	data, err := os.ReadFile(filepath.Join(o.DataDir, "dev.json"))
	if err != nil {
		stop()
		t.Fatalf("not ready: %v; printed:\n%s", errors.Join(<-r.done, err), r.out)
	}
	if err := json.Unmarshal(data, &r.info); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// close stops it in order; more than once is fine.
func (r *running) close() {
	r.t.Helper()
	if r.done == nil {
		return
	}
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("weir dev: %v", err)
	}
	r.done = nil
}

// client connects with what client.env says, or as the options say.
func (r *running) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	c, err := clientfiles.Load(filepath.Join(r.dir, clientfiles.EnvFile))
	if err != nil {
		r.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Bootstrap...),
		kgo.DialTLSConfig(&tls.Config{RootCAs: roots}),
		kgo.SASL(plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism()),
		kgo.AllowAutoTopicCreation(),
	}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	return client
}

func (r *running) produce(topic string, n int) {
	r.t.Helper()
	c := r.client(kgo.DefaultProduceTopic(topic))
	defer c.Close()
	var records []*kgo.Record
	for i := range n {
		records = append(records, kgo.StringRecord(fmt.Sprint(i)))
	}
	if err := c.ProduceSync(r.t.Context(), records...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// consume reads n records from the beginning.
func (r *running) consume(topic string, n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	c := r.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	seen := make(map[string]bool)
	for len(seen) < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.t.Fatalf("after %d of %d records: %v", len(seen), n, err)
		}
		for _, rec := range fetches.Records() {
			if seen[string(rec.Value)] {
				r.t.Errorf("record %s came twice", rec.Value)
			}
			seen[string(rec.Value)] = true
		}
	}
}

// get asks the REST API with admin.token.
func (r *running) get(path string) string {
	r.t.Helper()
	token, err := os.ReadFile(r.info.Files.Token)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.info.Admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %s %v\n%s", path, resp.Status, err, body)
	}
	return string(body)
}

func (r *running) file(name string) string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// TestDevStory is ux.md 1.2 from the first start to --fresh.
func TestDevStory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder", ".weir")
	first := startDev(t, DevOptions{DataDir: dir})
	first.produce("hello", 100)
	first.consume("hello", 100)
	if got := first.get("/v1/instances"); !strings.Contains(got, `"id":"demo"`) {
		t.Errorf("instances: %s", got)
	}
	first.get("/readyz")
	if strings.Contains(first.get("/metrics"), "kafka-9092") {
		t.Error("a broker's own address is in the metrics")
	}
	checkFiles(t, dir)

	// A second one in the same folder is refused, and says who is there.
	err := Dev(t.Context(), DevOptions{DataDir: dir, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard}, nil)
	wantUserError(t, err, "dev-already-running", fmt.Sprint(os.Getpid()))

	// A second one elsewhere cannot have the port.
	other := filepath.Join(t.TempDir(), "other")
	err = Dev(t.Context(), DevOptions{DataDir: other, Listen: first.info.Bootstrap, Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard}, nil)
	wantUserError(t, err, "port-in-use", first.info.Bootstrap)

	password := first.file("client.env")
	password = password[strings.Index(password, "PASSWORD"):]
	ca := first.file("ca.pem")
	first.close()
	if out := first.out.String(); !strings.HasSuffix(out, "bye\n") || strings.Contains(out, secretOf(t, dir)) {
		t.Errorf("printed:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "dev.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dev.json outlives the process: %v", err)
	}

	second := startDev(t, DevOptions{DataDir: dir})
	second.consume("hello", 100)
	if got := second.file("client.env"); !strings.HasSuffix(got, password) || second.file("ca.pem") != ca {
		t.Errorf("password or CA changed:\n%s", got)
	}
	second.close()

	third := startDev(t, DevOptions{DataDir: dir, Fresh: true})
	if third.file("ca.pem") != ca {
		t.Error("--fresh replaced the CA: clients would stop trusting us")
	}
	third.produce("hello", 1)
	third.consume("hello", 1)
}

func secretOf(t *testing.T, dir string) string {
	t.Helper()
	s, err := (&site{abs: dir}).secrets()
	if err != nil {
		t.Fatal(err)
	}
	return s.Password
}

func wantUserError(t *testing.T, err error, code, mention string) {
	t.Helper()
	var ue *UserError
	if !errors.As(err, &ue) {
		t.Fatalf("error %v, want code %s", err, code)
	}
	if ue.Code != code || len(ue.Try) == 0 || !strings.Contains(ue.Message, mention) {
		t.Errorf("[%s] %s, try %q; want [%s] and %q in it", ue.Code, ue.Message, ue.Try, code, mention)
	}
}

// checkFiles: nobody else may read anything, and git takes nothing.
func checkFiles(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%s: %v %v", dir, info.Mode(), err)
	}
	for _, name := range []string{".gitignore", "ca.pem", "client.properties", "kcat.conf", "client.env", "admin.token", "dev.json", "data/redis.json", "data/secrets.json", "tls/ca.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDevOpensOnlyItsPorts: the embedded brokers and Redis, which ask nobody
// for a password, listen nowhere.
func TestDevOpensOnlyItsPorts(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Logf("nothing to see here without /proc: %v", err)
		return
	}
	before := ownPorts(t)
	r := startDev(t, DevOptions{DataDir: filepath.Join(t.TempDir(), ".weir")})
	want := 2 + embeddedBrokers // bootstrap, admin, brokers
	if got := ownPorts(t) - before; got != want {
		t.Errorf("%d ports were opened, want %d: %s", got, want, r.out)
	}
}

// ownPorts is how many sockets of this process listen.
func ownPorts(t *testing.T) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	sockets := make(map[string]bool)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) >= 10 && f[3] == "0A" {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	n := 0
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && sockets[target] {
			n++
		}
	}
	return n
}

func TestDevOutput(t *testing.T) {
	r := startDev(t, DevOptions{DataDir: filepath.Join(t.TempDir(), "q"), Quiet: true})
	r.close()
	if got := r.out.String(); got != "ready\n" {
		t.Errorf("--quiet printed %q", got)
	}
}

func TestDevUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nobody listens there now
	options := func() DevOptions {
		return DevOptions{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard}
	}
	o := options()
	o.Redis = "redis://user:hunter2@" + addr
	err = Dev(t.Context(), o, nil)
	wantUserError(t, err, "redis-unreachable", addr)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
	o = options()
	o.Kafka = []string{addr}
	wantUserError(t, Dev(t.Context(), o, nil), "kafka-unreachable", addr)
	o.Kafka = []string{"nowhere"}
	wantUserError(t, Dev(t.Context(), o, nil), "usage", "nowhere")
	o = options()
	o.Redis = "http://127.0.0.1"
	wantUserError(t, Dev(t.Context(), o, nil), "usage", "--redis")
}

// TestDevSharedRedis: two data folders on one Redis have each its own password
// of the one user demo; who starts last is right.
func TestDevSharedRedis(t *testing.T) {
	url := "redis://" + miniredis.RunT(t).Addr()
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	for _, dir := range []string{one, one, two, one} {
		r := startDev(t, DevOptions{DataDir: dir, Redis: url}) // ready: the password was good
		if r.info.Redis != "external" || strings.Contains(r.out.String(), "Redis in this") {
			t.Errorf("says that Redis is %s", r.info.Redis)
		}
		r.close()
	}
	if secretOf(t, one) == secretOf(t, two) {
		t.Error("two folders have one password")
	}
}

// TestDevStopsWhileStarting: ^C before "ready" is no error.
func TestDevStopsWhileStarting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Dev(ctx, DevOptions{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard}, nil); err != nil {
		t.Error(err)
	}
}
