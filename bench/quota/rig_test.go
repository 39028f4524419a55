//go:build bench

package quota_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/auth"
	"weir/bench/quota"
	"weir/internal/parts"
	"weir/tenancy"
)

// Secrets of the gateways.
const (
	pepper   = "pepper of the bench, all alike"
	tokenKey = "key of the bench, thirty-two bytes long"
)

// rig is everything but the clients.
type rig struct {
	t        testing.TB
	dir      string
	redis    *parts.Redis
	rdb      *redis.Client
	store    *tenancy.Store
	brokers  brokerPorts
	gateways []*gateway
	made     int
	more     string // sections of the configuration of gateways that start
}

// gateway is one `weir serve` process; each has ports of its own, so that clients
// choose it.
type gateway struct {
	*parts.Process
	kafka, admin string
	name         string
}

// newRig starts Redis, brokers and n gateways.
func newRig(t testing.TB, n int) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), redis: parts.StartUsualRedis(t)}
	opts, err := redis.ParseURL(r.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.ContextTimeoutEnabled = true
	r.rdb = redis.NewClient(opts)
	t.Cleanup(func() { _ = r.rdb.Close() })
	r.watchRedis()
	r.store = tenancy.NewStore(r.rdb)
	for name, text := range map[string]string{"pepper": pepper, "token.key": tokenKey} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := parts.FreePorts(t, 2)
	r.brokers = brokerPorts{Sink: first, Store: first + 1}
	r.role("brokers", r.brokers)
	for i := range n {
		r.gateways = append(r.gateways, r.start(fmt.Sprintf("g%d", i)))
	}
	return r
}

// start starts a gateway.
func (r *rig) start(name string) *gateway {
	r.t.Helper()
	port := parts.FreePorts(r.t, 4) // bootstrap, a broker of each pool, admin
	g := &gateway{name: name, kafka: fmt.Sprintf("127.0.0.1:%d", port), admin: fmt.Sprintf("127.0.0.1:%d", port+3)}
	config := fmt.Sprintf(`
redis: {url: "%s"}
pools:
  - {name: sink, bootstrap: ["127.0.0.1:%d"]}
  - {name: store, bootstrap: ["127.0.0.1:%d"]}
default_pool: sink
listeners:
  - address: %s
    advertise: %s
    plaintext: true
    brokers:
      - {pool: sink, host: 127.0.0.1, first_port: %d, nodes: [0]}
      - {pool: store, host: 127.0.0.1, first_port: %d, nodes: [0]}
admin: {address: "%s", token_key_file: token.key}
auth: {pepper_file: pepper}
drain: {grace: 1s, spread: 1s}
log: {level: info, format: text}
%s
`, r.redis.URL(), r.brokers.Sink, r.brokers.Store, g.kafka, g.kafka, port+1, port+2, g.admin, r.more)
	file, log := filepath.Join(r.dir, name+".yaml"), filepath.Join(r.dir, name+".log")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		r.t.Fatal(err)
	}
	g.Process = parts.Start(r.t, log, nil, program, "serve", "--config", file)
	r.t.Cleanup(func() {
		text, _ := os.ReadFile(log)
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "level=INFO") && r.t.Failed() {
				r.t.Logf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	})
	parts.Await(r.t, name+" is ready", 30*time.Second, func() bool {
		if g.Ended() {
			text, _ := os.ReadFile(log)
			r.t.Fatalf("%s ended:\n%s", name, text)
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

// tenant is an instance with a user.
type tenant struct {
	ID             tenancy.InstanceID
	User, Password string
}

// create makes an instance with a user, in force everywhere when it returns. Each
// has buckets of its own: what one scenario has spent is none of the next one's.
func (r *rig) create(pool string, limits tenancy.Limits) tenant {
	r.t.Helper()
	r.made++
	id := tenancy.InstanceID(fmt.Sprintf("i-bench%d", r.made))
	r.put(id, pool, limits, true)
	return tenant{ID: id, User: "app@" + string(id), Password: password}
}

const password = "correct horse battery staple"

// put writes an instance; await: until every gateway knows it.
func (r *rig) put(id tenancy.InstanceID, pool string, limits tenancy.Limits, await bool) {
	r.t.Helper()
	credentials, err := auth.NewCredentials([]byte(pepper), rand.Reader, password)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx := r.t.Context()
	_, rev, err := r.store.CreateInstance(ctx, tenancy.Instance{
		ID: id, Name: string(id), Tenant: "t-bench", Plan: "standard", Pool: pool, State: tenancy.StateActive,
		ClusterID: (string(id) + strings.Repeat("x", 22))[:22], CreatedAt: time.Now(),
	}, tenancy.User{Name: "app", Credentials: credentials, CreatedAt: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(limits) > 0 {
		if rev, err = r.store.ChangeLimits(ctx, id, limits, nil); err != nil {
			r.t.Fatal(err)
		}
	}
	if !await {
		return
	}
	parts.Await(r.t, "every gateway knows "+string(id), 30*time.Second, func() bool {
		n, of, err := r.store.WaitApplied(ctx, rev)
		return err == nil && n == of
	})
}

// addrs are where clients reach each gateway.
func (r *rig) addrs() (all []string) {
	for _, g := range r.gateways {
		all = append(all, g.kafka)
	}
	return all
}

// role starts this binary as something else, and waits until it says "ready".
func (r *rig) role(name string, arg any) *role {
	r.t.Helper()
	cmd := exec.Command(os.Args[0], argument(r.t, arg))
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &role{cmd: cmd}
	cmd.Stderr = &p.errors
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		r.t.Fatalf("%s says %q: %v\n%s", name, line, err, p.errors.String())
	}
	return p
}

// role is a process of this binary.
type role struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors bytes.Buffer
}

// say sends a line.
func (p *role) say(line string) { _, _ = io.WriteString(p.in, line+"\n") }

// limits of a scenario.
func limitsOf(q quota.Quota) tenancy.Limits {
	return tenancy.Limits{
		tenancy.LimitProduceBytes: {Value: q.Rate},
		tenancy.LimitFetchBytes:   {Value: q.Rate},
	}
}
