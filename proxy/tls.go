package proxy

import (
	"crypto/tls"
	"errors"
)

// startTLS takes the connection through the TLS handshake. Its first message
// names the instance: who may not come is refused there, before the costly part.
func (c *conn) startTLS() error {
	t := tls.Server(c.raw, c.lst.TLS)
	c.nc = t
	c.raw.bound(handshakeBytes)
	defer c.raw.unbound()
	if err := t.HandshakeContext(c.ctx); err != nil {
		return tlsFailed(err)
	}
	return nil
}

// listenerTLS is what a listener's connections are served by. There are no session
// tickets: one would outlive the client CA that the session it resumes hung on
// (CVE-2025-68121), and would tell which instances have client CAs. For the same
// reason every client is asked for a certificate, whatever its instance does with it,
// and none is told which client CAs there are.
func listenerTLS(base *tls.Config) *tls.Config {
	cfg := base.Clone()
	cfg.SessionTicketsDisabled = true
	cfg.ClientAuth = tls.RequestClientCert
	cfg.GetCertificate = certificates(base)
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		t, ok := hello.Conn.(*transport)
		if !ok {
			return nil, errors.New("a connection that is not of this package")
		}
		own := cfg.Clone()
		own.GetConfigForClient, own.VerifyConnection = nil, t.owner.verify
		return own, t.owner.hello(hello.ServerName)
	}
	return cfg
}

// hello sees the host name that the client asks for, on the reading goroutine.
func (c *conn) hello(serverName string) error {
	c.route, c.host = c.lst.route(serverName), hostName(serverName)
	if why := c.srv.cfg.Auth.Admit(c.peer()); why != "" {
		c.raw.mute() // an alert would say more than a closed port
		return notAdmitted(why)
	}
	if err := c.srv.memory.refuse(); err != nil {
		c.raw.mute()
		return err
	}
	if err := c.knock(c.route.instance); err != nil {
		c.raw.mute()
		return err
	}
	paid, why := c.srv.cfg.Auth.Enter(c.peer())
	if c.paid = paid; why != "" {
		c.raw.mute()
		return notAdmitted(why)
	}
	return nil
}
