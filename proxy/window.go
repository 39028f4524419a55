package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/quota"
)

// windowSample is of how many answers one is timed while no window is in force.
const windowSample = 16

// windows bound what is on its way to each broker. When requests queue there, those of
// whoever sends most would fill the queue, and everybody's take as long; so they queue
// here, where instances go by turns. Of Produce requests that want an answer; a Fetch
// that waits for records would look like one that waits for the broker. Any goroutine.
type windows struct {
	mu  sync.Mutex
	all map[brokerID]*window
}

// brokerID is one broker of one pool.
type brokerID struct {
	pool string
	node int32
}

// window is the way to one broker.
type window struct {
	gate  *quota.Gate
	count atomic.Uint32 // of requests

	mu   sync.Mutex
	size windowSize
}

// flight is what a request takes of a window until it is answered.
type flight struct {
	window atomic.Pointer[window] // nil: nothing
	bytes  int64
	sent   time.Time // zero: nobody asks how long it takes
}

// of is the window of a broker.
func (w *windows) of(id brokerID) *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[brokerID]*window)
	}
	if w.all[id] == nil {
		w.all[id] = &window{gate: quota.NewGate(windowOff)}
	}
	return w.all[id]
}

// awaitBroker holds up a Produce until it is its turn at its broker, or for so long
// that it goes all the same. Reading goroutine.
func (c *conn) awaitBroker(p *pending, plan rewrite.Plan) {
	if kmsg.Key(p.key) != kmsg.Produce || plan.Silent || c.node == AnyNode {
		return
	}
	if id := (brokerID{c.pool.Name(), c.node}); c.mem.window == nil || c.mem.broker != id {
		c.mem.window, c.mem.broker = c.srv.windows.of(id), id
	}
	w, n := c.mem.window, int64(wire.Size(plan.Request))
	if !w.gate.TryAcquire(n) {
		_, weight := c.srv.memory.shareOf(c.mem.holding, quota.ProduceBytes)
		ctx, cancel := context.WithTimeout(c.ctx, memoryPatience)
		if w.gate.Acquire(ctx, c.mem.holding.id, weight, n) != nil {
			w.gate.Force(n)
		}
		cancel()
	}
	p.flight.begin(w, n)
}

// begin begins a flight for which n bytes of the window's gate were taken. While the
// broker is fast, one of windowSample is enough to know it.
func (f *flight) begin(w *window, n int64) {
	f.bytes, f.sent = n, time.Time{}
	if w.gate.Capacity() != windowOff || w.count.Add(1)%windowSample == 0 {
		f.sent = time.Now()
	}
	f.window.Store(w)
}

// landed ends a flight: its answer is there, or none will come. Once counts.
func (f *flight) landed(answered bool) {
	w := f.window.Swap(nil)
	if w == nil {
		return
	}
	if answered && !f.sent.IsZero() {
		w.answered(f)
	}
	w.gate.Release(f.bytes)
}

// answered adapts the window; of several answers at the same moment one is enough.
func (w *window) answered(f *flight) {
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	now, waiting := time.Now(), w.gate.Instances()
	if w.size.answered(now, now.Sub(f.sent), w.gate.InUse(), waiting > 0, int64(waiting)*f.bytes) {
		w.gate.SetCapacity(w.size.size)
	}
}
