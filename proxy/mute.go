package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/quota"
)

const (
	// produceHold is how long a Produce may be held before its body is read, all
	// waits together: clients give up after 30 s (Java's request.timeout.ms), and
	// what they have sent before it is held too.
	produceHold = 10 * time.Second
	// rowHold is that for one that directly follows another that was held: five of
	// them (Java's max.in.flight) then take less than those 30 s.
	rowHold = 4 * time.Second
	// otherHold is how long other requests may be held. A fetch has already its
	// long poll.
	otherHold = 5 * time.Second
	// memberHold is how long anything may be held, and a client be told to wait, on
	// a connection over which a member of a group speaks: its heartbeat waits
	// behind. Five requests that are sent at once (sarama's MaxOpenRequests), the
	// wait it was told and the three seconds between two heartbeats are less than a
	// session time-out of ten.
	memberHold = time.Second
	// asideHold is how long a request of the side budget may be held that exceeds it.
	asideHold = time.Second
)

// throttleMost is what a client may be told to wait.
func (c *conn) throttleMost() time.Duration {
	if c.purse.grouped {
		return memberHold
	}
	return quota.MaxThrottle
}

// patience is how long the request that arrives may be held, before it goes on credit.
// Strict, which is for who leaves: and not longer even where so much is owed already
// that Await gives no more. For nobody else: who may have one request a second on
// credit for each connection, by a heartbeat on it or by tokens that end soon, has no
// limit.
func (c *conn) patience(key kmsg.Key) (most time.Duration, strict bool) {
	now := c.purse.begun
	most = otherHold
	switch {
	case c.purse.grouped:
		most = memberHold
	case kindOf(key) != ordinary:
		most = asideHold
	case key == kmsg.Produce && c.purse.inARow:
		most = rowHold
	case key == kmsg.Produce:
		most = produceHold
	}
	if !c.expires.IsZero() { // it came in time, and so must the re-authentication behind it
		most = min(most, c.expires.Sub(now)/2)
	}
	if by := c.leaveBy.Load(); by != 0 {
		most, strict = min(most, time.Unix(0, by).Sub(now)), true
	}
	return max(most, 0), strict
}

// pause holds the request that arrives: while the connection is muted, and until
// something is left of each limit that it will be charged to. Answers of requests
// that were taken in before it leave meanwhile.
func (c *conn) pause(key kmsg.Key, size int, timed bool) error {
	u := &c.purse
	frameBy := c.frameBy.Swap(0) // nothing can arrive meanwhile
	leaving := c.leaveBy.Load() != 0
	left, strict := c.patience(key)
	if muted := c.mutedUntil.Load(); muted != 0 {
		if d := min(time.Until(time.Unix(0, muted)), left); d > 0 {
			if !wait(c.ctx, d) {
				return c.readEnded(c.ctx.Err())
			}
			u.paused, left = d, left-d
		}
		c.mutedUntil.CompareAndSwap(muted, 0)
	}
	left, err := c.await(quota.Requests, 1, left, strict)
	if err == nil && timed {
		left, err = c.await(quota.RequestTime, 1, left, strict)
	}
	switch {
	case err != nil:
	case key == kmsg.Produce:
		_, err = c.await(quota.ProduceBytes, frameBytes(size), left, strict)
	case fetches(int16(key)):
		_, err = c.await(quota.FetchBytes, 1, left, strict)
	}
	if err != nil {
		return c.readEnded(err)
	}
	if frameBy != 0 {
		c.frameBy.Store(frameBy + int64(u.paused))
	}
	u.inARow = u.paused > 0
	if u.paused == 0 {
		return nil
	}
	if !leaving && c.leaveBy.Load() != 0 { // drained meanwhile: the body gets its time
		c.leaveBy.Store(time.Now().Add(quietWithin).UnixNano())
	}
	return nil
}

// await holds the request until something is left of one of its limits, and says how
// long it may still be held.
func (c *conn) await(d quota.Dimension, n int64, atMost time.Duration, strict bool) (left time.Duration, err error) {
	ctx, scope := c.ctx, c.purse.scope
	if strict {
		if scope.Spend(d, 0).Throttle == 0 {
			return atMost, nil
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, atMost)
		defer cancel()
	}
	held, err := scope.Await(ctx, d, n, atMost)
	c.purse.paused += held
	if c.ctx.Err() == nil && !errors.Is(err, quota.ErrHeld) {
		err = nil
	}
	return max(0, atMost-held), err
}

// mute keeps the connection from being read for d from now on (KIP-219), except
// for what keepsAlive. Any goroutine. The reading one takes notice when the next
// request's header is there: it may be waiting for it already.
func (c *conn) mute(d time.Duration) {
	until := time.Now().Add(d).UnixNano()
	for {
		is := c.mutedUntil.Load()
		if is >= until || c.mutedUntil.CompareAndSwap(is, until) {
			return
		}
	}
}
