package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/auth"
	"weir/internal/parts"
	"weir/tenancy"
	"weir/upstream"
)

const password = "correct horse battery"

// rig is a gateway in front of three kfake brokers, with instances a and b and
// a user u in each.
type rig struct {
	t     *testing.T
	kafka *kfake.Cluster
	vnet  *kfake.VirtualNetwork // on which the brokers are
	store *tenancy.Store
	dir   *tenancy.Directory
	srv   *Server
	roots *x509.CertPool
	stop  context.CancelFunc // begins the drain
	log   *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	return newRigOn(t, nil, func(*upstream.Config) {}, change...)
}

// newRigOn is newRig with brokers of a certain kind, and a pool to them.
func newRigOn(t *testing.T, brokers []kfake.Opt, towards func(*upstream.Config), change ...func(*Config)) *rig {
	t.Helper()
	var vnet kfake.VirtualNetwork
	kafka, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.Ports(9001, 9002, 9003), kfake.NumBrokers(3), kfake.ListenFn(vnet.Listen), kfake.ClusterID("physical-cluster-id"),
	}, brokers...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	r := &rig{t: t, kafka: kafka, vnet: &vnet, log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	r.store = tenancy.NewStore(rdb)
	r.dir = tenancy.NewDirectory(tenancy.DirectoryConfig{Store: r.store, Gateway: "g", Log: log})
	pooled := upstream.Config{Name: "main", Bootstrap: []string{"127.0.0.1:9001"}, Dial: vnet.DialContext, Log: log}
	towards(&pooled)
	pool, err := upstream.NewPool(pooled)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	serve, stop := context.WithCancel(ctx)
	r.stop = stop
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })

	cert, roots := selfSigned(t)
	r.roots = roots
	cfg := Config{
		Directory: r.dir, Store: r.store, Auth: auth.New(auth.Config{Directory: r.dir, Log: log, Pepper: []byte("pepper")}),
		Pools: map[string]*upstream.Pool{"main": pool}, Log: log, AutoCreateTopics: true,
		DrainGrace: time.Millisecond, DrainSpread: time.Millisecond,
	}
	tlsConfig := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	ports := map[string]map[int32]HostPort{"main": {}}
	addr := []string{freePort(t), freePort(t), freePort(t), freePort(t)}
	for node, a := range addr[1:] {
		host, port, _ := net.SplitHostPort(a)
		n, _ := strconv.Atoi(port)
		ports["main"][int32(node)] = HostPort{Host: host, Port: int32(n)}
	}
	for i, a := range addr {
		l := Listener{Address: a, TLS: tlsConfig, SNI: &SNI{Domain: "kafka.localhost"}, Node: int32(i) - 1, Ports: ports}
		if i > 0 {
			l.Pool = "main"
		}
		cfg.Listeners = append(cfg.Listeners, l)
	}
	for _, fn := range change {
		fn(&cfg)
	}
	if r.srv, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	now := make(chan struct{})
	wg.Go(func() { _ = r.dir.Run(ctx) })
	wg.Go(func() { _ = pool.Run(ctx) })
	wg.Go(func() { _ = r.srv.Serve(serve, now) })
	t.Cleanup(sync.OnceFunc(func() { close(now) }))
	<-r.dir.Ready()
	<-pool.Ready()
	r.create("a", "u")
	r.create("b", "u")
	return r
}

func freePort(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(t, 1))
}

// create makes an instance with users, in force when it returns.
func (r *rig) create(id string, users ...string) {
	r.t.Helper()
	in := tenancy.Instance{
		ID: tenancy.InstanceID("i-" + id), Name: id, Tenant: "t-test", Plan: "dev", Pool: "main",
		State: tenancy.StateActive, ClusterID: strings.Repeat(id, 22)[:22], CreatedAt: time.Now(),
	}
	var us []tenancy.User
	for _, name := range users {
		creds, err := auth.NewCredentials([]byte("pepper"), rand.Reader, password)
		if err != nil {
			r.t.Fatal(err)
		}
		us = append(us, tenancy.User{Name: name, Credentials: creds, CreatedAt: time.Now()})
	}
	_, rev, err := r.store.CreateInstance(r.t.Context(), in, us...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

func (r *rig) inForce(rev tenancy.Revision) {
	r.t.Helper()
	if n, of, err := r.store.WaitApplied(r.t.Context(), rev); err != nil || n != of {
		r.t.Fatalf("in force on %d of %d: %v", n, of, err)
	}
}

func (r *rig) tls() *tls.Config { return &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12} }

// client connects to an instance as user u, by the port's address.
func (r *rig) client(id string, opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(r.srv.Addrs()[0]), kgo.DialTLSConfig(r.tls()),
		kgo.SASL(plain.Auth{User: "u@i-" + id, Pass: password}.AsMechanism()),
		kgo.AllowAutoTopicCreation(),
	}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

// direct connects to the pool itself, past the gateway.
func (r *rig) direct(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers("127.0.0.1:9001"), kgo.Dialer(r.vnet.DialContext)}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "*.kafka.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
