package proxy

import (
	"time"

	"weir/proxy/wire"
)

// Answers leave in the order of their requests: Kafka clients rely on it. queue
// holds every request without an answer; only who has the head's answer writes,
// then goes on with those behind it that are ready. So there is one writer at
// any time without a lock held while it writes.

// enqueue adds p at the end, waiting while too many are ahead of it. first says
// that p is the head, so that the caller may answer it at once.
func (c *conn) enqueue(p *pending) (first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.awaitRoomLocked(p); err != nil {
		return false, err
	}
	c.pushLocked(p)
	return len(c.queue) == 1, nil
}

func (c *conn) pushLocked(p *pending) {
	c.queue = append(c.queue, p)
	c.held += p.held
	c.srv.memory.force(c, p.held)
}

// awaitRoomLocked waits until p may join the queue, which it may whatever it
// holds if it is empty.
func (c *conn) awaitRoomLocked(p *pending) error {
	for (len(c.queue) >= maxInflight || len(c.queue) > 0 && c.held+p.held > maxHeld) && c.why == nil {
		c.changed.Wait()
	}
	return c.why
}

// awaitAnswers waits until at most n requests have no answer yet.
func (c *conn) awaitAnswers(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.awaitLocked(n)
}

func (c *conn) awaitLocked(n int) error {
	for len(c.queue) > n && c.why == nil {
		c.changed.Wait()
	}
	return c.why
}

// reply answers a request that needs no broker. Reading goroutine only.
func (c *conn) reply(p *pending, body [][]byte) error {
	p.answer, p.ready, p.held = body, true, wire.Size(body)
	first, err := c.enqueue(p)
	if err != nil || !first {
		return err
	}
	return c.answerHead(p, body)
}

// answerHead writes the head's answer, and those behind it that are ready.
func (c *conn) answerHead(p *pending, body [][]byte) error {
	for p != nil {
		if err := c.write(p, body); err != nil {
			why := &closing{reason: reasonClientGone, err: err}
			if isTimeout(err) {
				why.reason = reasonSlowReader
			}
			if !c.hangUp(why) {
				return why
			}
		}
		p = c.popHead()
		if p != nil {
			body = p.answer
		}
	}
	return nil
}

// popHead removes the head and returns the next one if it is ready.
func (c *conn) popHead() *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held -= c.queue[0].held
	c.srv.memory.give(c, c.queue[0].held)
	c.wire.answered(&c.queue[0].frames)
	n := copy(c.queue, c.queue[1:])
	c.queue[n] = nil
	c.queue = c.queue[:n]
	if c.link != nil {
		c.link.lastUsed = time.Now()
	}
	c.changed.Broadcast()
	if n > 0 && c.queue[0].ready {
		return c.queue[0]
	}
	return nil
}

// write sends one response frame.
func (c *conn) write(p *pending, body [][]byte) error {
	size := wire.Size(body)
	c.head = wire.AppendResponse(c.head[:0], p.key, p.version, p.correlation, size)
	if c.gone.Load() {
		c.meterUnheard(p)
		return nil
	}
	c.meter(p, len(c.head)+size)
	c.srv.metrics.response(size)
	throttle := c.throttle(p, body, len(c.head)+size)
	c.raw.hold()
	err := c.out.Write(c.head, body)
	if ferr := c.raw.flush(); err == nil {
		err = ferr
	}
	c.charged(p, len(c.head)+size, throttle)
	return err
}
