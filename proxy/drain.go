package proxy

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// hardStop is how long after the drain's own time what is still open is cut
	// (operations.md A.2 rule 3: 60 s in all with the defaults).
	hardStop = 25 * time.Second
	// tidyEvery is how often idle connections are looked at.
	tidyEvery = 2 * time.Second
	// bufferIdle is after how long without a request a connection's buffers are
	// given up.
	bufferIdle = 5 * time.Second
	// emptyQueue is how long a shared port is deaf before it is closed: a few
	// round trips, for handshakes under way, and less than the second after which
	// clients repeat a SYN.
	emptyQueue = 300 * time.Millisecond
)

// drain lets every client leave without an error: connections are closed
// between exchanges, and not all in the same moment, so that the other gateways
// are not stormed.
func (s *Server) drain(now <-chan struct{}, accepting, wg *sync.WaitGroup) {
	s.cfg.Log.Info("draining", "connections", s.Connections(), "grace", s.cfg.DrainGrace, "spread", s.cfg.DrainSpread)
	if !pause(s.cfg.DrainGrace, now) || s.deafen() && !pause(emptyQueue, now) {
		return
	}
	s.closeListeners()
	accepting.Wait() // from here on the registry is complete
	s.conns.each(func(c *conn) {
		// Not a security decision: which connection goes first does not matter.
		delay := time.Duration(rand.Int64N(int64(s.cfg.DrainSpread) + 1))
		t := time.AfterFunc(delay, c.drain)
		context.AfterFunc(c.ctx, func() { t.Stop() })
	})
	all := make(chan struct{})
	wg.Go(func() { // ends with the last connection
		s.conns.wait()
		close(all)
	})
	hard := time.NewTimer(s.cfg.DrainSpread + hardStop)
	defer hard.Stop()
	select {
	case <-all:
	case <-hard.C:
		s.cfg.Log.Warn("drain took too long, closing what is left", "connections", s.Connections())
	case <-now:
	}
}

// pause waits for d; false if now is closed first.
func pause(d time.Duration, now <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-now:
		return false
	}
}

// deafen ends the stream of new connections to ports that other processes
// listen on too, and says whether there are such.
func (s *Server) deafen() bool {
	shared := false
	for _, l := range s.listeners {
		ln, ok := l.ln.(*net.TCPListener)
		if !ok || !l.ReusePort {
			continue
		}
		shared = true
		if err := deafen(ln); err != nil {
			s.cfg.Log.Warn("connections that are being opened may be reset", "listener", l.Address, "err", err)
		}
	}
	return shared
}

// janitor gives back what idle connections hold.
func (s *Server) janitor(ctx context.Context) {
	every := min(tidyEvery, s.cfg.UpstreamIdle/2+time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-t.C:
			s.conns.each(func(c *conn) { c.tidy(at) })
			s.usage.tidy(at)
			s.log.tidy(at)
		}
	}
}
