package quota

import (
	"context"
	"time"
)

// Run leases for all buckets that are used until ctx ends, then hands back what was
// lent, and returns nil. Call it once. While nobody uses anything it does nothing,
// but to say once a second that this gateway lives, if it serves anybody.
func (l *Limiter) Run(ctx context.Context) error {
	r := &l.rounds
	answers := make(chan error, 1)
	var asked *Round // under way
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			if asked != nil {
				r.apply(time.Now(), asked, <-answers)
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
			defer cancel()
			r.leave(last, time.Now())
			return nil
		case err := <-answers:
			r.apply(time.Now(), asked, err)
			asked = nil
			continue
		case <-l.kick:
			if wait := roundEvery - time.Since(last); asked != nil || wait > 0 {
				timer.Reset(max(wait, slack))
				continue
			}
		case <-timer.C:
		}
		last = time.Now()
		if asked != nil { // nobody has answered yet; those who wait are not kept from what is theirs
			r.fill(last)
		} else if asked = r.plan(last); asked != nil {
			go func(round *Round) { answers <- r.settle(ctx, round) }(asked)
		}
		timer.Reset(r.next())
	}
}

// next is when to look again if nobody hurries.
func (r *rounds) next() time.Duration {
	switch {
	case len(r.hot) > 0 || len(r.placing) > 0:
		return roundEvery
	case r.limiter.limits():
		return beatEvery
	}
	return time.Hour
}

// fill gives buckets that are on their own what is theirs.
func (r *rounds) fill(now time.Time) {
	for _, b := range r.hot {
		b.fill(now, r.limiter.gateways.Load())
	}
}

// hurry puts a bucket on the list, and wakes Run.
func (l *Limiter) hurry(b *bucket) {
	l.hurrying.Lock()
	l.hurries = append(l.hurries, b)
	l.hurrying.Unlock()
	l.wakeRun()
}

func (l *Limiter) wakeRun() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// hurried takes the buckets that have become hot since the last call.
func (l *Limiter) hurried() []*bucket {
	l.hurrying.Lock()
	all := l.hurries
	l.hurries = nil
	l.hurrying.Unlock()
	fresh := all[:0]
	for _, b := range all {
		if !b.lease.listed {
			b.lease.listed = true
			fresh = append(fresh, b)
		}
	}
	return fresh
}

// cooled takes a bucket that is cold off the books, if nobody holds it.
func (l *Limiter) cooled(b *bucket) {
	b.lease.listed = false
	b.account.cooled(b)
}
