package proxy

import (
	"crypto/tls"

	"weir/tenancy"
)

// access is what this package makes of an instance's tenancy.Access. Immutable.
type access struct {
	certificates map[string]*tls.Certificate // by host name
}

// compiled returns what was made of the view's access, and makes it if this is the
// first time that somebody asks. Any goroutine.
func (s *Server) compiled(view *tenancy.View) *access {
	made := view.Access.Made(tenancy.SlotProxy, func() any {
		return &access{certificates: s.openCertificates(view)}
	})
	return made.(*access)
}
