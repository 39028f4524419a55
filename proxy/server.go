package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/tenancy"
)

// Defaults of Config.
const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxHandshakes    = 1000
	defaultMaxFrameBytes    = 100 << 20 // Kafka's socket.request.max.bytes
	defaultFrameGrace       = 30 * time.Second
	defaultUpstreamIdle     = time.Minute
	defaultDrainGrace       = 5 * time.Second
	defaultDrainSpread      = 30 * time.Second
)

// Server accepts Kafka clients.
type Server struct {
	cfg       Config
	listeners []*listener
	metrics   *metrics
	conns     registry
	lobby     *lobby
	memory    *memory
	hard      *hardLimits // nil: nobody is held to any
	sides     sides
	windows   windows
	usage     *usages // nil: nothing is counted
	refusals  *refusals
	log       *closedLog
	lastID    atomic.Uint64
}

// listener is one bound address.
type listener struct {
	Listener
	ln      net.Listener
	sniPort int32
	hosts   hostFinder
}

// New checks cfg and binds every listener, so that a port in use is an error here.
func New(cfg Config) (*Server, error) {
	cfg.HandshakeTimeout = cmp.Or(cfg.HandshakeTimeout, defaultHandshakeTimeout)
	cfg.MaxHandshakes = cmp.Or(cfg.MaxHandshakes, defaultMaxHandshakes)
	cfg.MaxFrameBytes = cmp.Or(cfg.MaxFrameBytes, defaultMaxFrameBytes)
	cfg.FrameGrace = cmp.Or(cfg.FrameGrace, defaultFrameGrace)
	cfg.UpstreamIdle = cmp.Or(cfg.UpstreamIdle, defaultUpstreamIdle)
	cfg.DrainGrace = cmp.Or(cfg.DrainGrace, defaultDrainGrace)
	cfg.DrainSpread = cmp.Or(cfg.DrainSpread, defaultDrainSpread)
	s := &Server{
		cfg:     cfg,
		metrics: newMetrics(cfg.Registry),
		lobby:   newLobby(cfg.MaxHandshakes),
		memory:  newMemory(cfg.Memory, cfg.Quota, cfg.Log),
		hard:    newHardLimits(cfg),
		usage:   newUsages(cfg),
	}
	s.refusals, s.log = newRefusals(cfg.Refusals, cfg.Gateway, s.metrics), newClosedLog(cfg.Log)
	s.conns.init()
	s.memory.observed(cfg.Registry)
	for _, l := range cfg.Listeners {
		bound, err := bind(l)
		if err != nil {
			s.closeListeners()
			return nil, err
		}
		bound.hosts = cfg.Directory.Host
		s.listeners = append(s.listeners, bound)
	}
	cfg.Directory.Watch(s.changed)
	return s, nil
}

func bind(l Listener) (*listener, error) {
	lc := net.ListenConfig{Control: controlFor(l)}
	lc.SetMultipathTCP(false) // Go's default; its sockets take no filter (deafen)
	ln, err := lc.Listen(context.Background(), "tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
	}
	b := &listener{Listener: l, ln: ln}
	if l.TLS != nil {
		b.TLS = listenerTLS(l.TLS)
	}
	if l.SNI != nil {
		sni := *l.SNI
		sni.Domain = strings.ToLower(strings.Trim(sni.Domain, "."))
		b.SNI = &sni
		b.sniPort = sni.Port
		if b.sniPort == 0 {
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			n, _ := strconv.ParseInt(port, 10, 32)
			b.sniPort = int32(n)
		}
	}
	return b, nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.ln.Close()
	}
}

// Addrs are the bound addresses, in the order of Config.Listeners (for port 0).
func (s *Server) Addrs() []string {
	var addrs []string
	for _, l := range s.listeners {
		addrs = append(addrs, l.ln.Addr().String())
	}
	return addrs
}

// Connections is the number of open client connections.
func (s *Server) Connections() int { return s.conns.len() }

// Serve accepts until ctx ends, then drains (operations.md A.2 rule 3): new
// connections are accepted for DrainGrace, then each open one is closed after
// its exchange in flight, spread over DrainSpread. It returns when all are
// closed. now, when closed, ends the drain at once.
func (s *Server) Serve(ctx context.Context, now <-chan struct{}) error {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	var wg, accepting sync.WaitGroup
	for _, l := range s.listeners {
		accepting.Go(func() {
			s.accept(life, l, &wg)
		})
	}
	wg.Go(func() { s.janitor(life) })
	wg.Go(func() { s.refusals.run(life) })
	wg.Go(func() { s.memory.run(life, &s.conns) })

	select {
	case <-ctx.Done():
		s.drain(now, &accepting, &wg)
	case <-now:
	}
	s.closeListeners()
	kill()
	accepting.Wait()
	s.conns.each(func(c *conn) { c.close(&closing{reason: reasonStopped}) })
	wg.Wait()
	return nil
}

