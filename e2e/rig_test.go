//go:build real

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/admin"
	"weir/internal/parts"
)

// binary is weir, built once for all stories by TestMain.
var binary string

func TestMain(m *testing.M) {
	if beAttack() {
		return
	}
	dir, err := os.MkdirTemp("", "weir-e2e")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "weir")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags()...), "-o", binary, "weir/cmd/weir")...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// world is real Kafka, real Redis, and what gateways share.
type world struct {
	t     *testing.T
	dir   string
	kafka *parts.Kafka
	redis *parts.Redis // nil in a world whose Redis are many
	// redisURL is where gateways find Redis.
	redisURL string
	port     int // bootstrap; brokers on the ports after it
	roots    *x509.CertPool
	token    string
	// plaintext listeners instead of TLS, for clients that cannot do both at once.
	plaintext bool
	// What else the configuration has.
	sniPort  int    // that clients are told; 0: port
	listener string // lines of the listener
	pool     string // keys of the pool, each after a comma
	auth     string // keys of auth, each after a comma
	more     string // sections
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, 3)
}

// newWorldOf is a world with so many brokers.
func newWorldOf(t *testing.T, brokers int) *world {
	t.Helper()
	if mode := identityMode(); mode != "" {
		return newWalledWorld(t, mode, brokers)
	}
	return newWorldOn(t, parts.StartKafka(t, brokers))
}

// newWorldOn is a world with a pool of the caller's.
func newWorldOn(t *testing.T, kafka *parts.Kafka) *world {
	t.Helper()
	redis := parts.StartRedis(t)
	w := newWorldWith(t, kafka, redis.URL())
	w.redis = redis
	return w
}

// newWorldWith is a world whose Redis is the caller's, too.
func newWorldWith(t *testing.T, kafka *parts.Kafka, redisURL string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), kafka: kafka, redisURL: redisURL, port: parts.FreePorts(t, 1+len(kafka.Bootstrap()))}
	w.makeCertificate()
	key := bytes.Repeat([]byte("k"), 32)
	w.write("token.key", key)
	w.write("pepper", bytes.Repeat([]byte("p"), 32))
	token, err := admin.NewToken(key, admin.Claims{
		Subject: "e2e", Roles: []string{"operator"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.token = token
	return w
}

func (w *world) write(name string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) makeCertificate() {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost", "*.kafka.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.write("ca.pem", ca)
	w.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey}))
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(ca)
}

// gateway is one `weir serve` process.
type gateway struct {
	*parts.Process
	admin string
	log   string
}

