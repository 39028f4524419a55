package proxy

import (
	"crypto/tls"

	"weir/tenancy"
)

// hostFinder finds the instance that has a host name of its own; it is
// tenancy.Directory.Host.
type hostFinder func(name string) (*tenancy.View, *tenancy.Host, bool)

// routeHost reads the host names of instances' own, and b<node>.<host>; ok is false
// for any other name.
func (l *listener) routeHost(name string) (r route, ok bool) {
	r = route{node: AnyNode}
	if node, host, is := tenancy.BrokerHost(name); is {
		r.node, name = node, host
	}
	view, host, ok := l.hosts(name)
	if !ok {
		return route{}, false
	}
	// The view's own text, so as not to keep the client's message.
	r.instance, r.host = view.Instance.ID, host.Name
	return r, true
}

// hostStays reports whether the host name that the client came by is still its
// instance's. Cheap, without a lock; any goroutine.
func (c *conn) hostStays() bool {
	if c.route.host == "" {
		return true
	}
	view, _, ok := c.lst.hosts(c.route.host)
	return ok && view.Instance.ID == c.route.instance
}

// certificates chooses by the name that a client has asked for: the instance's
// own certificate for its own names, for all others what base has.
func certificates(base *tls.Config) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if t, ok := hello.Conn.(*transport); ok {
			if own := t.owner.certificate(); own != nil {
				return own, nil
			}
		}
		if base.GetCertificate != nil {
			return base.GetCertificate(hello)
		}
		return nil, nil //nolint:nilnil // crypto/tls takes one of base.Certificates then
	}
}

// certificate is that of the host name that the client asked for; nil if the
// listener's own is to be shown. Reading goroutine only.
func (c *conn) certificate() *tls.Certificate {
	if c.route.host == "" {
		return nil
	}
	view, _, ok := c.lst.hosts(c.route.host)
	if !ok { // removed since the name was read
		return nil
	}
	return c.srv.compiled(view).certificates[c.route.host]
}

// openCertificates opens those of an instance's host names. One that cannot be
// opened is logged here, once for each change of the instance's access, and left
// out: the listener's own is shown then.
func (s *Server) openCertificates(view *tenancy.View) map[string]*tls.Certificate {
	own := make(map[string]*tls.Certificate, len(view.Access.Hosts))
	for _, h := range view.Access.Hosts {
		pair, err := h.Certificate(s.cfg.Sealer, view.Instance.ID)
		if err != nil {
			s.cfg.Log.Error("cannot use the certificate of a host name, showing the listener's own", "instance", string(view.Instance.ID),
				"host", h.Name, "err", err, "try", "weir host set "+string(view.Instance.ID)+" "+h.Name+" --certificate FILE --key FILE")
			continue
		}
		own[h.Name] = pair
	}
	return own
}
