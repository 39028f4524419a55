package tenancy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// soon bounds every wait for something that happens within milliseconds.
const soon = 10 * time.Second

func newRedis(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.RunT(t)
	return m, newClient(t, m.Addr())
}

// newStore has more patience than a gateway, for machines on which much else runs.
func newStore(rdb redis.UniversalClient) *Store {
	s := NewStore(rdb)
	s.timeout = soon
	return s
}

// newClient makes a client as gateway does, but with less patience.
func newClient(t *testing.T, addr string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr:                  addr,
		ContextTimeoutEnabled: true,
		MaxRetries:            1,
		ReadTimeout:           soon,
		MinRetryBackoff:       time.Millisecond,
		MaxRetryBackoff:       2 * time.Millisecond,
		DialTimeout:           100 * time.Millisecond,
		DialerRetries:         1,
	})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// restart starts a closed miniredis again, with what it held.
func restart(t *testing.T, m *miniredis.Miniredis) {
	t.Helper()
	// Close ends its context for good; blocking commands would never be answered again.
	m.Ctx, m.CtxCancel = context.WithCancel(context.Background())
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
}

func someInstance(id InstanceID) Instance {
	return Instance{
		ID: id, Name: "n-" + string(id), Tenant: "t-acme", Plan: "standard", Pool: "eu1",
		State: StateActive, ClusterID: "AAAAAAAAAAAAAAAAAAAAAA", CreatedAt: time.Unix(1_700_000_000, 5).UTC(),
	}
}

func mustCreate(t *testing.T, s *Store, in Instance, users ...User) (Instance, Revision) {
	t.Helper()
	got, rev, err := s.CreateInstance(t.Context(), in, users...)
	if err != nil {
		t.Fatal(err)
	}
	return got, rev
}

func setState(state State) func(*Instance) error {
	return func(in *Instance) error { in.State = state; return nil }
}

func rename(name string) func(*Instance) error {
	return func(in *Instance) error { in.Name = name; return nil }
}

func mustUpdate(t *testing.T, s *Store, id InstanceID, change func(*Instance) error) (Instance, Revision) {
	t.Helper()
	got, rev, err := s.UpdateInstance(t.Context(), id, change)
	if err != nil {
		t.Fatal(err)
	}
	return got, rev
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
	}
}

// gateway is a directory that runs.
type gateway struct {
	*Directory
	t    *testing.T
	log  *logBuffer
	stop func()

	mu    sync.Mutex
	moved chan struct{} // closed and replaced with every event
	seen  []string      // "<id> <state> v<version> <users>"
}

type option func(*DirectoryConfig)

func sweepEvery(d time.Duration) option   { return func(c *DirectoryConfig) { c.Sweep = d } }
func recheckAfter(d time.Duration) option { return func(c *DirectoryConfig) { c.Recheck = d } }

// run starts a directory. By default neither sweeps nor rechecks help the stream.
func run(t *testing.T, s *Store, name string, opts ...option) *gateway {
	t.Helper()
	g := &gateway{t: t, log: &logBuffer{}, moved: make(chan struct{})}
	cfg := DirectoryConfig{Store: s, Gateway: name, Sweep: time.Hour, Recheck: time.Hour}
	cfg.Log = slog.New(slog.NewTextHandler(g.log, nil))
	for _, o := range opts {
		o(&cfg)
	}
	g.Directory = NewDirectory(cfg)
	g.Watch(g.record)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) record(v *View) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, fmt.Sprintf("%s %s v%d %d", v.Instance.ID, v.Instance.State, v.Instance.Version, len(v.Users)))
	close(g.moved)
	g.moved = make(chan struct{})
}

// waitReady waits for the first load.
func (g *gateway) waitReady() *gateway {
	g.t.Helper()
	select {
	case <-g.Ready():
	case <-time.After(soon):
		g.t.Fatalf("the directory is not ready after %s; log:\n%s", soon, g.log)
	}
	return g
}

// until waits until an event makes cond true.
func (g *gateway) until(what string, cond func() bool) {
	g.t.Helper()
	deadline := time.After(soon)
	for {
		g.mu.Lock()
		moved := g.moved
		g.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-moved:
		case <-deadline:
			g.t.Fatalf("still not so after %s: %s; seen %q; log:\n%s", soon, what, g.events(), g.log)
		}
	}
}

func (g *gateway) untilVersion(id InstanceID, version int64) {
	g.t.Helper()
	g.until(fmt.Sprintf("%s has version %d", id, version), func() bool {
		v, ok := g.View(id)
		return ok && v.Instance.Version == version
	})
}

func (g *gateway) events() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.seen...)
}

// logBuffer collects log lines, and lets a test wait for one.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	wake chan struct{}
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(s))
}

// waitFor waits until s was logged n times.
func (l *logBuffer) waitFor(t *testing.T, s string, n int) {
	t.Helper()
	deadline := time.After(soon)
	for {
		l.mu.Lock()
		if l.wake == nil {
			l.wake = make(chan struct{})
		}
		wake := l.wake
		enough := bytes.Count(l.text.Bytes(), []byte(s)) >= n
		l.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-wake:
		case <-deadline:
			t.Fatalf("not logged %d times after %s: %q; log:\n%s", n, soon, s, l)
		}
	}
}

// waitInForce waits for a revision on n gateways.
func waitInForce(t *testing.T, s *Store, rev Revision, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	ready, of, err := s.WaitApplied(ctx, rev)
	if ready != n || of != n || err != nil {
		t.Fatalf("revision %d is in force on %d of %d, %v; want %d of %d", rev, ready, of, err, n, n)
	}
}

// silently writes a change without announcing it, as a writer that dies does.
func silently(t *testing.T, s *Store, id InstanceID, change func(*Instance) error) {
	t.Helper()
	in, err := s.Instance(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := change(&in); err != nil {
		t.Fatal(err)
	}
	in.Version++
	if err := s.writeInstance(t.Context(), in, in.Version-1, 0); err != nil {
		t.Fatal(err)
	}
}

// dump remembers all of Redis, and returns what puts it back in place of what is there then.
func dump(t *testing.T, rdb *redis.Client) (restore func()) {
	t.Helper()
	ctx := t.Context()
	var cmds [][]any
	for _, key := range rdb.Keys(ctx, "*").Val() {
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "string":
			cmds = append(cmds, []any{"SET", key, rdb.Get(ctx, key).Val()})
		case "hash":
			for field, value := range rdb.HGetAll(ctx, key).Val() {
				cmds = append(cmds, []any{"HSET", key, field, value})
			}
		case "zset":
			for _, member := range rdb.ZRange(ctx, key, 0, -1).Val() {
				cmds = append(cmds, []any{"ZADD", key, 0, member})
			}
		case "stream":
			for _, m := range rdb.XRange(ctx, key, "-", "+").Val() {
				cmds = append(cmds, []any{"XADD", key, m.ID, "kind", m.Values["kind"], "id", m.Values["id"], "rev", m.Values["rev"]})
			}
		default:
			t.Fatalf("key %s is a %s", key, kind)
		}
	}
	return func() {
		t.Helper()
		_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.FlushAll(ctx)
			for _, cmd := range cmds {
				p.Do(ctx, cmd...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
