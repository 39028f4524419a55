package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

const testPool = "pool-a"

// fixture is a management face on an in-process Redis and a live directory.
type fixture struct {
	t         *testing.T
	cfg       Config
	redis     *miniredis.Miniredis
	pool      *heldPool
	store     *tenancy.Store
	directory *tenancy.Directory
	handler   http.Handler
	issuers   fakeIssuers
	log       *syncBuffer // everything that was logged, as JSON
	made      int         // instances, for ids
	billed    *fakeMetered
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, redis: miniredis.RunT(t), log: &syncBuffer{}, pool: &heldPool{}}
	rdb := redis.NewClient(&redis.Options{Addr: f.redis.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { rdb.Close() })
	logger := slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.store = tenancy.NewStore(rdb)
	f.directory = tenancy.NewDirectory(tenancy.DirectoryConfig{Store: f.store, Gateway: "gw-1", Log: logger})
	f.cfg = Config{
		Store:       f.store,
		Directory:   f.directory,
		Pools:       map[string]Pool{testPool: f.pool},
		Issuers:     &f.issuers,
		Secrets:     auth.New(auth.Config{Directory: f.directory, Log: logger, Pepper: []byte("pepper")}),
		Gatherer:    prometheus.NewRegistry(),
		Log:         logger,
		TokenKey:    bytes.Repeat([]byte("k"), 32),
		Plans:       []string{"standard", "large"},
		DefaultPool: testPool,
		Endpoints:   func(id tenancy.InstanceID) []string { return []string{string(id) + ".kafka.example.com:9092"} },
		Username:    func(id tenancy.InstanceID, u string) string { return u + "@" + string(id) },
		Mechanisms:  []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"},
		CA:          []byte("-----BEGIN CERTIFICATE-----\n"),
		Ready:       func() error { return nil },
		Version:     "1.2.3",

		HostEndpoints: func(host string) []string { return []string{host + ":9092"} },
		OwnNames:      []string{"kafka.example.com", "gateway.example.net"},
	}
	sealer, err := tenancy.NewSealer(bytes.Repeat([]byte("s"), 32))
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.Sealer = sealer
	f.cfg.Billing = f.billing(rdb)
	return f
}

// start runs the directory and makes the handler.
func (f *fixture) start() *fixture {
	f.t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.directory.Run(f.t.Context()) })
	f.t.Cleanup(wg.Wait)
	<-f.directory.Ready()
	h, err := New(f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.handler = h
	return f
}

// token is for roles within tenant, valid for a minute of the server's clock.
func (f *fixture) token(tenant tenancy.TenantID, roles ...string) string {
	f.t.Helper()
	now := time.Now()
	if f.cfg.Now != nil {
		now = f.cfg.Now()
	}
	token, err := NewToken(f.cfg.TokenKey, Claims{Subject: "someone", Tenant: tenant, Roles: roles, Issued: now, Expires: now.Add(time.Minute)})
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends one request; body is JSON, or any value to be written as JSON, or nil.
// header are names and values.
func (f *fixture) do(token, method, path string, body any, header ...string) answer {
	f.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			f.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	req := httptest.NewRequestWithContext(f.t.Context(), method, path, r)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, req)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

// problem decodes the answer as one and checks its form.
func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("status %d, not a problem: %v: %s", a.status, err, a.body)
	}
	if got := a.header.Get("Content-Type"); got != api.ProblemContentType {
		t.Errorf("Content-Type is %q", got)
	}
	if p.Status != a.status || p.RequestID == "" || p.RequestID != a.header.Get("Request-Id") || p.Type != api.ProblemBase+p.Code || p.Detail == "" {
		t.Errorf("malformed problem: %s", a.body)
	}
	return p
}

// create makes an instance of a tenant as the operator.
func (f *fixture) create(tenant tenancy.TenantID, id string) api.CreatedInstance {
	f.t.Helper()
	a := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances",
		api.CreateInstance{ID: id, Tenant: string(tenant), AdminUser: &api.CreateUser{Name: "alice"}})
	if a.status != http.StatusCreated {
		f.t.Fatalf("creating %s: %d %s", id, a.status, a.body)
	}
	return decodeAs[api.CreatedInstance](f.t, a)
}

func decodeAs[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return v
}
