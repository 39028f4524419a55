package quota

import (
	"math"
	"slices"

	"weir/tenancy"
)

// quantumPart makes an instance's quantum of its weight: what a round of deficit
// round robin adds. It is small beside the pieces, so that shares are right within
// one of them; rounds in which nobody can go are not walked but counted (next).
const quantumPart = 1.0 / 1024

// turns says whose turn it is: deficit round robin between flows, first in first out
// within one. Not for concurrent use.
type turns struct {
	flows map[tenancy.InstanceID]*flow // those that wait
	ring  []*flow                      // the same, in the order of their visits
	// visited says that ring[0] has had its quantum: what its deficit does not
	// cover now waits for the next round.
	visited bool
}

// flow is what waits of one instance.
type flow struct {
	id      tenancy.InstanceID
	quantum float64
	deficit float64 // what it may still take in this round; below the size of any piece, unless it is its turn
	queue   []*turn
}

// turn is one piece of work that waits.
type turn struct {
	size int64
	in   chan struct{} // closed when it is let in
}

func (f *flow) size() float64 { return float64(f.queue[0].size) }

func (t *turns) push(id tenancy.InstanceID, weight float64, w *turn) {
	f := t.flows[id]
	if f == nil {
		f = &flow{id: id}
		t.flows[id] = f
		t.ring = append(t.ring, f)
	}
	f.quantum = max(weight, 1) * quantumPart
	f.queue = append(f.queue, w)
}

// next is whose turn it is, until pop; nil if nobody waits.
func (t *turns) next() *turn {
	if len(t.ring) == 0 {
		return nil
	}
	f := t.ring[0]
	if t.visited && f.deficit >= f.size() {
		return f.queue[0]
	}
	if t.visited {
		t.rotate(1)
	}
	t.visit()
	return t.ring[0].queue[0]
}

// visit goes round, from the front, until the first flow can send.
func (t *turns) visit() {
	first, rounds := 0, math.Inf(1)
	for i, f := range t.ring {
		if n := max(1, math.Ceil((f.size()-f.deficit)/f.quantum)); n < rounds {
			first, rounds = i, n
		}
	}
	for i, f := range t.ring {
		if i <= first {
			f.deficit += rounds * f.quantum
		} else {
			f.deficit += (rounds - 1) * f.quantum
		}
	}
	t.rotate(first)
	f := t.ring[0]
	f.deficit = max(f.deficit, f.size()) // of a rounding error
	t.visited = true
}

// pop removes what next has returned.
func (t *turns) pop() {
	f := t.ring[0]
	f.deficit -= f.size()
	f.queue[0] = nil
	f.queue = f.queue[1:]
	t.forgetEmpty(f)
}

// remove takes a piece out before its turn; false if it had it.
func (t *turns) remove(id tenancy.InstanceID, w *turn) bool {
	f := t.flows[id]
	if f == nil {
		return false
	}
	at := slices.Index(f.queue, w)
	if at < 0 {
		return false
	}
	f.queue = slices.Delete(f.queue, at, at+1)
	t.forgetEmpty(f)
	return true
}

// forgetEmpty ends a flow of which nothing waits: its deficit is lost, so that
// nobody saves up turns.
func (t *turns) forgetEmpty(f *flow) {
	if len(f.queue) > 0 {
		return
	}
	at := slices.Index(t.ring, f)
	t.visited = t.visited && at != 0
	t.ring = slices.Delete(t.ring, at, at+1)
	delete(t.flows, f.id)
}

// rotate brings what is n places behind the front to it.
func (t *turns) rotate(n int) {
	if n == 0 {
		return
	}
	passed := slices.Clone(t.ring[:n])
	copy(t.ring, t.ring[n:])
	copy(t.ring[len(t.ring)-n:], passed)
}
