package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

const (
	// quietMoment is how long nothing must arrive on a connection that is drained,
	// and nothing be in flight, until it is closed.
	quietMoment = 10 * time.Millisecond
	// quietWithin is how long a drained connection may look for a quiet moment: a
	// consumer always waits for a fetch, a busy producer for an acknowledgement.
	quietWithin = time.Second
	// lingerTimeout is how long a drained connection waits for the client's close.
	lingerTimeout = time.Second
)

var errDrained = errors.New("drained")

// drain asks the connection to leave. One that is still shaking hands does so
// when its session has begun: clients take an end before that for bad
// credentials or a wrong protocol, and some do not try again (franz-go's
// ErrFirstReadEOF, librdkafka's _AUTHENTICATION).
func (c *conn) drain() {
	c.leaveBy.CompareAndSwap(0, time.Now().Add(quietWithin).UnixNano())
	if c.open.Load() {
		_ = c.raw.SetReadDeadline(time.Now())
	}
}

// opened begins the session. Either drain sees open, or next sees leaveBy.
func (c *conn) opened() {
	c.open.Store(true)
	if c.leaveBy.Load() != 0 { // drained meanwhile; it shall still get some answer
		c.leaveBy.Store(time.Now().Add(quietWithin).UnixNano())
	}
}

// seekQuiet lets the next read wait for a quiet moment, or says that the time
// for that is over. A request that has begun to arrive is let in.
func (c *conn) seekQuiet() error {
	now, by := time.Now(), time.Unix(0, c.leaveBy.Load())
	if !c.in.Between() {
		by = by.Add(c.srv.cfg.HandshakeTimeout)
	}
	if now.After(by) {
		return errDrained
	}
	return c.nc.SetReadDeadline(now.Add(quietMoment))
}

// quiet says, after a read that timed out, that leaving now loses no request
// that we could know of: each one in flight would be an error that the client
// has to repeat, or, with acks=0, a loss.
func (c *conn) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) == 0 && c.in.Between()
}

// leave closes our side once every request has its answer, and waits a moment
// for the client to close its own: bytes that it has sent meanwhile would
// otherwise turn our close into a reset, which may overtake the last answer.
func (c *conn) leave() {
	c.awaitAnswers(0)
	_ = c.raw.SetDeadline(time.Now().Add(lingerTimeout))
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	if half, ok := c.raw.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c.raw.Conn)
}
