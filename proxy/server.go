package proxy

import "context"

// Server accepts Kafka clients.
type Server struct{}

// New checks cfg and binds every listener, so that a port in use is an error here.
func New(cfg Config) (*Server, error) { panic("stub") }

// Addrs are the bound addresses, in the order of Config.Listeners (for port 0).
func (s *Server) Addrs() []string { panic("stub") }

// Serve accepts until ctx ends, then drains (operations.md A.2 rule 3): new
// connections are accepted for DrainGrace, then each open one is closed after
// its exchange in flight, spread over DrainSpread. It returns when all are
// closed. now, when closed, ends the drain at once.
func (s *Server) Serve(ctx context.Context, now <-chan struct{}) error { panic("stub") }

// Connections is the number of open client connections.
func (s *Server) Connections() int { panic("stub") }
