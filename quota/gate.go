package quota

import (
	"context"
	"sync"
	"sync/atomic"

	"weir/tenancy"
)

// Gate admits work of all instances to a capacity that they share: bytes of memory,
// bytes in flight to a broker. As long as there is room nobody notices it. Then work
// waits, of each instance in the order it came, and between instances by deficit
// round robin (Shreedhar and Varghese, 1995) with the weights that they bring: never
// first come first served. Any goroutine.
//
// A piece of work is let in when it fits, or when nothing is in use. The one whose
// turn it is waits for that, and nobody overtakes it: large pieces do not starve.
type Gate struct {
	free     atomic.Int64 // capacity less what is in use; may be below 0
	capacity atomic.Int64 // changes under mu
	waiting  atomic.Int64 // pieces in turns
	admitted atomic.Int64 // pieces that had to wait and were let in, since the start

	mu    sync.Mutex
	turns turns
}

// NewGate returns a gate to a capacity, of any unit.
func NewGate(capacity int64) *Gate {
	g := &Gate{turns: turns{flows: make(map[tenancy.InstanceID]*flow)}}
	g.capacity.Store(capacity)
	g.free.Store(capacity)
	return g
}

// TryAcquire takes n of the capacity if that can be had at once. It takes no lock
// and does not allocate.
func (g *Gate) TryAcquire(n int64) bool { return g.waiting.Load() == 0 && g.take(n) }

// Acquire takes n of the capacity for an instance, once it is its turn. The error is
// ctx's: then nothing was taken. weight is greater than 0; that of an instance's
// newest piece counts.
func (g *Gate) Acquire(ctx context.Context, id tenancy.InstanceID, weight float64, n int64) error {
	if g.TryAcquire(n) {
		return nil
	}
	w := &turn{size: n, in: make(chan struct{})}
	g.mu.Lock()
	g.waiting.Add(1) // from here on whoever releases looks for us
	g.turns.push(id, weight, w)
	g.dispatchLocked()
	g.mu.Unlock()
	select {
	case <-w.in:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.turns.remove(id, w) {
		return nil // let in meanwhile
	}
	g.waiting.Add(-1)
	g.dispatchLocked() // it may have been the one that did not fit
	return ctx.Err()
}

// Force takes n of the capacity whether it is there or not.
func (g *Gate) Force(n int64) { g.free.Add(-n) }

// Release gives n back.
func (g *Gate) Release(n int64) {
	g.free.Add(n)
	g.dispatch()
}

// SetCapacity changes what all may use together. What is in use stays in use.
func (g *Gate) SetCapacity(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// In that order nobody sees an empty gate that is not: see take.
	if more := n - g.capacity.Load(); more > 0 {
		g.capacity.Store(n)
		g.free.Add(more)
	} else {
		g.free.Add(more)
		g.capacity.Store(n)
	}
	g.dispatchLocked()
}

// Capacity is what all may use together.
func (g *Gate) Capacity() int64 { return g.capacity.Load() }

// InUse is what is taken and was not released.
func (g *Gate) InUse() int64 { return g.capacity.Load() - g.free.Load() }

// Waiting is how many pieces wait.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }

// Admitted is how many pieces had to wait and were let in, since the start.
func (g *Gate) Admitted() int64 { return g.admitted.Load() }

// take takes n if it fits, or nothing is in use.
func (g *Gate) take(n int64) bool {
	for {
		free := g.free.Load()
		if free < n && free < g.capacity.Load() {
			return false
		}
		if g.free.CompareAndSwap(free, free-n) {
			return true
		}
	}
}

func (g *Gate) dispatch() {
	if g.waiting.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dispatchLocked()
}

// dispatchLocked lets in whose turn it is, for as long as they fit.
func (g *Gate) dispatchLocked() {
	for w := g.turns.next(); w != nil && g.take(w.size); w = g.turns.next() {
		g.turns.pop()
		g.waiting.Add(-1)
		g.admitted.Add(1)
		close(w.in)
	}
}

// Instances is of how many instances something waits.
func (g *Gate) Instances() int {
	if g.waiting.Load() == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.turns.flows)
}
