package proxy

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/quota"
)

const (
	// fetchPatience is how long a Fetch waits for memory before it is forwarded all
	// the same, with the least that it may ask for.
	fetchPatience = 5 * time.Second
	// leastFetch is what a Fetch may always ask for, in bytes.
	leastFetch = 64 << 10
)

// accountRequests charges what the client's frames are read into. Reading goroutine.
func (c *conn) accountRequests() {
	m := c.srv.memory
	c.in.Grow, c.in.Tight = c.growRequest, m.tight
	c.in.Shrunk = func(n int) { m.give(c, n) }
}

// accountAnswers charges what a broker's frames are read into.
func (c *conn) accountAnswers(l *link) {
	m := c.srv.memory
	l.in.Tight = m.tight
	l.in.Grow = func(n int) error {
		if err := m.take(c, quota.FetchBytes, n); err != nil {
			return err
		}
		l.holds.Add(int64(n))
		return nil
	}
	l.in.Shrunk = func(n int) { l.holds.Add(int64(-n)); m.give(c, n) }
}

// fetching reports whether the broker's next answer is that of a Fetch.
func (c *conn) fetching() bool {
	p := c.forwarded()
	return p != nil && fetches(p.key)
}

// growRequest charges a request's next n bytes, of what was prepaid if there is any
// left. While it waits the client is not slow: it is not read.
func (c *conn) growRequest(n int) error {
	if paid := min(n, c.mem.prepaid); paid > 0 {
		c.mem.prepaid -= paid
		n -= paid
	}
	if n == 0 {
		return nil
	}
	return c.patiently(func() error { return c.srv.memory.take(c, quota.ProduceBytes, n) })
}

// awaitMemory holds up a request before its body is read while memory is short:
// every Produce, and whatever else is large. It is then charged at once: requests of
// which each had a half would wait for each other.
func (c *conn) awaitMemory(begin []byte, size int) error {
	m := c.srv.memory
	if !m.short() || size <= smallGrowth && kmsg.Key(binary.BigEndian.Uint16(begin)) != kmsg.Produce {
		return nil
	}
	err := c.patiently(func() error { return m.await(c, quota.ProduceBytes, size) })
	if err == nil {
		m.note(c, size)
		c.mem.prepaid = size
	}
	return err
}

// patiently does what may wait, without that the request that is arriving gets late.
func (c *conn) patiently(take func() error) error {
	by := c.frameBy.Swap(0)
	if by == 0 {
		return take()
	}
	begin := time.Now()
	err := take()
	c.frameBy.Store(by + int64(time.Since(begin)))
	return err
}

// unprepaid gives back what was charged for a request and not needed.
func (c *conn) unprepaid() {
	c.srv.memory.give(c, c.mem.prepaid)
	c.mem.prepaid = 0
}

// awaitFetch holds up a Fetch while memory is short and its instance holds its share
// of it, and lets it ask for no more than a connection's part of that share. It takes
// nothing: a long poll may bring nothing for long.
func (c *conn) awaitFetch(h wire.RequestHeader, plan rewrite.Plan) {
	m := c.srv.memory
	if !m.short() || !fetches(h.Key) {
		return
	}
	hold := c.mem.holding
	share, weight := m.shareOf(hold, quota.FetchBytes)
	most := max(leastFetch, share/m.connsOf(hold))
	if hold.used.Load() >= share && !m.turn(c.ctx, hold, weight) {
		most = leastFetch
	}
	rewrite.LowerMaxBytes(h.Key, h.Version, plan.Request, int32(min(most, math.MaxInt32)))
}

// turn waits for an instance's turn, and reports whether it came before fetchPatience.
func (m *memory) turn(ctx context.Context, h *holding, weight float64) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	m.wake()
	if m.gate.Acquire(ctx, h.id, weight, leastFetch) != nil {
		return false
	}
	m.gate.Release(leastFetch)
	return true
}

// settle gives back all that the connection holds: nobody works on it any more.
func (c *conn) settle() {
	if c.in != nil {
		c.in.End()
	}
	c.unprepaid()
	c.mu.Lock()
	held := c.held
	for _, p := range c.queue {
		p.flight.landed(false)
	}
	c.held, c.queue = 0, nil
	c.mu.Unlock()
	m := c.srv.memory
	m.give(c, held)
	m.leave(c)
}

// rest makes the goroutines that wait for frames give up their buffers, if they hold
// any: their reads time out. Any goroutine.
func (c *conn) rest(now time.Time) {
	if c.buffering.Load() {
		_ = c.raw.SetReadDeadline(now)
	}
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil && l.holds.Load() > 0 {
		_ = l.conn.SetReadDeadline(now)
	}
}

// rested gives up the buffer of a link whose read has timed out for that, and reports
// whether it can be read on.
func (l *link) rested() bool {
	l.in.Release() // if it is between two frames
	return l.conn.SetReadDeadline(time.Time{}) == nil
}
