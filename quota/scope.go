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
func (s *Scope) Spend(d Dimension, n int64) (all Decision) {
	for _, b := range s.now.Load().buckets[d] {
		if b == nil {
			continue
		}
		if wait := b.spend(n); wait > all.Throttle {
			all = Decision{Throttle: wait, Limit: d.Limit(), by: b}
		}
	}
	return all
}

// Await holds work of n units until it may begin: until something is left in every
// bucket, or, where limits are small beside n, enough. It returns how long that was:
// atMost at the most, after which the work may begin whatever is left. err is ctx's.
// It charges nothing, and without need neither blocks nor allocates.
func (s *Scope) Await(ctx context.Context, d Dimension, n int64, atMost time.Duration) (held time.Duration, err error) {
	for again := true; again && held < atMost; {
		again = false
		r := s.now.Load()
		for _, b := range [2]*bucket{r.buckets[d][1], r.buckets[d][0]} { // who is held by a small one takes nothing from a large one
			if b == nil || held >= atMost {
				continue
			}
			more, err := b.await(ctx, n, atMost-held)
			if more > 0 {
				s.account.held(b, s, more)
			}
			if held += more; err != nil {
				return held, err
			}
			if more > 0 && s.now.Load() != r {
				again = true // other limits apply by now
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
