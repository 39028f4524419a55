package quota

import (
	"context"
	"sync/atomic"
	"time"
)

// scale is how many tokens a unit is: rates may be fractions of a unit.
const scale = 1000

// bucket is what one limit of one scope has left in this process. Spending may
// leave it in debt; nothing but time, or a lease, fills it.
type bucket struct {
	dim    Dimension
	tokens atomic.Int64 // in 1/scale of a unit; below 0: debt
	rate   atomic.Int64 // tokens a second
	burst  atomic.Int64 // tokens it holds at the most
}

// spend takes n units whatever is left, and says how long it takes to repay.
func (b *bucket) spend(n int64) time.Duration {
	left := b.tokens.Add(-n * scale)
	if left > 0 {
		return 0
	}
	wait := time.Duration(float64(-left) / float64(max(b.rate.Load(), 1)) * float64(time.Second))
	return min(wait+refillEvery, MaxThrottle)
}

// refillEvery is the step in which buckets fill.
const refillEvery = 50 * time.Millisecond

func (b *bucket) refill(after time.Duration) {
	full := b.burst.Load()
	add := int64(float64(b.rate.Load()) * after.Seconds())
	for {
		is := b.tokens.Load()
		if b.tokens.CompareAndSwap(is, min(is+add, max(full, is))) {
			return
		}
	}
}

// await returns once something is left, at most after atMost.
func (b *bucket) await(ctx context.Context, atMost time.Duration) (held time.Duration, err error) {
	if b.tokens.Load() > 0 {
		return 0, nil
	}
	begin := time.Now()
	tick := time.NewTicker(refillEvery)
	defer tick.Stop()
	for b.tokens.Load() <= 0 && time.Since(begin) < atMost {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Since(begin), ctx.Err()
		}
	}
	return time.Since(begin), nil
}
