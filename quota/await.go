package quota

import (
	"context"
	"errors"
	"slices"
	"time"
)

// waiter is work that is held.
type waiter struct {
	n    int64 // units
	woke chan struct{}
}

// prepaid is the part of n units that must be there before the work begins: where a
// limit is small beside the pieces of work, what each gateway lets through on credit
// would be too much of it (operations.md D.4). 0: something is enough.
func (b *bucket) prepaid(n int64) int64 {
	if float64(b.rate.Load()) < 10*scale*float64(n)*float64(max(b.fleet.Load(), 1)) {
		return min(n*scale, b.burst.Load())
	}
	return 0
}

// enough reports whether work of n units may begin when so many tokens are left.
func (b *bucket) enough(left, n int64) bool {
	left += b.room.Load()
	return left > 0 && (left >= n*scale || left >= b.prepaid(n))
}

// free reports whether work of n units may begin at once: the fast path of await.
func (b *bucket) free(n int64) bool {
	left := b.credit.Load() - b.spent.Load()
	return b.waiting.Load() == 0 && (left > n*scale || b.enough(left, n))
}

// await holds work of n units that is not free until it may begin: those who came
// before first. It ends too when the bucket is none of the work's any more.
func (b *bucket) await(ctx context.Context, n int64, atMost time.Duration) (held time.Duration, err error) {
	begin := time.Now()
	w := &waiter{n: n, woke: make(chan struct{})}
	first := b.enqueue(w)
	defer b.dequeue(w)
	b.hurry()
	if first {
		b.wake() // what came in between
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		select {
		case <-w.woke:
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			if time.Since(begin) >= mostHeld {
				err = ErrHeld
			} else if !b.owes(n) {
				timer.Reset(owedLook)
				continue
			}
		}
		return time.Since(begin), err
	}
}

const (
	// mostOwed is how deep in debt a bucket gets by work that has waited for long
	// enough, in seconds: more connections than the limit can serve in the time that
	// they may be held would have any multiple of it otherwise. Whoever waits beyond
	// that waits until some of it is repaid, or its client gives up.
	mostOwed = 10
	// owedLook is when to look again.
	owedLook = time.Second
	// mostHeld is after how long nobody waits for the work any more: clients give up
	// after 30 s (Java's request.timeout.ms), which shows only where what they have sent
	// is read. Of what there is too much would go to work for nobody.
	mostHeld = 25 * time.Second
)

// ErrHeld is of work that has waited until its client must have given up.
var ErrHeld = errors.New("held for too long, and more than ten seconds' worth of the limit is owed")

// owes lets work of n units begin on credit, unless too much is owed already, what
// others that were let go just now have yet to spend included.
func (b *bucket) owes(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if float64(b.left()-b.onCredit) < -mostOwed*float64(b.rate.Load()) {
		return false
	}
	b.onCredit += n * scale
	return true
}

// settled forgets what was let go on credit: it has been spent since.
func (b *bucket) settled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onCredit = 0
}

// enqueue reports whether w is the first.
func (b *bucket) enqueue(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, w)
	b.waiting.Add(1)
	b.held.Add(w.n)
	return len(b.queue) == 1
}

// dequeue removes a waiter that was not woken: then the next may have its turn. One
// that was has yet to spend what it waited for.
func (b *bucket) dequeue(w *waiter) {
	b.mu.Lock()
	i := slices.Index(b.queue, w)
	if i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.leftQueue(w)
	}
	b.mu.Unlock()
	if i == 0 {
		b.wake()
	}
}

func (b *bucket) leftQueue(w *waiter) {
	b.waiting.Add(-1)
	b.held.Add(-w.n)
}

// wake lets waiters go as far as tokens go, in the order in which they came.
func (b *bucket) wake() {
	if b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.left()
	for len(b.queue) > 0 && b.enough(left, b.queue[0].n) {
		left -= b.queue[0].n * scale
		b.wakeFirst()
	}
}

// wakeAll lets all go: the limit is none of theirs any more.
func (b *bucket) wakeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 {
		b.wakeFirst()
	}
}

func (b *bucket) wakeFirst() {
	w := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	b.leftQueue(w)
	close(w.woke)
}

// need is what the first waiter must find, in units.
func (b *bucket) need() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return 0
	}
	return float64(max(b.prepaid(b.queue[0].n), 1)) / scale
}
