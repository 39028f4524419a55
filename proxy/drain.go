package proxy

import (
	"context"
	"math/rand/v2"
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
)

// drain lets every client leave without an error: connections are closed
// between exchanges, and not all in the same moment, so that the other gateways
// are not stormed.
func (s *Server) drain(now <-chan struct{}, accepting, wg *sync.WaitGroup) {
	s.cfg.Log.Info("draining", "connections", s.Connections(), "grace", s.cfg.DrainGrace, "spread", s.cfg.DrainSpread)
	grace := time.NewTimer(s.cfg.DrainGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
	case <-now:
		return
	}
	s.closeListeners()
	accepting.Wait() // from here on the registry is complete
	s.conns.each(func(c *conn) {
		// Not a security decision: which connection goes first does not matter.
		delay := time.Duration(rand.Int64N(int64(s.cfg.DrainSpread) + 1)) //nolint:gosec // spread, no secret
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
		}
	}
}
