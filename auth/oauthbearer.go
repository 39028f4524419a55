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
func (t *tokenProof) check(view *tenancy.View, _ Principal) Reason {
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
	case c.claim.refusal == ReasonInstanceMissing, c.claim.refusal == ReasonInstanceUnknown, c.claim.refusal == ReasonInstanceMismatch:
		v.why = c.claim.refusal
	case v.why == "":
		if view.Users[v.user].Disabled && c.claim.refusal == "" {
			c.claim.refusal = ReasonUserDisabled
		}
		v.why = c.claim.refusal
	}
	if v.why != "" {
		return c.challenge(v.why)
	}
	c.claim.user = strings.Clone(v.user)
	return outcome{proved: true, proof: Proof{Until: v.until, token: v.proof}}
}

// bearerClaim finds the instance: of the endpoint, of the extension (KIP-342), or
// of both, which then must agree. The view is nil for one that there is not.
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
	view, ok := c.auth.directory.View(target)
	if ok {
		c.claim.instance = view.Instance.ID
	}
	switch {
	case target == "":
		c.claim.refusal = ReasonInstanceMissing
	case !ok:
		c.claim.refusal = ReasonInstanceUnknown
	case mismatch:
		c.claim.refusal = ReasonInstanceMismatch
	case !c.auth.reachable(view, c.peer.From):
		c.claim.refusal = ReasonNetwork
	case view.Instance.State == tenancy.StateSuspended:
		c.claim.refusal = ReasonInstanceSuspended
	case view.Instance.State != tenancy.StateActive:
		c.claim.refusal = ReasonInstanceDeleting
	}
	if !ok || mismatch {
		return nil
	}
	return view
}

// challenge refuses in Kafka's words. The failure counts now: a client need not
// come back for its end.
func (c *Conversation) challenge(why Reason) outcome {
	return outcome{reply: []byte(invalidToken), why: why, next: func([]byte) outcome { return refuse(why) }}
}
