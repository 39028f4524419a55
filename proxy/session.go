package proxy

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"weir/auth"
	"weir/proxy/rewrite"
	"weir/tenancy"
	"weir/upstream"
)

// peer is what authentication may know of the client.
func (c *conn) peer() auth.Peer {
	return auth.Peer{From: c.from, Instance: c.route.instance, Chain: c.chain}
}

// addrOf is a socket's address, as addresses are compared everywhere.
func addrOf(at net.Addr) netip.Addr {
	if tcp, ok := at.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if ap, err := netip.ParseAddrPort(at.String()); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// recheck ends a session that may not stay. Any goroutine.
func (c *conn) recheck() {
	proof := c.proof.Load()
	if proof == nil { // nothing proved yet
		return
	}
	if err := c.mayStay(*proof); err != nil {
		c.close(err)
	}
}

// mayStay says why a session that was allowed may not stay; nil if it may.
func (c *conn) mayStay(proof auth.Proof) error {
	if why := c.srv.cfg.Auth.Check(c.principal, proof, c.peer()); why != "" {
		return notAllowed(why)
	}
	if !c.hostStays() {
		return &closing{reason: reasonHost, fix: "the instance has lost the host name that the client connects to: weir host list INSTANCE"}
	}
	return nil
}

// openSession fixes what stays the same for all exchanges of the connection.
func (c *conn) openSession() error {
	view, ok := c.srv.cfg.Directory.View(c.principal.Instance)
	if !ok {
		return &closing{reason: reasonRevoked}
	}
	c.pool = c.srv.cfg.Pools[view.Instance.Pool]
	if c.pool == nil {
		return closef(reasonNoPool, "instance %s is in pool %q, which is not configured", view.Instance.ID, view.Instance.Pool)
	}
	if c.route.pool != "" && c.route.pool != c.pool.Name() {
		return closef(reasonWrongPool, "this port is a broker of pool %s, the instance is in %s", c.route.pool, c.pool.Name())
	}
	c.sess = &rewrite.Session{
		Space:      view.Space,
		ClusterID:  view.Instance.ClusterID,
		Instance:   view.Instance.ID,
		Principal:  "User:" + c.principal.User,
		Guard:      c.srv.cfg.Auth.Guard(c.principal, c.from.Addr),
		Store:      c.srv.cfg.Store,
		Pool:       c.pool,
		Address:    c.lst.addresses(c.route, view.Instance.ID, c.pool),
		Foreign:    c.srv.foreign(view.Instance.ID, c.pool),
		Registered: c.srv.registered,
		AutoCreate: c.srv.cfg.AutoCreateTopics,
		Limits:     c.srv.hard.session(view.Instance, c.pool, c.principal.User),
		Counting:   c.srv.usage.counting(),
	}
	if err := c.enterInstance(); err != nil {
		return err
	}
	c.beginUse(view)
	c.node = c.route.node
	c.srv.memory.join(c, view.Instance.ID)
	c.srv.conns.own(c)
	// The right to be here may have ended between the proof and own, unseen.
	if err := c.mayStay(*c.proof.Load()); err != nil {
		return err
	}
	// And the names may have changed between View and own.
	if now, ok := c.srv.cfg.Directory.View(c.principal.Instance); ok {
		if _, same := now.Space.Extends(c.sess.Space); !same {
			return &closing{reason: reasonNames}
		}
		c.recount(now) // and so may its plan
	}
	c.srv.metrics.sessions.Inc()
	return c.raw.SetDeadline(time.Time{})
}

// registered reports whether there is an instance of that id.
func (s *Server) registered(id string) bool {
	_, ok := s.cfg.Directory.View(tenancy.InstanceID(id))
	return ok
}

// foreign tells whether a text names what is not this instance's: a broker's
// host, the pool's cluster id, a principal, or another instance's prefix.
func (s *Server) foreign(own tenancy.InstanceID, pool *upstream.Pool) func(text string) bool {
	return func(text string) bool {
		if id := pool.ClusterID(); id != "" && strings.Contains(text, id) {
			return true
		}
		if strings.Contains(text, "User:") {
			return true
		}
		for _, b := range pool.Brokers() {
			if names(text, b.Host) {
				return true
			}
		}
		// Whole names, of which only the beginning counts: what follows an own
		// prefix is the client's, and must not tell which instances there are.
		words := strings.FieldsFunc(text, func(r rune) bool {
			return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		for _, w := range words {
			first, _, dotted := strings.Cut(w, ".")
			if !dotted || tenancy.InstanceID(first) == own {
				continue
			}
			if s.registered(first) {
				return true
			}
		}
		return false
	}
}

// names reports whether text names host, which is more than to have its letters
// within a word of its own: a broker's host may be "broker".
func names(text, host string) bool {
	alnum := func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	for host != "" {
		_, after, found := strings.Cut(text, host)
		if !found {
			return false
		}
		at := len(text) - len(after) - len(host)
		if (at == 0 || !alnum(text[at-1])) && (after == "" || !alnum(after[0])) {
			return true
		}
		text = text[at+1:]
	}
	return false
}
