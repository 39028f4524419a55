package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"weir/quota"
	"weir/tenancy"
)

func TestStepOf(t *testing.T) {
	for _, tc := range []struct {
		uses []float64 // one after the other
		want []int32
	}{
		{[]float64{0, 0.74, 0.75, 0.84, 0.85, 0.91, 0.92, 0.96, 0.97, 2}, []int32{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}},
		{[]float64{1, 0.93, 0.92, 0.91, 0.88, 0.86, 0.81, 0.79, 0.71, 0.69}, []int32{4, 4, 4, 3, 3, 2, 2, 1, 1, 0}},
		{[]float64{1, 0, 0.98, 0.5}, []int32{4, 0, 4, 0}},
	} {
		step := int32(0)
		for i, use := range tc.uses {
			if step = stepOf(step, use); step != tc.want[i] {
				t.Errorf("%v: step %d at %v, want %d", tc.uses, step, use, tc.want[i])
			}
		}
	}
}

// newTestMemory has a budget and weights by instance; 1 where there is none.
func newTestMemory(budget int64, weights map[tenancy.InstanceID]float64) *memory {
	m := newMemory(budget, nil, slog.New(slog.DiscardHandler))
	m.weigh = func(id tenancy.InstanceID, _ quota.Dimension) float64 { return max(1, weights[id]) }
	return m
}

// memoryConn is a connection that only holds memory.
func memoryConn(t *testing.T, m *memory, id tenancy.InstanceID) *conn {
	c := &conn{srv: &Server{memory: m}}
	c.ctx = t.Context()
	m.join(c, id)
	return c
}

// TestMemoryIsExact: whatever is taken and given back, by whichever connection, the
// sums agree, and nothing is left when all have gone.
func TestMemoryIsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newTestMemory(1<<30, nil)
		var conns []*conn
		t := t
		check := func() {
			all, of := int64(0), map[tenancy.InstanceID]int64{}
			for _, c := range conns {
				all += c.mem.used.Load()
				of[c.mem.holding.id] += c.mem.used.Load()
			}
			for id, h := range m.holdings {
				if h.used.Load() != of[id] {
					rt.Fatalf("%s holds %d, its connections %d", id, h.used.Load(), of[id])
				}
			}
			if m.used() != all {
				rt.Fatalf("%d in use, connections hold %d", m.used(), all)
			}
		}
		ids := rapid.SampledFrom([]tenancy.InstanceID{"", "a", "b"})
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch i := rapid.IntRange(0, 4).Draw(rt, "step"); {
			case i == 0 || len(conns) == 0:
				conns = append(conns, memoryConn(t, m, ids.Draw(rt, "id")))
			case i == 1:
				m.force(conns[0], rapid.IntRange(0, 1<<20).Draw(rt, "n"))
			case i == 2:
				_ = m.take(conns[len(conns)-1], quota.FetchBytes, rapid.IntRange(0, 1<<20).Draw(rt, "n"))
			case i == 3:
				m.give(conns[0], rapid.IntRange(0, int(conns[0].mem.used.Load())).Draw(rt, "n"))
			default:
				m.join(conns[0], ids.Draw(rt, "id"))
				conns = append(conns[1:], conns[0])
			}
			check()
		}
		for _, c := range conns {
			m.give(c, int(c.mem.used.Load()))
			m.leave(c)
		}
		if m.used() != 0 || len(m.holdings) != 0 {
			rt.Fatalf("%d in use by %d instances after all have gone", m.used(), len(m.holdings))
		}
	})
}

// TestMemoryShares: what an instance may hold while memory is short.
func TestMemoryShares(t *testing.T) {
	m := newTestMemory(1000<<20, map[tenancy.InstanceID]float64{"a": 100, "b": 300, "idle": 1000})
	a, b := memoryConn(t, m, "a"), memoryConn(t, m, "b")
	idle := memoryConn(t, m, "idle")
	m.force(a, 900<<20)
	m.force(idle, smallGrowth)
	share := func(c *conn) int64 { s, _ := m.shareOf(c.mem.holding, quota.FetchBytes); return s >> 20 }
	m.weighed = time.Time{}
	if got := fmt.Sprint(share(a), share(b), share(idle)); got != "850 637 772" { // of those that hold something, and itself
		t.Errorf("shares %s", got)
	}
	m.force(b, 50<<20)
	m.weighed = time.Time{}
	if got := fmt.Sprint(share(a), share(b)); got != "212 637" {
		t.Errorf("shares %s", got)
	}
	if got := m.mostAbove(time.Now()); got != "a" {
		t.Errorf("%s is most above its share", got)
	}
}

