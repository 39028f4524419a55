package upstream

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafka starts an embedded cluster that ends with the test.
func kafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// runPool starts a pool that ends with the test and waits until it is ready.
func runPool(t *testing.T, cfg Config) *Pool {
	t.Helper()
	p := startPool(t, cfg)
	await(t, p.Ready())
	return p
}

// startPool starts a pool that ends with the test.
func startPool(t *testing.T, cfg Config) *Pool {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "p1"
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened in 20s")
	}
}

// within20s is a context for what must not take long.
func within20s(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until a refresh of the pool makes cond true.
func eventually(t *testing.T, p *Pool, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20s: %s", what)
		}
		if err := p.awaitRefresh(t.Context(), deadline); err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// versionsOver asks an established connection what its broker speaks: proof that it works.
func versionsOver(t *testing.T, c net.Conn) *kmsg.ApiVersionsResponse {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	api, err := askVersions(&talker{conn: c})
	if err != nil {
		t.Fatalf("a dialed connection does not work: %v", err)
	}
	return api
}

func createTopic(t *testing.T, c *kfake.Cluster, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := c.CreateTopic(name, 3, nil); err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
}

func nopLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
