//go:build real

package e2e

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// TestRedisAway kills Redis under load: whoever is known goes on, old and new
// connections alike; after its return no change has been missed.
func TestRedisAway(t *testing.T) {
	w := newWorld(t)
	g1, g2 := w.start("g1"), w.start("g2")
	in := w.create(g1, "i-steady")
	cl := w.client(in, kgo.DefaultProduceTopic("steady"))
	w.createTopic(cl, "steady", 3)

	var acked atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := cl.ProduceSync(context.Background(), kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Errorf("produce: %v", err)
			}
			acked.Add(1)
		}
	}()
	progress := func(what string) {
		t.Helper()
		from := acked.Load()
		parts.Await(t, what, 20*time.Second, func() bool { return acked.Load() > from+20 })
	}
	progress("records are acknowledged")
	w.redis.Kill()
	progress("records are acknowledged without Redis")
	fresh := w.client(in)
	if err := fresh.Ping(t.Context()); err != nil {
		t.Errorf("a new connection without Redis: %v", err)
	}
	w.redis.Start()
	progress("records are acknowledged with Redis back")

	// A change right after: in force on both gateways before the call returns.
	back := time.Now()
	var late instance
	parts.Await(t, "an instance can be created", 10*time.Second, func() bool {
		code := w.status(g1, http.MethodPost, "/v1/instances", `{"id":"i-late","tenant":"t-e2e","admin_user":{"name":"app","password":"late password 1"}}`)
		return code == http.StatusCreated || code == http.StatusConflict
	})
	late = instance{id: "i-late", user: "app@i-late", password: "late password 1"}
	for _, g := range []*gateway{g1, g2} {
		parts.Await(t, "the new instance is on "+g.admin, 10*time.Second, func() bool {
			return w.status(g, http.MethodGet, "/v1/instances/i-late", "") == http.StatusOK
		})
	}
	t.Logf("Redis back to an instance in force on both gateways: %s", time.Since(back).Round(time.Millisecond))
	lateClient := w.client(late)
	if err := lateClient.Ping(t.Context()); err != nil {
		t.Errorf("the new instance: %v", err)
	}

	stop()
	<-done
	begin := time.Now()
	w.call(g2, http.MethodDelete, "/v1/instances/i-late/users/app", "", http.StatusNoContent, nil)
	parts.Await(t, "who was deleted is thrown out", 5*time.Second, func() bool {
		probe, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return lateClient.Ping(probe) != nil
	})
	t.Logf("user deleted to its client refused: %s", time.Since(begin).Round(time.Millisecond))
}
