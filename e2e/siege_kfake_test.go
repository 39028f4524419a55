package e2e

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
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"weir/admin"
	"weir/auth"
	"weir/billing"
	"weir/internal/parts"
	"weir/metering"
	"weir/proxy"
	"weir/tenancy"
	"weir/upstream"
)

// inProcess is a gateway composed in this process before one kfake broker, so
// that its memory and goroutines can be measured.
type inProcess struct {
	siege
	srv   *proxy.Server
	store *tenancy.Store
	rest  *httptest.Server
	key   []byte // of admin tokens
}

// newInProcess starts one with both instances; change may alter the proxy's configuration.
func newInProcess(t *testing.T, change ...func(*proxy.Config)) *inProcess {
	t.Helper()
	var vnet kfake.VirtualNetwork
	kafka, err := kfake.NewCluster(kfake.Ports(29761), kfake.NumBrokers(1), kfake.ListenFn(vnet.Listen), kfake.ClusterID("pool-cluster-id"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	log := slog.New(slog.DiscardHandler)
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	store := tenancy.NewStore(rdb)
	dir := tenancy.NewDirectory(tenancy.DirectoryConfig{Store: store, Gateway: "g", Log: log})
	pool, err := upstream.NewPool(upstream.Config{Name: "main", Bootstrap: []string{"127.0.0.1:29761"}, Dial: vnet.DialContext, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cert, roots := selfSigned(t)
	cfg := proxy.Config{
		Directory: dir, Store: store, Auth: auth.New(auth.Config{Directory: dir, Log: log, Pepper: []byte("pepper")}),
		Pools: map[string]*upstream.Pool{"main": pool}, Log: log, MaxReauth: time.Hour,
		DrainGrace: time.Millisecond, DrainSpread: time.Millisecond,
	}
	ports := map[string]map[int32]proxy.HostPort{"main": {}}
	for i, addr := range []string{freeAddr(t), freeAddr(t)} {
		l := proxy.Listener{
			Address: addr, Node: int32(i) - 1, Ports: ports, SNI: &proxy.SNI{Domain: "kafka.localhost"},
			TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		}
		if i > 0 {
			l.Pool = "main"
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.ParseInt(port, 10, 32)
			ports["main"][0] = proxy.HostPort{Host: host, Port: int32(n)}
		}
		cfg.Listeners = append(cfg.Listeners, l)
	}
	for _, fn := range change {
		fn(&cfg)
	}
	srv, err := proxy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	now := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = dir.Run(ctx) })
	wg.Go(func() { _ = pool.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(ctx, now) })
	t.Cleanup(func() { close(now); cancel(); wg.Wait() })
	<-dir.Ready()
	<-pool.Ready()

	p := &inProcess{srv: srv, store: store, key: []byte(strings.Repeat("k", 32))}
	p.siege = siege{
		t: t, roots: roots, never: []string{"pool-cluster-id", "29761", "krack-"},
		addr:     func(node int32) string { return srv.Addrs()[node+1] },
		attacker: p.create("i-raider", "t-raider"), victim: p.create("i-victim", "t-victim"),
	}
	face, err := admin.New(admin.Config{
		Store: store, Directory: dir, Pools: map[string]admin.Pool{"main": pool}, Gatherer: prometheus.NewRegistry(), Log: log, TokenKey: p.key,
		Issuers: cfg.Auth, Secrets: cfg.Auth, Billing: nothingBilled(rdb), Plans: []string{"dev"}, DefaultPool: "main", Mechanisms: []string{"PLAIN"}, Ready: func() error { return nil },
		Endpoints: func(tenancy.InstanceID) []string { return []string{"127.0.0.1:1"} },
		Username:  func(id tenancy.InstanceID, user string) string { return user + "@" + string(id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.rest = httptest.NewServer(face)
	t.Cleanup(p.rest.Close)
	p.prepare(t)
	return p
}

// nothingBilled is the billing of a gateway whose plans have no prices.
func nothingBilled(rdb redis.UniversalClient) *admin.Billing {
	store := billing.NewStore(rdb, nil)
	biller := billing.NewBiller(billing.Config{Records: metering.NewRecordStore(metering.RecordStoreConfig{Redis: rdb, Store: metering.NewStore(metering.StoreConfig{Redis: rdb})}), Store: store})
	return &admin.Billing{Biller: biller, Store: store, Keeper: billing.NewKeeper(billing.KeeperConfig{Biller: biller, Instances: unrestrained{}})}
}

// unrestrained is no instances.
type unrestrained struct{}

func (unrestrained) Each(func(tenancy.Instance) bool) {}
func (unrestrained) Restrain(context.Context, tenancy.InstanceID, tenancy.Restraint) (tenancy.Revision, error) {
	return 0, tenancy.ErrNotFound
}

// create makes an instance with a user app, in force when it returns.
func (p *inProcess) create(id tenancy.InstanceID, tenant tenancy.TenantID) account {
	const password = "correct horse battery"
	creds, err := auth.NewCredentials([]byte("pepper"), rand.Reader, password)
	if err != nil {
		panic(err)
	}
	in := tenancy.Instance{
		ID: id, Name: string(id), Tenant: tenant, Plan: "dev", Pool: "main", State: tenancy.StateActive,
		ClusterID: (string(id) + strings.Repeat("x", 22))[:22], CreatedAt: time.Now(),
	}
	ctx := context.Background()
	_, rev, err := p.store.CreateInstance(ctx, in, tenancy.User{Name: "app", Credentials: creds, CreatedAt: time.Now()})
	if err != nil {
		panic(err)
	}
	if n, of, err := p.store.WaitApplied(ctx, rev); err != nil || n != of {
		panic(err)
	}
	return account{id: string(id), user: "app@" + string(id), password: password}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(t, 1))
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir siege"},
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
