package proxy

import (
	"crypto/tls"
	"sync"

	"weir/tenancy"
	"weir/upstream"
)

// access is what this package makes of an instance's tenancy.Access. Immutable.
type access struct {
	certificates map[string]*tls.Certificate // by host name
	// identity is the instance's principal in its pool, opened when it is first asked for.
	identity func() (*upstream.Identity, error)
}

// compiled returns what was made of the view's access, and makes it if this is the
// first time that somebody asks. Any goroutine.
func (s *Server) compiled(view *tenancy.View) *access {
	made := view.Access.Made(tenancy.SlotProxy, func() any {
		return &access{
			certificates: s.openCertificates(view),
			identity:     sync.OnceValues(func() (*upstream.Identity, error) { return s.openIdentity(view) }),
		}
	})
	return made.(*access)
}
