package proxy

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

const (
	// turnLease names the lease by which gateways take turns at creating topics of an
	// instance.
	turnLease = "topics"
	// turnLasts is after how long a turn ends by itself, when a client or a gateway has
	// gone before the broker has answered: longer than a creation takes.
	turnLasts = 10 * time.Second
	// turnWait is how long one waits for a turn: longer than one whose owner has gone.
	turnWait = 12 * time.Second
	// turnEvery is between two looks at a lease that another gateway has.
	turnEvery = 20 * time.Millisecond
	// turnRedis is how long Redis may take to answer; without it there are turns within
	// this process alone.
	turnRedis = time.Second
)

// Turn is rewrite.Limits': first among the connections of this process, then among
// gateways. If ctx ends before done is called, others of this process go on at once
// and other gateways when the lease lapses.
func (l *hardLimit) Turn(ctx context.Context) (done func(), err error) {
	wait, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	select {
	case l.mine <- struct{}{}:
	case <-wait.Done():
		return nil, fmt.Errorf("turn to create topics of instance %s: %w", l.id, wait.Err())
	}
	pass := sync.OnceFunc(func() { <-l.mine })
	owner := l.gateway + "-" + rand.Text()
	leased, err := l.awaitLease(wait, owner)
	if err != nil {
		pass()
		return nil, err
	}
	stop := context.AfterFunc(ctx, pass)
	return sync.OnceFunc(func() {
		stop()
		if leased { // give it back: a lease of a millisecond
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnRedis)
			defer cancel()
			_, _ = l.leases.TryLease(ctx, l.id, turnLease, owner, 1)
		}
		pass()
	}), nil
}

// awaitLease waits until owner has the lease; leased is false with Redis away.
func (l *hardLimit) awaitLease(ctx context.Context, owner string) (leased bool, err error) {
	if l.leases == nil {
		return false, nil
	}
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, turnRedis)
		held, err := l.leases.TryLease(asked, l.id, turnLease, owner, turnLasts.Milliseconds())
		cancel()
		switch {
		case ctx.Err() != nil:
			return false, fmt.Errorf("turn to create topics of instance %s: %w", l.id, ctx.Err())
		case err != nil:
			return false, nil //nolint:nilerr // Redis is away: exact within this process
		case held:
			return true, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, fmt.Errorf("turn to create topics of instance %s: %w", l.id, ctx.Err())
		}
	}
}
