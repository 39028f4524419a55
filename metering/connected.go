package metering

import (
	"sync"
	"time"
)

// connected counts the seconds of open sessions: the integral of how many are open.
// What is less than a second stays for later, so that nothing is lost by rounding.
type connected struct {
	mu   sync.Mutex
	open int64
	last time.Time     // up to here it is counted
	rest time.Duration // counted, and not yet a second
}

// Connected says that so many sessions more, or fewer, are open.
func (a *Account) Connected(delta int) {
	now := a.book.cfg.Now()
	c := &a.connected
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.open += int64(delta)
}

// advance counts up to now. A clock that was set back counts nothing: differences are
// those of the monotonic clock, where there is one.
func (c *connected) advance(now time.Time) {
	if !c.last.IsZero() {
		c.rest += time.Duration(c.open) * max(0, now.Sub(c.last))
	}
	c.last = now
}

// seconds takes the whole seconds up to now.
func (c *connected) seconds(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	return c.whole()
}

func (c *connected) whole() int64 {
	n := int64(c.rest / time.Second)
	c.rest -= time.Duration(n) * time.Second
	return n
}

// until takes the whole seconds up to the end of an hour, if that is past; what comes
// after it stays. A clock that jumped counts no more than the time that has passed.
func (c *connected) until(end, now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.IsZero() {
		c.last = now
	}
	passed := max(0, now.Sub(c.last))
	before := min(passed, max(0, end.Sub(c.last)))
	c.rest += time.Duration(c.open) * before
	n := c.whole()
	c.rest += time.Duration(c.open) * (passed - before)
	c.last = now
	return n
}
