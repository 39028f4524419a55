package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"sync/atomic"
	"time"

	"weir/tenancy"
)

// clientCAs are the client CAs of one instance, ready for use. Immutable but for
// what was warned of.
type clientCAs struct {
	all     []clientCA
	pool    *x509.CertPool
	revoked map[certificateID]bool
	stale   time.Time // when the first of the CRLs should have been replaced; zero: never
	warned  atomic.Bool
}

// clientCA is one of them.
type clientCA struct {
	name    string
	anchors map[anchorID]bool
	rules   []tenancy.Rule // never empty
	own     bool           // the rules are the client CA's, not the default
}

// anchorID is the SHA-256 fingerprint of a trust anchor.
type anchorID [sha256.Size]byte

// certificateID names a certificate as a CRL does.
type certificateID struct{ issuer, serial string }

func idOf(c *x509.Certificate) certificateID {
	return certificateID{string(c.RawIssuer), c.SerialNumber.String()}
}

// compileClientCAs leaves out a client CA that is not whole: it proves nothing.
func compileClientCAs(all []tenancy.ClientCA) *clientCAs {
	cas := &clientCAs{pool: x509.NewCertPool(), revoked: make(map[certificateID]bool)}
	for _, c := range all {
		anchors, crls, err := c.Parse()
		if err != nil { // the store has none that is not; somebody else wrote it
			continue
		}
		ca := clientCA{name: c.Name, own: len(c.Rules) > 0, anchors: make(map[anchorID]bool, len(anchors))}
		for _, a := range anchors {
			ca.anchors[sha256.Sum256(a.Raw)] = true
			cas.pool.AddCert(a)
		}
		for _, l := range crls {
			cas.revoke(l)
		}
		rules := c.Rules
		if len(rules) == 0 {
			rules = []tenancy.CertificateRule{{From: tenancy.FromSubject}}
		}
		for _, r := range rules {
			rule, err := r.Compile()
			if err != nil { // Parse has seen that there is none
				continue
			}
			ca.rules = append(ca.rules, rule)
		}
		cas.all = append(cas.all, ca)
	}
	return cas
}

// revoke takes in a list. It counts beyond its NextUpdate, too: what was revoked
// does not come back because somebody forgot a new list.
func (cas *clientCAs) revoke(l *x509.RevocationList) {
	for _, e := range l.RevokedCertificateEntries {
		cas.revoked[certificateID{string(l.RawIssuer), e.SerialNumber.String()}] = true
	}
	if n := l.NextUpdate; !n.IsZero() && (cas.stale.IsZero() || n.Before(cas.stale)) {
		cas.stale = n
	}
}

// match is which rule of which client CA made the user.
type match struct {
	user string
	ca   string
	rule int // from 1 on
}

// user is whom a chain to an anchor makes of these names: the first rule that
// matches of the first client CA, by name, that has the anchor.
func (cas *clientCAs) user(anchor anchorID, names certificateNames) (match, bool) {
	for _, ca := range cas.all {
		if !ca.anchors[anchor] {
			continue
		}
		for i, rule := range ca.rules {
			for _, name := range names[rule.From] {
				if user, ok := rule.User(name); ok {
					m := match{user: user, ca: ca.name}
					if ca.own {
						m.rule = i + 1
					}
					return m, true
				}
			}
		}
	}
	return match{}, false
}