// TestMemoryWaits: who holds more than its share waits, who holds less does not, and
// small growth never.
func TestMemoryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMemory(100<<20, nil)
		hog, modest := memoryConn(t, m, "hog"), memoryConn(t, m, "modest")
		m.force(hog, 84<<20)
		m.force(modest, 1<<20)
		if m.step.Load() != stepHold {
			t.Fatalf("step %d", m.step.Load())
		}
		var got error
		done := false
		go func() { got, done = m.take(hog, quota.FetchBytes, 4<<20), true }()
		synctest.Wait()
		if done || m.gate.Waiting() != 1 {
			t.Fatalf("done %v, %d wait", done, m.gate.Waiting())
		}
		if err := m.take(modest, quota.ProduceBytes, 5<<20); err != nil || m.used() != 90<<20 {
			t.Errorf("who is below its share: %v, %d", err, m.used())
		}
		if err := m.take(hog, quota.ProduceBytes, smallGrowth); err != nil { // of a heartbeat, say
			t.Errorf("small growth: %v", err)
		}
		m.give(hog, 8<<20)
		synctest.Wait()
		if done {
			t.Error("let in before it fits")
		}
		m.give(hog, 2<<20)
		synctest.Wait()
		if !done || got != nil {
			t.Errorf("not let in: %v, %v", done, got)
		}
		err := m.take(hog, quota.FetchBytes, 50<<20)
		var c *closing
		if !errors.As(err, &c) || c.reason != reasonOverloaded {
			t.Errorf("what never fits: %v", err)
		}
	})
}

func BenchmarkMemory(b *testing.B) {
	m := newTestMemory(1<<40, nil)
	c := &conn{srv: &Server{memory: m}, ctx: b.Context()}
	m.join(c, "a")
	b.ReportAllocs()
	for b.Loop() {
		_ = m.take(c, quota.FetchBytes, 1<<20)
		m.give(c, 1<<20)
	}
}

// TestClosesLargest: at step 4 the largest connection of the instance that is most
// above its share is closed, then nobody before its memory is back.
func TestClosesLargest(t *testing.T) {
	m := newTestMemory(100<<20, map[tenancy.InstanceID]float64{"large": 1000, "above": 10})
	var all registry
	all.init()
	open := func(id tenancy.InstanceID, n int) *conn {
		c := memoryConn(t, m, id)
		c.ctx, c.cancel = context.WithCancel(t.Context())
		c.changed = sync.NewCond(&c.mu)
		_, theirs := net.Pipe()
		c.raw = &transport{Conn: theirs}
		c.principal.Instance = id
		all.own(c)
		m.force(c, n<<20)
		return c
	}
	large, small, victim, next := open("large", 50), open("above", 5), open("above", 40), open("above", 6)
	r := relief{memory: m, conns: &all, moved: time.Now()}
	closed := func(want ...*conn) {
		t.Helper()
		for _, c := range []*conn{large, small, victim, next} {
			if c.closing() != slices.Contains(want, c) {
				t.Errorf("a connection that holds %d MiB: closed %v", c.mem.used.Load()>>20, c.closing())
			}
		}
	}
	if m.step.Load() != stepClose {
		t.Fatalf("step %d", m.step.Load())
	}
	now := time.Now()
	r.relieve(now)
	closed(victim)
	r.relieve(now.Add(relieveEvery))
	closed(victim)
	m.give(victim, 40<<20)
	m.force(large, 36<<20)
	r.relieve(now.Add(2 * relieveEvery))
	closed(victim, next)
	m.give(next, 6<<20)
	r.relieve(now.Add(3 * relieveEvery)) // below the step again
	closed(victim, next)
}

// TestOverloadRefuses: at step 3 nobody new comes in, and the operator is told why;
// who is there is served.
func TestOverloadRefuses(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Memory = 100 << 20 })
	there := r.dial(0, "")
	if err := login(there, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	m := r.srv.memory
	hog := memoryConn(t, m, "hog")
	m.force(hog, 94<<20)
	cfg := r.tls()
	cfg.ServerName = "i-a.kafka.localhost"
	if c, err := tls.Dial("tcp", r.srv.Addrs()[0], cfg); err == nil {
		c.Close()
		t.Error("let in while memory is short")
	}
	r.logs(reasonOverloaded)
	if _, err := send(there, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Errorf("a small request: %v", err)
	}
	m.give(hog, 94<<20)
	if err := login(r.dial(0, ""), "u@i-a"); err != nil {
		t.Errorf("not let in again: %v", err)
	}
	m.leave(hog)
}

// TestOverloadHoldsProduce: a Produce of an instance that holds its share is read
// once there is room.
func TestOverloadHoldsProduce(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Memory = 100 << 20 })
	cl := r.client("a")
	record := &kgo.Record{Topic: "t", Value: make([]byte, 1<<19)}
	if err := cl.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	m := r.srv.memory
	other := memoryConn(t, m, "i-a") // another connection of the same instance
	m.force(other, 90<<20)
	done := make(chan error, 1)
	go func() { done <- cl.ProduceSync(t.Context(), record).FirstErr() }()
	for m.gate.Waiting() == 0 {
		<-time.After(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Errorf("not held: %v", err)
	default:
	}
	m.give(other, 90<<20)
	if err := <-done; err != nil {
		t.Error(err)
	}
	m.leave(other)
	cl.Close()
	r.settled()
}
