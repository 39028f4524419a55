package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"weir/quota"
	"weir/tenancy"
)

const (
	// smallGrowth is what a buffer may always grow by, in bytes: what keeps a group,
	// a transaction or a login alive is smaller and must pass however short memory is.
	// Not that of a Fetch's answer: of many connections it adds up.
	smallGrowth = 32 << 10
	// memoryPatience is how long a frame waits for memory at the most. Its client has
	// given up by then (request.timeout.ms is 30 s), and is not seen to go meanwhile.
	memoryPatience = 25 * time.Second
	// sharesEvery is how old shares may be that are decided by.
	sharesEvery = 100 * time.Millisecond
)

// memory is what frames may take in this process, of all instances together:
// requests while they arrive and until the broker has them, answers while they
// arrive and until the client has them, and what they are merged with. It is charged
// before it is allocated, by the buffers' capacity, never by announced size
// (operations.md A.2 rule 5). Any goroutine.
type memory struct {
	budget int64       // bytes
	gate   *quota.Gate // to what may be used before somebody waits
	weigh  func(tenancy.InstanceID, quota.Dimension) float64
	log    *slog.Logger

	// The step of overload (overload.go), and the use at which it changes: from up
	// on, and below down.
	step     atomic.Int32
	up, down atomic.Int64
	stepping sync.Mutex
	busy     chan struct{} // something is to be done (relieve)

	mu       sync.Mutex
	holdings map[tenancy.InstanceID]*holding
	weights  float64   // of those that hold something, together
	weighed  time.Time // when that was looked up
}

// holding is what one instance holds of the memory; that of "" is of connections
// that have not proved anything.
type holding struct {
	id    tenancy.InstanceID
	used  atomic.Int64 // bytes
	conns int          // guarded by memory.mu, as the weights
	in    float64      // weight of what comes from clients
	out   float64      // and of what goes to them
}

// connMemory is one connection's part of a holding.
type connMemory struct {
	holding *holding // the reading goroutine's to change, before there are others
	used    atomic.Int64
	prepaid int // of used, for the request that is arriving; reading goroutine only

	window *window // to the broker that links go to, reading goroutine only; nil: not looked up
	broker brokerID
}

// newMemory returns a budget of bytes; 0: none, and nobody ever waits.
func newMemory(budget int64, q *quota.Limiter, log *slog.Logger) *memory {
	if budget <= 0 {
		budget = math.MaxInt64 / 4
	}
	m := &memory{
		budget: budget, gate: quota.NewGate(int64(stepsUp[stepHold-1] * float64(budget))), log: log,
		weigh:    func(tenancy.InstanceID, quota.Dimension) float64 { return 1 },
		holdings: make(map[tenancy.InstanceID]*holding), busy: make(chan struct{}, 1),
	}
	if q != nil {
		m.weigh = q.Weight
	}
	m.setStep(0)
	return m
}

// used is what is charged now, in bytes.
func (m *memory) used() int64 { return m.gate.InUse() }

// join makes what a connection holds, now and from now on, the instance's.
func (m *memory) join(c *conn, id tenancy.InstanceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaveLocked(c)
	h := m.holdings[id]
	if h == nil {
		h = &holding{id: id, in: m.weigh(id, quota.ProduceBytes), out: m.weigh(id, quota.FetchBytes)}
		m.holdings[id] = h
	}
	h.conns++
	h.used.Add(c.mem.used.Load())
	c.mem.holding = h
}

// leave ends a connection's part of its holding.
func (m *memory) leave(c *conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaveLocked(c)
}

// leaveLocked ends a connection's part of its holding. mu is held.
func (m *memory) leaveLocked(c *conn) {
	h := c.mem.holding
	if h == nil {
		return
	}
	h.used.Add(-c.mem.used.Load())
	if h.conns--; h.conns == 0 {
		delete(m.holdings, h.id)
	}
	c.mem.holding = nil
}

// take charges n bytes to a connection once it may have them. d says of what kind
// they are: ProduceBytes (from the client) or FetchBytes (to it). An error closes it.
func (m *memory) take(c *conn, d quota.Dimension, n int) error {
	switch {
	case m.gate.TryAcquire(int64(n)):
	case n <= smallGrowth && !(d == quota.FetchBytes && c.fetching()):
		m.gate.Force(int64(n))
	default:
		if err := m.await(c, d, n); err != nil {
			return err
		}
	}
	m.note(c, n)
	return nil
}

// force charges n bytes that are there already.
func (m *memory) force(c *conn, n int) {
	if n != 0 {
		m.gate.Force(int64(n))
		m.note(c, n)
	}
}

// give ends a charge of n bytes.
func (m *memory) give(c *conn, n int) {
	if n != 0 {
		m.note(c, -n)
		m.gate.Release(int64(n))
		m.look()
	}
}

func (m *memory) note(c *conn, n int) {
	c.mem.used.Add(int64(n))
	c.mem.holding.used.Add(int64(n))
	m.look()
}

// await takes n bytes of the gate for a connection: at once while its instance holds
// less than its share, which nobody else may keep from it, else when it is its turn.
func (m *memory) await(c *conn, d quota.Dimension, n int) error {
	h := c.mem.holding
	share, weight := m.shareOf(h, d)
	if h.used.Load()+int64(n) <= share {
		m.gate.Force(int64(n))
		return nil
	}
	m.wake()
	ctx, cancel := context.WithTimeout(c.ctx, memoryPatience)
	defer cancel()
	if err := m.gate.Acquire(ctx, h.id, weight, int64(n)); err != nil {
		return &closing{
			reason: reasonOverloaded, err: fmt.Errorf("%d bytes of memory were not to be had: %w", n, err),
			fix: "raise limits.memory, or add gateways; or let the instance's clients ask for less at once",
		}
	}
	return nil
}

// shareOf is how many bytes an instance may hold while memory is short: its part by
// weight among those that hold something, in and out together; and its weight among
// those that wait.
func (m *memory) shareOf(h *holding, d quota.Dimension) (share int64, weight float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reweighLocked(time.Now())
	weight = h.in
	if d == quota.FetchBytes {
		weight = h.out
	}
	return m.shareLocked(h), weight
}

// shareLocked is an instance's share, in bytes. mu is held.
func (m *memory) shareLocked(h *holding) int64 {
	own, all := h.in+h.out, m.weights
	if !h.active() {
		all += own
	}
	return int64(float64(m.gate.Capacity()) * min(1, own/max(all, own)))
}

// connsOf is how many connections an instance has, 1 at least.
func (m *memory) connsOf(h *holding) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(max(1, h.conns))
}

// active reports whether an instance holds more than what idle connections do.
func (h *holding) active() bool { return h.used.Load() > smallGrowth }

// reweighLocked looks up anew who holds something, and by which quotas. mu is held.
func (m *memory) reweighLocked(now time.Time) {
	if now.Sub(m.weighed) < sharesEvery {
		return
	}
	m.weighed, m.weights = now, 0
	for id, h := range m.holdings {
		if h.active() {
			h.in, h.out = m.weigh(id, quota.ProduceBytes), m.weigh(id, quota.FetchBytes)
			m.weights += h.in + h.out
		}
	}
}
