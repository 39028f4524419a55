package proxy

import (
	"cmp"
	"errors"
	"net/netip"
	"strings"
	"time"

	"weir/auth"
	"weir/proxy/rewrite"
	"weir/tenancy"
)

// maxHostName is the longest name that DNS has, in bytes.
const maxHostName = 255

// refused reports whether an end for that reason is one that the client, or who
// runs it, has to do something about: whatever comes before the session begins and
// what throws a client out of it. Orderly ends are none, nor is who looks whether there
// is a gateway: a health check that says nothing, or goes after the TLS handshake.
func (c *conn) refused(reason string) bool {
	if !c.open.Load() {
		switch reason {
		case reasonDrained, reasonStopped, reasonHealthCheck:
			return false
		case reasonClientGone:
			return c.raw.spoke && !c.probe && (c.in == nil || c.mechanism != "")
		}
		return true
	}
	switch reason {
	case reasonAuth, reasonMechanism, reasonReauth, reasonSASLFirst, reasonExpired, reasonRevoked, reasonNetwork, reasonHost,
		reasonUnsupported, reasonMalformed, reasonFrameSize, reasonSlowFrame, reasonSlowReader, reasonOverloaded, rewrite.ReasonUnanswerable:
		return true
	}
	return false
}

// refusal describes the end of a connection. It never names an instance or a user
// that there is not: what a client sends as a name may be a password.
func (s *Server) refusal(c *conn, reason string, err error) tenancy.Refusal {
	now := time.Now()
	r := tenancy.Refusal{
		First: now, Last: now, Count: 1, Reason: reason, Instance: c.principal.Instance, User: c.principal.User,
		Cloud: c.from.Endpoint.Cloud, EndpointID: c.from.Endpoint.ID,
		Address: subscriber(c.from.Addr), Endpoint: c.lst.ln.Addr().String(), Host: c.host, Mechanism: c.mechanism,
	}
	var failed *auth.Failure
	if errors.As(err, &failed) {
		r.Reason = string(failed.Reason)
		if r.Instance == "" {
			r.Instance, r.User = failed.Instance, failed.User
		}
		r.Mechanism = cmp.Or(failed.Mechanism, r.Mechanism)
	}
	if r.Instance == "" && s.registered(string(c.route.instance)) {
		r.Instance = c.route.instance
	}
	return r
}

// subscriber is an address as refusals are counted: an IPv6 address by its /64.
func subscriber(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	if n := network(a); n != a || a.Is6() {
		return netip.PrefixFrom(n, 64)
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// hostName is what may be kept of a host name that a client asked for.
func hostName(asked string) string {
	return strings.Clone(strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '?'
	}, asked[:min(len(asked), maxHostName)]))
}

// mechanismName is what may be kept of a mechanism that a client asks for: one that
// there is (IANA's list, and what Kafka's clients have beside it). Any other text would
// make an entry of its own in the feed, so that whoever makes up names could push the
// instance's other refusals out of it.
func mechanismName(asked string) string {
	switch asked {
	case auth.Plain, auth.ScramSHA256, auth.ScramSHA512, auth.OAuthBearer, "GSSAPI", "GSS-SPNEGO", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS",
		"SCRAM-SHA-512-PLUS", "EXTERNAL", "ANONYMOUS", "LOGIN", "NTLM", "CRAM-MD5", "DIGEST-MD5", "XOAUTH2", "AWS_MSK_IAM":
		return strings.Clone(asked)
	}
	return ""
}
