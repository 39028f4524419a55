package proxy

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/upstream"
)

// link is a client connection's own connection to one broker: never shared, so
// that no long poll of one client blocks another (protocol.md 1.1).
type link struct {
	conn *upstream.Conn
	in   *wire.Reader
	out  *wire.Writer
	head []byte // scratch for request headers

	// renew is when the connection is replaced by a new one, between exchanges,
	// before the broker demands re-authentication (KIP-368); zero: never.
	renew time.Time
	far   bool // in another zone

	lastUsed time.Time // guarded by conn.mu
	silent   bool      // the newest request wants no answer; guarded by conn.mu

	holds atomic.Int64 // bytes that in's buffer takes
}

// forward sends a request to the broker; its answer will be p's.
func (c *conn) forward(h wire.RequestHeader, p *pending, plan rewrite.Plan) error {
	size := wire.Size(plan.Request)
	p.frames.up = wire.RequestSize(h, size)
	l, err := c.attach(p, plan.Silent)
	if err != nil {
		return err
	}
	l.head = wire.AppendRequest(l.head[:0], h, size)
	if err := l.out.Write(l.head, plan.Request); err != nil {
		return &closing{reason: reasonUpstreamLost, err: err}
	}
	return nil
}

// attach queues p as a request that the broker will answer, over a connection
// that is open at that moment.
func (c *conn) attach(p *pending, silent bool) (*link, error) {
	for {
		l, err := c.openLink()
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		err = c.awaitRoomLocked(p)
		if err != nil || c.link == l {
			if err == nil {
				c.wire.forwarded(&p.frames, l.far, silent)
				if !silent {
					c.pushLocked(p)
				}
			}
			l.lastUsed, l.silent = time.Now(), silent
			c.mu.Unlock()
			return l, err
		}
		c.mu.Unlock() // the broker closed it meanwhile, and nothing was sent: open another
	}
}

// openLink returns the broker connection, opening it if there is none.
func (c *conn) openLink() (*link, error) {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil && (l.renew.IsZero() || time.Now().Before(l.renew)) {
		return l, nil
	}
	if l != nil {
		c.awaitAnswers(0)
		c.dropLink(l)
	}
	return c.dial()
}

func (c *conn) dial() (*link, error) {
	up, err := c.connect(c.node)
	if err != nil {
		return nil, err
	}
	// Fetch sessions live on one broker, where their ids are this connection's;
	// elsewhere the same ids are somebody else's.
	c.node = up.Node
	now := time.Now()
	l := &link{conn: up, in: wire.NewReader(up.Conn), out: wire.NewWriter(up.Conn), lastUsed: now, far: c.isFar(up.Node)}
	c.accountAnswers(l)
	if !up.Expires.IsZero() {
		l.renew = now.Add(up.Expires.Sub(now) * 2 / 3)
	}
	c.mu.Lock()
	if err := c.why; err != nil { // closed while we dialed
		c.mu.Unlock()
		_ = up.Close()
		return nil, err
	}
	c.link = l
	c.mu.Unlock()
	c.srv.metrics.links.Inc()
	c.links.Go(func() {
		defer c.srv.metrics.links.Dec()
		defer l.in.End()
		defer func() { _ = up.Close() }()
		if err := c.answers(l); err != nil {
			c.close(err)
		}
	})
	return l, nil
}

// answers brings the broker's answers back until the link ends. nil: nothing
// was lost, the client need not know.
func (c *conn) answers(l *link) error {
	for {
		frame, err := l.in.Next(math.MaxInt32)
		if isTimeout(err) && l.rested() {
			continue
		}
		if errors.As(err, new(*closing)) {
			return err // ours, not the broker's: no memory for its answer
		}
		if err != nil {
			return c.linkEnded(l, err)
		}
		p := c.forwarded()
		if p == nil {
			return closef(reasonUpstreamAnswer, "node %d: answer without a request", l.conn.Node)
		}
		p.flight.landed(true)
		p.frames.back(frame, l.far)
		answer, err := c.answerOf(p, l.conn.Node, frame)
		if err != nil {
			return err
		}
		if err := c.answerHead(p, answer); err != nil {
			return err
		}
	}
}

// answerOf makes the client's answer of the broker's.
func (c *conn) answerOf(p *pending, node int32, frame []byte) ([][]byte, error) {
	if p.timed {
		p.began = time.Now().UnixNano()
	}
	correlation, body, err := wire.ParseResponse(frame, p.key, p.version)
	if err == nil && correlation != p.correlation {
		err = fmt.Errorf("correlation id %d, want %d", correlation, p.correlation)
	}
	if err != nil {
		return nil, closef(reasonUpstreamAnswer, "node %d: %s v%d: %w", node, kmsg.NameForKey(p.key), p.version, err)
	}
	if p.unmap == nil {
		return [][]byte{body}, nil
	}
	answer, err := p.unmap(body)
	if err != nil {
		return nil, c.alarmed(err)
	}
	return answer, nil
}

// forwarded is the request whose answer comes next. Local answers never stay at
// the head: who made it the head has written them.
func (c *conn) forwarded() *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	return c.queue[0]
}

// linkEnded decides whether the client must learn that its broker connection
// is gone: yes if it waits for an answer (the gateway never repeats a request),
// or if its last request wanted none, because a broker closes the connection
// when such a Produce has failed.
func (c *conn) linkEnded(l *link, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != l {
		return nil // closed by us
	}
	c.link = nil
	if c.waitingFor() || l.silent {
		return &closing{reason: reasonUpstreamLost, err: fmt.Errorf("node %d: %w", l.conn.Node, err)}
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.srv.cfg.Log.Debug("idle broker connection lost", "conn", c.id, "node", l.conn.Node, "err", err)
	}
	return nil
}

// waitingFor says whether a request is with the broker. mu is held.
func (c *conn) waitingFor() bool {
	for _, p := range c.queue {
		if !p.ready {
			return true
		}
	}
	return false
}

// dropLink closes a link that nothing waits for.
func (c *conn) dropLink(l *link) {
	c.mu.Lock()
	if c.link == l {
		c.link = nil
	}
	c.mu.Unlock()
	_ = l.conn.Close()
}

// closeIdleLink closes a broker connection that has not been used for long. One
// with a share session stays: the broker would give the records that this client
// works on to others. (It closes it itself, as any that is silent for long, after
// connections.max.idle.ms.)
func (c *conn) closeIdleLink(now time.Time) {
	c.mu.Lock()
	l := c.link
	idle := l != nil && len(c.queue) == 0 && now.Sub(l.lastUsed) > c.srv.cfg.UpstreamIdle && !c.sess.HoldsShares()
	if idle {
		c.link = nil
	}
	c.mu.Unlock()
	if idle {
		_ = l.conn.Close()
	}
}
