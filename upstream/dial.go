package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
)

// ErrNoBroker says that the pool has no broker of that node id.
var ErrNoBroker = errors.New("no such broker in the pool")

// Conn is an authenticated connection to one broker, owned by who dialed it.
type Conn struct {
	net.Conn
	Node    int32
	Expires time.Time // when the broker will demand re-authentication (KIP-368); zero: never

	mech sasl.Mechanism // nil: none
	host string         // what the broker was dialed by, for Reauthenticate
}

// Close hangs up at once, without TLS's close_notify: that may wait 5 s for a
// broker that reads nothing any more, and who revokes a session must not wait.
// What was written before still leaves.
func (c *Conn) Close() error {
	if t, ok := c.Conn.(*tls.Conn); ok {
		return t.NetConn().Close()
	}
	return c.Conn.Close()
}

// AnyNode lets Dial choose a healthy broker.
const AnyNode int32 = -1

// maxAnyTries is how many brokers Dial(AnyNode) tries. DialTimeout is divided
// among them, so that a silent one leaves time for the next.
const maxAnyTries = 3

// Dial connects to one broker and authenticates, as the gateway if as is nil. A
// broker that does not answer costs its own callers at most DialTimeout and
// nobody else anything; after that its callers get the last error at once until
// the monitor's probe was answered. A node that metadata does not have is
// ErrNoBroker, after one refresh that is shared by all who wait. ErrIdentity if
// the broker refuses as.
func (p *Pool) Dial(ctx context.Context, node int32, as *Identity) (*Conn, error) {
	deadline := time.Now().Add(p.cfg.DialTimeout)
	if node == AnyNode {
		return p.dialAny(ctx, deadline, as)
	}
	b, err := p.broker(ctx, node, deadline)
	if err != nil {
		return nil, err
	}
	if err := p.health.down(b.Node); err != nil {
		return nil, err
	}
	return p.dialBroker(ctx, b, deadline, as)
}

// broker finds a node, asking the pool if it is not known.
func (p *Pool) broker(ctx context.Context, node int32, deadline time.Time) (Broker, error) {
	if b, ok := p.snap.Load().broker(node); ok {
		return b, nil
	}
	if err := p.awaitRefresh(ctx, deadline); err != nil {
		return Broker{}, fmt.Errorf("pool %q: node %d: %w: %w", p.cfg.Name, node, ErrNoBroker, err)
	}
	if b, ok := p.snap.Load().broker(node); ok {
		return b, nil
	}
	return Broker{}, fmt.Errorf("pool %q: node %d: %w", p.cfg.Name, node, ErrNoBroker)
}

func (p *Pool) awaitRefresh(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case <-p.refreshed():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dialAny tries brokers that are up, each call beginning with another one.
func (p *Pool) dialAny(ctx context.Context, deadline time.Time, as *Identity) (*Conn, error) {
	candidates := p.candidates()
	if len(candidates) == 0 {
		if err := p.awaitRefresh(ctx, deadline); err != nil {
			return nil, fmt.Errorf("pool %q: no broker is up: %w (%w)", p.cfg.Name, err, p.health.lastError())
		}
		candidates = p.candidates()
	}
	err := fmt.Errorf("pool %q: %w", p.cfg.Name, ErrNoBroker)
	tries := min(len(candidates), maxAnyTries)
	for i, b := range candidates[:tries] {
		share := time.Until(deadline) / time.Duration(tries-i)
		c, dialErr := p.dialBroker(ctx, b, time.Now().Add(share), as)
		if dialErr == nil {
			return c, nil
		}
		if err = dialErr; ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// candidates are the brokers that are up, each call beginning with another one.
func (p *Pool) candidates() []Broker {
	all := p.Brokers()
	if len(all) == 0 {
		return nil
	}
	first := int(p.next.Add(1)) % len(all)
	up := make([]Broker, 0, len(all))
	for i := range all {
		if b := all[(first+i)%len(all)]; p.health.down(b.Node) == nil {
			up = append(up, b)
		}
	}
	return up
}

// dialBroker connects to b and blames it if that fails, unless the caller gave up first.
func (p *Pool) dialBroker(ctx context.Context, b Broker, deadline time.Time, as *Identity) (*Conn, error) {
	dialCtx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	c, err := p.connect(dialCtx, b.addr(), as)
	if err != nil {
		err = fmt.Errorf("pool %q: broker %d at %s: %w", p.cfg.Name, b.Node, b.addr(), err)
		switch {
		case errors.Is(err, ErrIdentity): // which says nothing of the broker
		case ctx.Err() == nil && !ours(err):
			p.blame(b.Node, err)
		default:
			p.refreshed() // not proof enough to blame it; the monitor finds out
		}
		return nil, err
	}
	c.Node = b.Node
	return c, nil
}

// ours says that a dial failed for want of something on this side: descriptors,
// ports, memory.
func ours(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// blame marks a broker as down, so that the monitor probes it soon.
func (p *Pool) blame(node int32, err error) {
	if p.health.failed(node, time.Now(), err) {
		p.cfg.Log.Warn("broker is down", "node", node, "err", err)
	}
	p.poke()
}

// connect is TCP, TLS and SASL to one address, until ctx ends.
func (p *Pool) connect(ctx context.Context, addr string, as *Identity) (*Conn, error) {
	raw, err := p.connectTLS(ctx, addr)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		raw.Close()
		return nil, err
	}
	c := &Conn{Conn: raw, Node: AnyNode, mech: p.mechanism(as), host: host}
	if err := c.Reauthenticate(ctx); err != nil {
		raw.Close()
		if as != nil && errors.Is(err, errRefused) {
			err = fmt.Errorf("%w: %s: %w", ErrIdentity, as, err)
		}
		return nil, err
	}
	return c, nil
}

// connectTLS is TCP and TLS to one address, until ctx ends.
func (p *Pool) connectTLS(ctx context.Context, addr string) (net.Conn, error) {
	raw, err := p.cfg.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		if err := tcp.SetNoDelay(true); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if p.cfg.TLS == nil {
		return raw, nil
	}
	cfg := p.cfg.TLS.Clone()
	if cfg.ServerName == "" {
		if cfg.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			raw.Close()
			return nil, err
		}
	}
	c := tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

// Reauthenticate proves the connection's principal again and moves Expires
// (KIP-368). Only between exchanges: nothing may be in flight on c, and nobody
// else may use it meanwhile. Kafka ignores an attempt within a second of the
// last one. After an error c must be closed. It does nothing in a pool without SASL.
func (c *Conn) Reauthenticate(ctx context.Context) error {
	if c.mech == nil {
		return nil
	}
	return within(ctx, c.Conn, func() (err error) {
		c.Expires, err = authenticate(ctx, &talker{conn: c.Conn}, c.mech, c.host)
		return err
	})
}

// within runs fn, whose reads and writes on conn fail once ctx ends. The
// connection has no deadline afterwards.
func within(ctx context.Context, conn net.Conn, fn func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := fn()
	switch {
	case stop():
		return err
	case err == nil:
		return ctx.Err() // the deadline is set, or will be at any moment: conn is spent
	default:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
}
