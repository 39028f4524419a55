package proxy

import (
	"crypto/tls"
	"errors"
	"time"

	"weir/auth"
)

// certified is whom a client's certificate proved.
type certified struct {
	principal auth.Principal
	proof     auth.Proof
}

// verify looks at what the client showed, on the reading goroutine, in the middle of
// the handshake: a certificate that the named instance's client CAs do not bear out
// ends it with an alert, as on a Kafka with ssl.client.auth. Where the host name says
// no instance, or one without client CAs, it proves nothing and harms nothing. That
// the client has its key is seen right after this.
func (c *conn) verify(state tls.ConnectionState) error {
	c.chain = state.PeerCertificates
	p, proof, err := c.srv.cfg.Auth.Certify(c.peer())
	if err != nil {
		return badCertificate(err)
	}
	if p != (auth.Principal{}) {
		c.certified = &certified{p, proof}
	}
	return nil
}

// firstLimit bounds a request before there is a session. Who has shown a believed
// certificate may begin with any: on a connection to a broker it may be a Produce.
func (c *conn) firstLimit() int {
	if c.certified == nil {
		return preAuthFrame
	}
	return c.srv.cfg.MaxFrameBytes
}

// inspectFirst is inspect for a request that may be the first of a session: it has
// the time of its size to arrive, not what is left of the handshake's.
func (c *conn) inspectFirst(begin []byte, size int) error {
	if err := c.inspect(begin, size); err != nil {
		return err
	}
	if size <= preAuthFrame {
		return nil
	}
	// Before megabytes are taken in for who may not begin a session anyway.
	if why := c.srv.cfg.Auth.Check(c.certified.principal, c.certified.proof, c.peer()); why != "" {
		return closef(reasonFrameSize, "%d bytes from a client that may not begin a session: %s", size, why)
	}
	return c.raw.SetReadDeadline(time.Unix(0, c.frameBy.Load()))
}

// holdFirst is hold for such a request. Limits know whose it is when it has begun
// the session.
func (c *conn) holdFirst(begin []byte, size int) error {
	if err := c.awaitMemory(begin, size); err != nil || size <= preAuthFrame {
		return err
	}
	return c.raw.SetReadDeadline(time.Unix(0, c.frameBy.Load()))
}

// certifiedIdle reports whether a client that has proved itself says nothing in the
// time that a handshake has: it keeps a connection for later, as Java's do.
func (c *conn) certifiedIdle(err error) bool {
	return c.certified != nil && isTimeout(err) && c.in.Between()
}

// beginCertified begins a session with its first request, which is served as any
// that follows; nil: there is none yet.
func (c *conn) beginCertified(first []byte) error {
	got := c.certified
	if why := c.srv.cfg.Auth.Check(got.principal, got.proof, c.peer()); why == auth.ReasonSASLRequired {
		return &closing{
			reason: reasonSASLFirst, err: errors.New("the instance's clients must use SASL beside their certificate"),
			fix: "set security.protocol=SASL_SSL and a mechanism, or: weir authentication set INSTANCE --no-require-sasl",
		}
	} else if why != "" {
		return notAllowed(why)
	}
	c.principal, c.first = got.principal, first
	c.proof.Store(&got.proof) // from here on others look at both
	return nil
}

// badCertificate is why a handshake ends in which the client showed a certificate.
func badCertificate(err error) error {
	c := &closing{reason: reasonTLS, err: err, fix: "weir client-ca check INSTANCE --certificate FILE says what is wrong with it"}
	var failure *auth.Failure
	if errors.As(err, &failure) {
		c.reason = string(failure.Reason)
	}
	return c
}
