package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

const (
	// preAuthFrame bounds what who has not proved anything may send at once.
	// Kafka's bound is 512 KiB, for Kerberos tickets, which nobody sends here; a
	// token has 4 KiB at most (package auth).
	preAuthFrame = 64 << 10
	// frameRate is the slowest that a request may arrive, in bytes a second.
	frameRate = 32 << 10
	// controlFrame bounds every request but Produce: they are decoded into
	// structs, which takes a multiple of their bytes.
	controlFrame = 8 << 20
	// maxInflight is how many requests of one connection may wait for their
	// answer before we stop reading. Kafka itself works on one at a time;
	// librdkafka sends as many as it likes.
	maxInflight = 64
	// maxHeld is how much memory those requests may hold beyond one: answers of
	// our own that wait behind a long poll, and what answers are merged with.
	maxHeld = 4 << 20
)

// conn is one client connection. Two goroutines work on it at the most: the
// reading one (run), which maps requests and sends them on, and, while there is
// a broker connection, the answering one (link.go).
type conn struct {
	srv *Server
	lst *listener
	id  uint64
	raw *transport // closed by anybody, at any time

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	// Set by the reading goroutine before the session begins, then immutable.
	nc        net.Conn // TLS over raw, or raw
	from      tenancy.From
	balancer  netip.Addr // that said where from; invalid: nobody did
	probe     bool       // the balancer speaks for itself
	route     route
	paid      bool                // the handshake was charged for (auth.Enter)
	chain     []*x509.Certificate // that the client showed; nil: none
	certified *certified          // whom it proved; nil: nobody
	principal auth.Principal
	host      string // that the client asked for in the TLS handshake, fit to be shown
	mechanism string // that it chose, likewise
	sess      *rewrite.Session
	pool      *upstream.Pool
	side      *side  // what its instance may always send; nil: nobody is held to anything
	release   func() // of what enterInstance took; nil: nothing
	in        *wire.Reader
	mem       connMemory // what all of the connection's frames take

	// Reading goroutine only.
	first   []byte             // the request with which a session began; nil: served, or there was none
	client  *string            // the newest client id, kept so that it is not allocated anew
	expires time.Time          // when the session ends unless re-authenticated; zero: never
	reauth  *auth.Conversation // re-authentication under way (KIP-368)
	node    int32              // that links go to: the route's, or what the first link to AnyNode got
	purse   purse

	leaveBy   atomic.Int64               // unix nanoseconds until which a drained connection may look for a quiet moment; 0: not drained
	open      atomic.Bool                // the session has begun
	proof     atomic.Pointer[auth.Proof] // by what; of the newest authentication
	lastRead  atomic.Int64               // unix nanoseconds of the newest request
	buffering atomic.Bool                // in holds a buffer
	frameBy   atomic.Int64               // unix nanoseconds until which the request that is arriving must be there; 0: none is
	links     sync.WaitGroup

	mutedUntil atomic.Int64 // unix nanoseconds until which what comes is not read (KIP-219); 0: not muted

	mu      sync.Mutex
	changed *sync.Cond // queue became shorter, or the connection is closing
	queue   []*pending // requests without an answer yet, in order; who answers the head owns out
	held    int        // sum of what those in queue hold
	link    *link      // nil while no broker is needed
	why     error      // why the connection is being closed; the first reason counts

	gone    atomic.Bool // nobody is there to be answered, though the broker is heard out (hangup.go)
	goneWhy error       // why; guarded by mu
	hearing *time.Timer // how long; guarded by mu

	out  *wire.Writer   // owned by who answers the head of queue
	head []byte         // scratch for response headers; same owner
	owed quota.Decision // of work on answers that have left, for the next one; same owner

	use  atomic.Pointer[use] // what it counts on; nil: nothing is counted, or there is no session
	past []*use              // those of plans before; guarded by mu
	wire wireUse             // since they were counted; guarded by mu
}

// pending is one request that waits for its turn to be answered.
type pending struct {
	key, version int16
	correlation  int32
	unmap        func(body []byte) ([][]byte, error)
	answer       [][]byte // the answer's body, once ready
	ready        bool
	held         int // bytes of memory until it has been answered
	tab
	flight flight
	usage  *rewrite.Usage // what is counted before the answer leaves; nil: nothing
	frames frames
}

func newConn(ctx context.Context, s *Server, l *listener, raw net.Conn) *conn {
	c := &conn{srv: s, lst: l, id: s.lastID.Add(1), raw: &transport{Conn: raw}}
	c.raw.owner, c.from.Addr = c, addrOf(raw.RemoteAddr())
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.changed = sync.NewCond(&c.mu)
	return c
}

