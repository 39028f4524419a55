package auth

import (
	"crypto/x509"
	"sync/atomic"
	"time"

	"weir/tenancy"
)

// Certificate is the mechanism of who proves itself in the TLS handshake alone.
const Certificate = "CERTIFICATE"

// certificateProof is by what a client certificate was believed. Immutable but for
// what it remembers of the newest check.
type certificateProof struct {
	user  string // that the certificate stands for; "": any, since SASL says who it is
	names certificateNames
	paths []path
	until time.Time // the earliest end of any certificate in them

	checked atomic.Pointer[tenancy.Access] // for which it counted
}

// path is a chain from a client's certificate to an anchor.
type path struct {
	anchor anchorID
	ids    []certificateID // the anchor's included
}

// check says why the certificate does not count any more: the client CA is gone,
// something in the chain was revoked, or the rules make another user of it. Lookups
// only; nothing at all while the instance's access is the same.
func (c *certificateProof) check(view *tenancy.View) Reason {
	if c == nil || c.checked.Load() == view.Access {
		return ""
	}
	if _, why := c.match(compiled(view.Access).clientCAs); why != "" {
		return why
	}
	c.checked.Store(view.Access)
	return ""
}

// match finds the first path that counts. Otherwise the reason is that of the path
// that came furthest.
func (c *certificateProof) match(cas *clientCAs) (match, Reason) {
	why := ReasonCertificateUntrusted
	for _, p := range c.paths {
		switch m, there, ok := cas.follow(p, c.names); {
		case !there:
		case cas.anyRevoked(p.ids):
			why = ReasonCertificateRevoked
		case ok && (c.user == "" || m.user == c.user):
			return m, ""
		default:
			why = ReasonCertificateUnmapped
		}
	}
	return match{}, why
}

// follow is user, and whether the path's anchor still is one.
func (cas *clientCAs) follow(p path, names certificateNames) (m match, there, ok bool) {
	for _, ca := range cas.all {
		there = there || ca.anchors[p.anchor]
	}
	m, ok = cas.user(p.anchor, names)
	return m, there, ok
}

func (cas *clientCAs) anyRevoked(ids []certificateID) bool {
	for _, id := range ids {
		if cas.revoked[id] {
			return true
		}
	}
	return false
}

// Certify says whom the certificate that a client showed in the handshake makes of
// it, for the instance that its endpoint names: the zero Principal and no reason if
// it showed none, or if the instance has no client CAs, there or not. That it has
// the certificate's key, the TLS handshake must say. Any goroutine.
func (a *Authenticator) Certify(peer Peer) (Principal, Proof, error) {
	view, ok := a.directory.View(peer.Instance)
	if !ok || len(peer.Chain) == 0 || len(view.Access.ClientCAs) == 0 {
		return Principal{}, Proof{}, nil
	}
	fail := func(why Reason) (Principal, Proof, error) {
		return Principal{}, Proof{}, &Failure{Reason: why, Mechanism: Certificate, Instance: view.Instance.ID}
	}
	proof, m, err := a.believe(view, peer.Chain)
	if err != nil {
		return fail(err.why)
	}
	proof.certificate.user = m.user
	return Principal{Instance: view.Instance.ID, User: m.user}, proof, nil
}

// besides adds to the proof of a SASL conversation the certificate that the
// instance's policy asks for. The password was right: it may cost what it costs.
func (a *Authenticator) besides(proof *Proof, id tenancy.InstanceID, peer Peer) Reason {
	view, ok := a.directory.View(id)
	if !ok || !view.Access.Authentication.RequireCertificate {
		return ""
	}
	shown, _, err := a.believe(view, peer.Chain)
	if err != nil {
		return err.why
	}
	proof.certificate = shown.certificate
	proof.Until = earlier(proof.Until, shown.Until)
	return ""
}

// believe verifies a chain for an instance, in slots: a chain costs
// up to a hundred signatures by keys that the instance has chosen (crypto/x509), and
// whoever connects may have it looked at.
func (a *Authenticator) believe(view *tenancy.View, chain []*x509.Certificate) (Proof, match, *unbelieved) {
	cas := compiled(view.Access).clientCAs
	release, ok := a.chainSlots.acquire(view.Instance.ID)
	if !ok {
		return Proof{}, match{}, &unbelieved{why: ReasonBusy}
	}
	defer release()
	now := a.now()
	a.warn(view, cas, now)
	c, err := cas.verify(chain, now)
	if err != nil {
		return Proof{}, match{}, err
	}
	m, why := c.match(cas)
	if why != "" {
		return Proof{}, match{}, &unbelieved{why: why}
	}
	c.checked.Store(view.Access)
	return Proof{Mechanism: Certificate, Until: c.until, certificate: c}, m, nil
}

// warn says once for each change of the client CAs that a list has not been replaced.
func (a *Authenticator) warn(view *tenancy.View, cas *clientCAs, now time.Time) {
	if cas.stale.IsZero() || now.Before(cas.stale) || cas.warned.Swap(true) {
		return
	}
	a.log.Warn("a crl of a client ca is out of date: what it revokes stays revoked, what was revoked since is not known",
		"instance", view.Instance.ID, "next_update", cas.stale)
}
