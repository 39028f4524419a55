package auth

import (
	"crypto/sha256"
	"strings"

	"weir/tenancy"
)

// OAuthBearer is SASL OAUTHBEARER (RFC 7628, KIP-255).
const OAuthBearer = "OAUTHBEARER"

// invalidToken is the challenge after every refusal, whatever its cause: Kafka's
// OAuthBearerSaslServer sends the same. The client answers with \x01 and gets a 58.
const invalidToken = `{"status":"invalid_token"}` //nolint:gosec // a status, no token

// tokenProof is by what a token was believed. Immutable.
type tokenProof struct {
	issuer string            // its URL
	record [sha256.Size]byte // of the issuer: believed as it was then
	source *source           // of its keys
	key    print
}

// check says why the token does not count any more: the instance has another
// issuer, or the issuer has taken the key back. It costs two look-ups, and has the
// keys fetched when they grow old.
func (t *tokenProof) check(view *tenancy.View) Reason {
	if t == nil {
		return ""
	}
	i := compiled(view.Access).issuers[t.issuer]
	if i == nil || i.record != t.record {
		return ReasonRevoked
	}
	t.source.touch()
	if set := t.source.current(); set == nil || !set.has(t.key) {
		return ReasonRevoked
	}
	return ""
}

// bearerFirst takes the client's first message, which has the token. A message that
// is none fails at once, as on Kafka; what is wrong with a token is not said.
func (c *Conversation) bearerFirst(message []byte) outcome {
	b, ok := parseBearer(message)
	if !ok {
		return refuse(c.admit(ReasonMalformed))
	}
	view := c.bearerClaim(b)
	t, why := readToken(b.token)
	if why != "" {
		return c.challenge(c.admit(why))
	}
	if view != nil {
		// Only to count by: who has logged in from there before is not locked out
		// by others behind the same address.
		c.claim.unproved = t.claimedUser(compiled(view.Access))
	}
	if why := c.admit(""); why != "" {
		return c.challenge(why)
	}
	v := c.auth.judge(view, t, func() Reason { return c.admit("") })
	switch {
	case v.why == "" && b.authzid != "" && b.authzid != v.user:
		v.why = ReasonAuthzID
	case v.why == ReasonKeyPending, v.why == ReasonKeysUnavailable:
		return refuse(v.why) // without a word: see Failure.Later
	case unchecked(v.why):
	case c.claim.refusal != "": // no such instance, or it is not clear which
		v.why = c.claim.refusal
	case v.why == "":
		v.why = c.auth.barred(view, view.Users[v.user], c.peer.From)
	}
	if v.why != "" {
		return c.challenge(v.why)
	}
	c.claim.user = strings.Clone(v.user)
	return outcome{proved: true, proof: Proof{Until: v.until, token: v.proof}}
}

// bearerClaim finds the instance: of the endpoint, of the extension (KIP-342), or
// of both, which then must agree. The view is nil if that finds none.
func (c *Conversation) bearerClaim(b bearer) *tenancy.View {
	target, mismatch := c.peer.Instance, false
	switch suffix := tenancy.InstanceID(b.instance); {
	case suffix == "" || suffix == target:
	case target == "":
		target = suffix
	default:
		mismatch = true
	}
	c.claim = claim{target: target}
	view, why := c.auth.instance(&c.claim, mismatch)
	c.claim.refusal = why
	return view
}

// challenge refuses in Kafka's words. The failure counts now: a client need not
// come back for its end.
func (c *Conversation) challenge(why Reason) outcome {
	return outcome{reply: []byte(invalidToken), why: why, next: func([]byte) outcome { return refuse(why) }}
}
