package admin

import (
	"sync"
	"time"
)

// fakeClock stands still until it is told to go on.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

// newFakeClock starts at the present, because tokens are valid around it.
func newFakeClock() *fakeClock { return &fakeClock{t: time.Now()} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeClock) advance(seconds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Duration(seconds) * time.Second)
}

// steppingClock goes on by a tenth of a millisecond whenever it is read.
func steppingClock() func() time.Time {
	c := newFakeClock()
	return func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t = c.t.Add(100 * time.Microsecond)
		return c.t
	}
}