// run serves the connection until it ends and says why.
func (c *conn) run() error {
	defer c.cancel()
	err := c.begin()
	c.attempted(err)
	if err == nil {
		err = c.serve()
	}
	c.awaitProduced(err)
	c.close(err)
	c.links.Wait()
	c.settle()
	c.endUse()
	c.leaveInstance()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// begin makes a session of a connection: PROXY header, first byte, TLS with the
// look at where it comes from, SASL.
func (c *conn) begin() error {
	by := time.Now().Add(c.srv.cfg.HandshakeTimeout)
	if err := c.raw.SetDeadline(by); err != nil {
		return readFailed(err)
	}
	if err := c.meet(by); err != nil {
		return err
	}
	if err := c.raw.sniff(c.lst.TLS != nil); err != nil {
		return c.probed(err)
	}
	c.nc, c.route = c.raw, c.lst.route("")
	if c.lst.TLS != nil {
		if err := c.startTLS(); err != nil {
			return c.probed(err)
		}
	}
	c.in, c.out = wire.NewReader(c.nc), wire.NewWriter(c.nc)
	c.accountRequests()
	if err := c.handshake(); err != nil {
		return err
	}
	c.srv.cfg.Auth.Entered(c.principal, c.peer(), c.paid)
	c.srv.lobby.leave(c)
	c.in.Inspect, c.in.Charge = c.inspect, c.hold
	if err := c.openSession(); err != nil {
		return err
	}
	c.opened()
	return nil
}

// serve reads requests until the connection ends.
func (c *conn) serve() error {
	for {
		frame, err := c.next()
		if errors.Is(err, errDrained) {
			c.leave()
			return &closing{reason: reasonDrained}
		}
		if err != nil {
			return c.readEnded(err)
		}
		if err := c.exchange(frame); err != nil {
			return err
		}
	}
}

// readEnded is why no more requests can be read. It ends the connection at once,
// with the answers that are still due, as on Kafka.
func (c *conn) readEnded(err error) error {
	if errors.Is(err, wire.ErrFrameSize) {
		return &closing{reason: reasonFrameSize, err: err}
	}
	if errors.Is(err, quota.ErrHeld) {
		return &closing{reason: reasonHeld, err: err}
	}
	return readFailed(err)
}

// next returns the next request. While it waits, tidy and drain may poke it by a
// read deadline in the past: to give up buffers, or to leave.
func (c *conn) next() ([]byte, error) {
	if first := c.first; first != nil {
		c.first = nil
		c.purse.begun = time.Now()
		if err := c.charge(first, len(first)); err != nil {
			return nil, err
		}
		c.arrived()
		return first, nil
	}
	for {
		leaving := c.leaveBy.Load() != 0
		if leaving {
			if err := c.seekQuiet(); err != nil {
				return nil, err
			}
		}
		frame, err := c.in.Next(c.srv.cfg.MaxFrameBytes)
		if err == nil {
			c.arrived()
			return frame, nil
		}
		switch {
		case !isTimeout(err):
			return nil, err
		case leaving && c.quiet():
			return nil, errDrained
		case leaving:
			continue
		}
		if c.in.Between() {
			c.in.Release()
			c.raw.release()
			c.buffering.Store(false)
		}
		if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
	}
}

// arrived notes that a request is there.
func (c *conn) arrived() {
	c.frameBy.Store(0)
	c.unprepaid()
	c.lastRead.Store(time.Now().UnixNano())
	c.buffering.Store(true)
}

// inspect refuses large frames of small requests before they are read, and
// notes until when the others must be there.
func (c *conn) inspect(begin []byte, size int) error {
	c.purse.begun = time.Now()
	takes := c.srv.cfg.FrameGrace + time.Duration(size)*time.Second/frameRate
	c.frameBy.Store(c.purse.begun.Add(takes).UnixNano())
	if key := int16(begin[0])<<8 | int16(begin[1]); key != int16(kmsg.Produce) && size > controlFrame {
		return closef(reasonFrameSize, "%s request of %d bytes, at most %d are allowed", kmsg.NameForKey(key), size, controlFrame)
	}
	return nil
}

// tidy gives back what an idle connection holds: the broker connection, so that
// an idle tenant costs the pool nothing, and buffers. A request that stops
// arriving would hold its buffer for ever: it ends the connection.
func (c *conn) tidy(now time.Time) {
	if by := c.frameBy.Load(); by != 0 && now.UnixNano() > by {
		c.close(&closing{reason: reasonSlowFrame, fix: "check the network between client and gateway: a request did not arrive whole"})
		return
	}
	c.recheck()
	c.countWire()
	c.closeIdleLink(now)
	if c.buffering.Load() && now.Sub(time.Unix(0, c.lastRead.Load())) > bufferIdle {
		_ = c.raw.SetReadDeadline(now)
	}
}

// closing reports whether close was called.
func (c *conn) closing() bool { return c.ctx.Err() != nil }

// close ends the connection for the first reason given. Any goroutine; it does
// not wait.
func (c *conn) close(why error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = why
		if c.goneWhy != nil {
			c.why = c.goneWhy
		}
	}
	if c.hearing != nil {
		c.hearing.Stop()
	}
	l := c.link
	c.link = nil
	c.changed.Broadcast()
	c.mu.Unlock()
	if l != nil {
		_ = l.conn.Close()
	}
	_ = c.raw.Close() // not the TLS side: its close_notify may wait for a slow reader
	c.cancel()
}
