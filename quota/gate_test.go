package quota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"weir/tenancy"
)

// TestGate follows what is let in, in steps; after each the gate has come to rest.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, in := NewGate(10), ""
		var mu sync.Mutex
		ask := func(id string, n int64) (giveUp func()) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				said := id
				if g.Acquire(ctx, tenancy.InstanceID(id), 1<<20, n) != nil {
					said = "-" + id
				}
				mu.Lock()
				defer mu.Unlock()
				in += said
			}()
			synctest.Wait()
			return cancel
		}
		rests := func(want string, inUse int64, waiting int) {
			t.Helper()
			synctest.Wait()
			if in != want || g.InUse() != inUse || g.Waiting() != waiting {
				t.Errorf("let in %q, %d in use, %d wait; want %q, %d, %d", in, g.InUse(), g.Waiting(), want, inUse, waiting)
			}
			in = ""
		}
		ask("a", 4)
		ask("a", 6)
		rests("aa", 10, 0)
		givesUp := ask("b", 8)
		ask("c", 1)
		rests("", 10, 2)
		if g.TryAcquire(0) {
			t.Error("somebody overtook who waits")
		}
		g.Release(5)
		rests("", 5, 2) // though c's would fit: it is b's turn
		givesUp()
		rests("-bc", 6, 0)
		g.Force(1)
		g.SetCapacity(2)
		ask("b", 5)
		rests("", 7, 1)
		g.Release(6)
		rests("", 1, 1)
		g.Release(1) // more than there is, but nothing is in use
		rests("b", 5, 0)
		ask("a", 1)
		g.SetCapacity(6)
		rests("a", 6, 0)
		g.Force(5)
		g.Release(11)
		rests("", 0, 0)
	})
}

// TestGateContextEnded: who gives up has taken nothing.
func TestGateContextEnded(t *testing.T) {
	g := NewGate(1)
	g.Force(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Acquire(ctx, "a", 1, 1); !errors.Is(err, context.Canceled) || g.InUse() != 1 || g.Waiting() != 0 {
		t.Errorf("%v, %d in use, %d wait", err, g.InUse(), g.Waiting())
	}
}

// TestGateConservesWork: in whatever order pieces come, change and go, nobody waits
// for what would fit whose turn it is, and no more is in use than fits, but for one
// piece alone.
func TestGateConservesWork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewGate(rapid.Int64Range(0, 100).Draw(t, "capacity"))
		var waiting, inside []*turn
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				w := &turn{size: rapid.Int64Range(1, 200).Draw(t, "size"), in: make(chan struct{})}
				if g.TryAcquire(w.size) {
					inside = append(inside, w)
					return
				}
				g.mu.Lock()
				defer g.mu.Unlock()
				g.waiting.Add(1)
				g.turns.push(rapid.SampledFrom([]tenancy.InstanceID{"a", "b"}).Draw(t, "id"), 1<<20, w)
				g.dispatchLocked()
				waiting = append(waiting, w)
			},
			"go": func(t *rapid.T) {
				if len(inside) == 0 {
					return
				}
				w := inside[0]
				inside = inside[1:]
				g.Release(w.size)
			},
			"capacity": func(t *rapid.T) { g.SetCapacity(rapid.Int64Range(0, 100).Draw(t, "capacity")) },
			"": func(t *rapid.T) {
				var left []*turn
				for _, w := range waiting {
					select {
					case <-w.in:
						inside = append(inside, w)
					default:
						left = append(left, w)
					}
				}
				waiting = left
				sum := int64(0)
				for _, w := range inside {
					sum += w.size
				}
				if g.InUse() != sum || g.Waiting() != len(waiting) {
					t.Fatalf("%d in use, want %d; %d wait, want %d", g.InUse(), sum, g.Waiting(), len(waiting))
				}
				if w := g.turns.next(); w != nil && (sum == 0 || sum+w.size <= g.Capacity()) {
					t.Fatalf("%d waits, though %d of %d are in use", w.size, sum, g.Capacity())
				}
			},
		})
	})
}

// TestGateCrowd: one instance with a thousand that wait, and one with one at a time:
// the latter is let in every other time.
func TestGateCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const piece = 1 << 14 // more than a quantum
		g := NewGate(piece)
		g.Force(piece)
		turns := make(chan string, 2000)
		use := func(id string) {
			if g.Acquire(t.Context(), tenancy.InstanceID(id), 1<<20, piece) == nil {
				turns <- id
			}
		}
		for range 1000 {
			go use("crowd")
		}
		synctest.Wait()
		for i := range 100 {
			go use("one")
			synctest.Wait()
			g.Release(piece) // one after another goes in
			synctest.Wait()
			g.Release(piece)
			synctest.Wait()
			if a, b := <-turns, <-turns; a == b {
				t.Fatalf("time %d: %s twice", i, a)
			}
		}
		g.SetCapacity(1000 * piece)
		for range 1000 - 100 {
			<-turns
		}
	})
}

func BenchmarkGate(b *testing.B) {
	g := NewGate(1 << 40)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if g.TryAcquire(100) {
				g.Release(100)
			}
		}
	})
	for _, flows := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("turn of %d flows", flows), func(b *testing.B) {
			all := newTurns()
			for i := range flows {
				all.push(tenancy.InstanceID(fmt.Sprint(i)), 1<<20, &turn{size: 1 << 16})
			}
			for b.Loop() {
				w := all.next()
				all.push(all.ring[0].id, 1<<20, w)
				all.pop()
			}
		})
	}
}
