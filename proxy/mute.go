package proxy

import (
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

// patience is how long the request that arrives may be held.
func (c *conn) patience(key kmsg.Key) time.Duration {
	now, most := c.purse.begun, otherHold
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
		most = min(most, time.Unix(0, by).Sub(now))
	}
	return max(most, 0)
}

// pause holds the request that arrives: while the connection is muted, and until
// something is left of each limit that it will be charged to. Answers of requests
// that were taken in before it leave meanwhile.
func (c *conn) pause(key kmsg.Key, size int, timed bool) error {
	u := &c.purse
	frameBy := c.frameBy.Swap(0) // nothing can arrive meanwhile
	leaving := c.leaveBy.Load() != 0
	left := c.patience(key)
	if muted := c.mutedUntil.Load(); muted != 0 {
		if d := min(time.Until(time.Unix(0, muted)), left); d > 0 {
			if !wait(c.ctx, d) {
				return c.readEnded(c.ctx.Err())
			}
			u.paused, left = d, left-d
		}
		c.mutedUntil.CompareAndSwap(muted, 0)
	}
	needs := [...]struct {
		d quota.Dimension
		n int64
	}{{quota.Requests, 1}, {quota.RequestTime, 0}, {quota.ProduceBytes, 0}, {quota.FetchBytes, 0}}
	if timed {
		needs[1].n = 1
	}
	switch key {
	case kmsg.Produce:
		needs[2].n = frameBytes(size)
	case kmsg.Fetch, kmsg.ShareFetch:
		needs[3].n = 1
	}
	for _, need := range needs {
		if need.n == 0 {
			continue
		}
		held, err := u.scope.Await(c.ctx, need.d, need.n, left)
		if err != nil {
			return c.readEnded(err)
		}
		u.paused, left = u.paused+held, max(0, left-held)
	}
	if frameBy != 0 {
		c.frameBy.Store(frameBy + int64(u.paused))
	}
	u.inARow = u.paused > 0
	if u.paused > 0 && !leaving && c.leaveBy.Load() != 0 { // drained meanwhile: the body gets its time
		c.leaveBy.Store(time.Now().Add(quietWithin).UnixNano())
	}
	return nil
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