// accept serves every connection of one listener until it is closed.
func (s *Server) accept(ctx context.Context, l *listener, wg *sync.WaitGroup) {
	delay := time.Duration(0)
	for {
		raw, err := l.ln.Accept()
		switch {
		case err == nil:
			delay = 0
		case errors.Is(err, net.ErrClosed):
			return
		default:
			// Out of descriptors, mostly: as net/http, wait and go on.
			delay = min(max(5*time.Millisecond, 2*delay), time.Second)
			s.cfg.Log.Warn("accept failed", "listener", l.Address, "err", err, "retry_in", delay)
			if !wait(ctx, delay) {
				return
			}
			continue
		}
		// Registered before the next Accept: who has seen the accept loops end
		// knows every connection.
		if c := s.admit(ctx, l, raw); c != nil {
			wg.Go(func() { s.serveConn(c) })
		}
	}
}

// admit registers a connection. If too many are not authenticated yet, another
// one is closed for it, or it itself.
func (s *Server) admit(ctx context.Context, l *listener, raw net.Conn) *conn {
	s.metrics.accepted.Inc()
	c := newConn(ctx, s, l, raw)
	at := origin{addr: network(c.from.Addr), balancer: l.Balancers.has(c.from.Addr)}
	out, ok := s.lobby.enter(c, at, time.Now())
	if !ok {
		c.cancel()
		_ = raw.Close()
		s.metrics.closed.WithLabelValues(reasonFull).Inc()
		s.refusals.note(s.refusal(c, reasonFull, nil))
		return nil
	}
	if out != nil {
		out.close(&closing{reason: reasonFull})
	}
	s.memory.join(c, "")
	s.conns.add(c)
	return c
}

// serveConn owns one connection from accept to close.
func (s *Server) serveConn(c *conn) {
	defer s.lobby.leave(c)
	defer s.conns.remove(c)
	s.finished(c, c.run())
}

// finished counts and logs why a connection ended.
func (s *Server) finished(c *conn, err error) {
	reason, fix := reasonOf(err)
	s.metrics.closed.WithLabelValues(reason).Inc()
	refusal := s.refusal(c, reason, err)
	if c.refused(reason) {
		s.refusals.note(refusal)
	}
	attrs := []any{"conn", c.id, "addr", c.from.Addr.String(), "reason", reason}
	if c.balancer.IsValid() {
		attrs = append(attrs, "balancer", c.balancer.String())
	}
	if e := c.from.Endpoint; e.Cloud != "" {
		attrs = append(attrs, "cloud", e.Cloud, "endpoint", e.ID)
	}
	if c.principal.Instance != "" {
		attrs = append(attrs, "instance", c.principal.Instance, "user", c.principal.User)
	} else if c.route.instance != "" {
		attrs = append(attrs, "instance", c.route.instance)
	}
	var why *closing
	if errors.As(err, &why) && why.err != nil {
		err = why.err
		attrs = append(attrs, "err", shorten(err.Error()))
	} else if why == nil && err != nil {
		attrs = append(attrs, "err", shorten(err.Error()))
	}
	switch reason {
	case reasonClientGone, reasonDrained, reasonStopped, reasonHealthCheck, reasonTripwire: // the latter has its alarm
		s.cfg.Log.Debug("connection closed", attrs...)
	default:
		if !s.log.first(refusal.Reason, c.from.Addr, time.Now()) {
			return
		}
		if e, ok := Explain(refusal.Reason); ok && refusal.Reason != reason {
			fix = e.Fix // of the very cause: a wrong network is no wrong password
		}
		if fix != "" {
			attrs = append(attrs, "fix", fix)
		}
		s.cfg.Log.Warn("connection closed", attrs...)
	}
}

// shorten bounds what a client can make us log (S23); slog escapes the rest.
func shorten(s string) string {
	const limit = 256
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// changed closes the sessions that an instance's new view no longer allows. What
// names mean is fixed for a session (requests and answers, fetch sessions and ids
// it remembers must agree): one that does not know of an alias yet leaves at a
// quiet moment, one that knows an alias that is gone is closed at once.
func (s *Server) changed(v *tenancy.View) {
	s.conns.ofInstance(v.Instance.ID, func(c *conn) {
		if c.recheck(); c.closing() {
			return
		}
		c.recount(v)
		extends, same := v.Space.Extends(c.sess.Space)
		switch {
		case !extends:
			c.close(&closing{reason: reasonNames})
		case !same:
			c.drain()
		}
	})
}

// wait sleeps for d; false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
