package quota

import (
	"context"
	"sync/atomic"
	"time"
)

// Scope is what the requests of one user and client id of an instance are charged
// to. Any goroutine. Its limits change while it is held; Close gives it back.
type Scope struct {
	account *account
	user    string
	client  string
	now     atomic.Pointer[resolved]
	waits   waits
}

// resolved are the buckets that a scope spends from, by dimension: the instance's
// and that of the sub-quota that applies; nil where there is no limit. Immutable.
type resolved struct {
	buckets [dimensions][2]*bucket
}

// Spend charges n units of work that is done, or can no longer be kept from being
// done. It never blocks and does not allocate.
func (s *Scope) Spend(d Dimension, n int64) Decision {
	of := &s.now.Load().buckets[d]
	var wait time.Duration
	var most *bucket
	if b := of[0]; b != nil {
		if left := b.credit.Load() - b.spent.Add(n*scale); left <= b.low.Load() {
			wait, most = b.short(left), b
		}
	}
	if b := of[1]; b != nil {
		if left := b.credit.Load() - b.spent.Add(n*scale); left <= b.low.Load() {
			if longer := b.short(left); longer > wait {
				wait, most = longer, b
			}
		}
	}
	if wait == 0 {
		return Decision{}
	}
	return Decision{Throttle: wait, Limit: d.Limit(), by: most}
}

// Await holds work of n units until it may begin: until something is left in every
// bucket, or, where limits are small beside n, enough. It returns how long that was:
// atMost, after which the work may begin on credit. Only where a bucket owes what
// ten seconds bring already it goes on waiting, for as long as that is so: else who
// opens enough connections would have any multiple of a limit. err is ctx's, or ErrHeld. It
// charges nothing, and without need neither blocks nor allocates.
func (s *Scope) Await(ctx context.Context, d Dimension, n int64, atMost time.Duration) (held time.Duration, err error) {
	of := &s.now.Load().buckets[d]
	if (of[0] == nil || of[0].free(n)) && (of[1] == nil || of[1].free(n)) {
		return 0, nil
	}
	return s.await(ctx, d, n, atMost)
}

// await is Await where there may be need.
func (s *Scope) await(ctx context.Context, d Dimension, n int64, atMost time.Duration) (held time.Duration, err error) {
	for again := true; again; {
		again = false
		r := s.now.Load()
		for _, i := range [...]int{1, 0} { // who is held by the smaller limit takes nothing from the larger one
			b := r.buckets[d][i]
			if b == nil || b.free(n) {
				continue
			}
			more, err := b.await(ctx, n, max(atMost-held, 0))
			s.account.held(b, s, more)
			if held += more; err != nil {
				return held, err
			}
			if s.now.Load() != r { // other limits apply by now
				again = true
				break
			}
		}
	}
	return held, nil
}

// AtOnce is how many units one piece of work should have at the most, so that it
// does not put the scope in debt for long: a second's worth of the smallest limit
// (Kafka bounds a fetch by its quota's window: KafkaApis.maxQuotaWindowBytes).
// bounded is false where there is no limit.
func (s *Scope) AtOnce(d Dimension) (n int64, bounded bool) {
	for _, b := range s.now.Load().buckets[d] {
		if b == nil {
			continue
		}
		if r := b.rate.Load() / scale; !bounded || r < n {
			n, bounded = r, true
		}
	}
	return n, bounded
}

// Close gives the scope back.
func (s *Scope) Close() { s.account.leave(s) }