// start starts a gateway; all of a world share the Kafka ports (SO_REUSEPORT),
// and everything that is in Redis.
func (w *world) start(name string) *gateway {
	w.t.Helper()
	g := &gateway{admin: fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(w.t, 1)), log: filepath.Join(w.dir, name+".log")}
	security := "tls: {certificate_file: ca.pem, key_file: key.pem}\n    sni: {domain: kafka.localhost, port: " + strconv.Itoa(w.sniPort) + "}"
	if w.plaintext {
		security = "plaintext: true"
	}
	config := fmt.Sprintf(`
redis: {url: "%s"}
pools:
  - {name: main, bootstrap: ["%s"]%s}
listeners:
  - address: 127.0.0.1:%d
    advertise: 127.0.0.1:%d
    reuse_port: true
    %s
    %s
    brokers: [{pool: main, host: 127.0.0.1, first_port: %d, nodes: [%s]}]
admin: {address: "%s", token_key_file: token.key, client_ca_file: ca.pem}
auth: {pepper_file: pepper%s}
drain: {grace: 1s, spread: 2s}
log: {level: info, format: text}
%s
`, w.redisURL, strings.Join(w.kafka.Bootstrap(), `", "`), w.pool, w.port, w.port, security, w.listener, w.port+1, w.nodes(), g.admin, w.auth, w.more)
	w.write(name+".yaml", []byte(config))
	g.Process = parts.Start(w.t, g.log, nil, binary, "serve", "--config", filepath.Join(w.dir, name+".yaml"))
	w.t.Cleanup(func() {
		if w.t.Failed() {
			text, _ := os.ReadFile(g.log)
			w.t.Logf("log of gateway %s:\n%s", name, tail(text, 4000))
		}
	})
	parts.Await(w.t, name+" is ready ("+g.log+")", 30*time.Second, func() bool {
		if g.Ended() {
			text, _ := os.ReadFile(g.log)
			w.t.Fatalf("gateway %s ended:\n%s", name, text)
		}
		resp, err := http.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return g
}

// nodes lists the pool's node ids.
func (w *world) nodes() string {
	var all []string
	for i := range w.kafka.Bootstrap() {
		all = append(all, strconv.Itoa(i+1))
	}
	return strings.Join(all, ", ")
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// call does one REST call and decodes the answer.
func (w *world) call(g *gateway, method, path, body string, want int, into any) {
	w.t.Helper()
	status, text, err := w.rest(g, method, path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if status != want {
		w.t.Fatalf("%s %s: status %d\n%s", method, path, status, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			w.t.Fatalf("%s %s: %v\n%s", method, path, err, text)
		}
	}
}

// rest does one REST call; err is that there was no answer.
func (w *world) rest(g *gateway, method, path, body string) (status int, text []byte, err error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+g.admin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, text, nil
}

// instance is what a tenant is given.
type instance struct {
	id, user, password string
}

// create makes an instance with one user; the id is chosen so that stories can
// look for it.
func (w *world) create(g *gateway, id string) instance {
	w.t.Helper()
	var made struct {
		Credentials struct{ Username, Password string }
	}
	w.call(g, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"id":%q,"name":%q,"tenant":"t-e2e","admin_user":{"name":"app"}}`, id, id),
		http.StatusCreated, &made)
	// The stories use the listener without SNI: the user name says the instance.
	user, _, _ := strings.Cut(made.Credentials.Username, "@")
	return instance{id: id, user: user + "@" + id, password: made.Credentials.Password}
}

// bootstrap is where clients begin.
func (w *world) bootstrap() string { return fmt.Sprintf("127.0.0.1:%d", w.port) }

// client is a franz-go client of an instance.
func (w *world) client(in instance, opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(w.options(in, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// options is how franz-go connects to an instance, and what else is asked for.
func (w *world) options(in instance, more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(w.bootstrap()),
		kgo.DialTLSConfig(&tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: in.user, Pass: in.password}.AsSha512Mechanism()),
	}, more...)
}

// properties writes a Java client's configuration.
func (w *world) properties(in instance) string {
	w.t.Helper()
	name := filepath.Join(w.dir, in.id+".properties")
	text := fmt.Sprintf(`bootstrap.servers=%s
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, w.bootstrap(), in.user, in.password, filepath.Join(w.dir, "ca.pem"))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// tool runs one of Kafka's command-line tools as a tenant.
func (w *world) tool(in instance, class string, args ...string) string {
	w.t.Helper()
	out, err := parts.Tool(w.t, class, append([]string{"--bootstrap-server", w.bootstrap(), "--command-config", w.properties(in)}, args...)...)
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", class, args, err, out)
	}
	return out
}

// createTopic makes a topic as a tenant does.
func (w *world) createTopic(cl *kgo.Client, topic string, partitions int32) {
	w.t.Helper()
	resp, err := kadm.NewClient(cl).CreateTopic(w.t.Context(), partitions, -1, nil, topic)
	if err != nil || resp.Err != nil {
		w.t.Fatalf("create topic %s: %v %v", topic, err, resp.Err)
	}
}

// status does one REST call and returns its status, 0 if there was no answer.
func (w *world) status(g *gateway, method, path, body string) int {
	w.t.Helper()
	status, _, _ := w.rest(g, method, path, body)
	return status
}

// put replaces a whole set: it says which one it has seen.
func (w *world) put(g *gateway, path, body string) (status int, text []byte, err error) {
	w.t.Helper()
	send := func(method, body, etag string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+g.admin+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+w.token)
		req.Header.Set("Content-Type", "application/json")
		if etag != "" {
			req.Header.Set("If-Match", etag)
		}
		return http.DefaultClient.Do(req)
	}
	seen, err := send(http.MethodGet, "", "")
	if err != nil {
		return 0, nil, err
	}
	_ = seen.Body.Close()
	resp, err := send(http.MethodPut, body, seen.Header.Get("ETag"))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, text, nil
}
