package proxy

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that sends records and does not wait for the answer has them in its log all
// the same, so the broker is heard out before its connection is closed: else whoever
// hangs up after each request produces for nothing.

// hearOut is how long a broker may take for what it still has to answer: as long as
// clients of Kafka themselves wait for an answer (request.timeout.ms).
const hearOut = 30 * time.Second

// owedLocked reports whether a broker has yet to say of records whether it has them.
func (c *conn) owedLocked() bool {
	if c.link == nil || c.why != nil {
		return false
	}
	for _, p := range c.queue {
		if p.usage != nil && !p.ready && p.key == int16(kmsg.Produce) {
			return true
		}
	}
	return false
}

// hangUp ends the client's side of the connection, while its broker has still to be
// heard out; false if it has not. Any goroutine.
func (c *conn) hangUp(why error) bool {
	c.mu.Lock()
	owed := c.owedLocked()
	if owed && c.goneWhy == nil {
		c.goneWhy = why
		c.gone.Store(true)
		c.hearing = time.AfterFunc(hearOut, func() { c.close(why) })
	}
	c.mu.Unlock()
	if owed {
		_ = c.raw.Close()
	}
	return owed
}

// meterUnheard counts what an answer says that nobody is there to get: what was appended,
// not what would have been fetched. Who owns c.out.
func (c *conn) meterUnheard(p *pending) {
	if p.key == int16(kmsg.Produce) {
		c.meter(p, 0)
	}
}

// awaitProduced hears the broker out when no more requests are read. Reading goroutine.
func (c *conn) awaitProduced(why error) {
	if !c.hangUp(why) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.owedLocked() {
		c.changed.Wait()
	}
}
