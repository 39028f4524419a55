package auth

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir/tenancy"
)

// issuer is one that an instance believes. Immutable.
type issuer struct {
	tenancy.Issuer
	record [sha256.Size]byte // of all that decides about tokens
}

// compileIssuers finds issuers by URL; of several the first by name counts.
func compileIssuers(all []tenancy.Issuer) map[string]*issuer {
	byURL := make(map[string]*issuer, len(all))
	for _, i := range all {
		if byURL[i.URL] != nil {
			continue
		}
		rules := i
		rules.CreatedAt = time.Time{}
		raw, err := json.Marshal(rules)
		if err != nil {
			continue // it came from JSON
		}
		byURL[i.URL] = &issuer{Issuer: i, record: sha256.Sum256(raw)}
	}
	return byURL
}

// token is a JWT in compact form that has been read and not been believed.
type token struct {
	*jwt.Token

	signed string // what the signature is about
	claims jwt.MapClaims
	kid    string
	named  bool // there is a kid
	alg    string
	issuer string
}

// readToken takes a token apart. Only kid and alg of its header count, each as a
// key to a table: jku, x5u, jwk and x5c are not looked at (S01), and an extension
// that must be understood is refused (RFC 7515 section 4.1.11).
func readToken(raw string) (t token, why Reason) {
	t.claims = jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithJSONNumber())
	parsed, parts, err := parser.ParseUnverified(raw, t.claims)
	if err != nil {
		return t, ReasonTokenMalformed
	}
	t.Token, t.signed = parsed, parts[0]+"."+parts[1]
	t.alg = parsed.Method.Alg()
	if _, critical := parsed.Header["crit"]; critical || !slices.Contains(tokenAlgs(), t.alg) || !typeOK(parsed.Header) {
		return t, ReasonTokenMalformed
	}
	if id, there := parsed.Header["kid"]; there {
		if t.kid, t.named = id.(string); !t.named || len(t.kid) > maxKeyID {
			return t, ReasonTokenMalformed
		}
	}
	t.issuer, _ = t.claims["iss"].(string)
	return t, ""
}

// typeOK is whether typ is absent, JWT or at+jwt (RFC 9068 section 2.1).
func typeOK(header map[string]any) bool {
	typ, there := header["typ"]
	if !there {
		return true
	}
	name, _ := typ.(string)
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	return name == "jwt" || name == "at+jwt"
}

// claimedUser is who the token says, as the instance's issuer of that URL would read it.
func (t token) claimedUser(a *access) string {
	i := a.issuers[t.issuer]
	if i == nil {
		return ""
	}
	user, _ := i.principal(t.claims)
	return user
}

// judgement is what was found about a token.
type judgement struct {
	why    Reason // "": it is right
	claim  string // which claim is wrong; "" if none
	user   string
	issuer *issuer
	until  time.Time // its end, without skew
	proof  *tokenProof
}

// judge checks a token for an instance: signed by a key of an issuer of this very
// instance, for it, now. A token that cannot be right here, since there is no such
// instance (view nil) or it has no such issuer, costs the same work: against the
// keys of that issuer if somebody has it, else against a phantom.
func (a *Authenticator) judge(view *tenancy.View, t token, admit func() Reason) judgement {
	var believed *issuer
	if view != nil {
		believed = compiled(view.Access).issuers[t.issuer]
	}
	var from *source
	if believed != nil {
		var err error
		if from, err = a.keys.source(believed.Issuer); err != nil { // not allowed any more
			believed = nil
		}
	}
	if from == nil {
		from = a.keys.anyOf(t.issuer)
	}
	key, why := a.signer(view, from, t, admit)
	switch {
	case unchecked(why):
		return judgement{why: why, issuer: believed}
	case believed == nil:
		return judgement{why: ReasonIssuerUnknown, claim: "iss"}
	case why != "":
		return judgement{why: why, issuer: believed}
	}
	v := believed.judge(t.claims, a.now(), from.allowed.skew())
	v.issuer = believed
	v.proof = &tokenProof{issuer: believed.URL, record: believed.record, source: from, key: key.print}
	return v
}

// signer is the key by which the token is signed. To check a signature takes up to
// milliseconds (ES384, ES512), so it is done in slots, and
// admit is asked once more there, since much may have failed meanwhile.
func (a *Authenticator) signer(view *tenancy.View, from *source, t token, admit func() Reason) (*tokenKey, Reason) {
	key := &tokenKey{key: a.keys.nobody.of(t.alg)}
	if from != nil {
		var why Reason
		if key, why = from.key(t.kid, t.named, t.alg); why != "" {
			return nil, why
		}
	}
	var id tenancy.InstanceID
	if view != nil {
		id = view.Instance.ID
	}
	release, ok := a.tokenSlots.acquire(id)
	if !ok {
		return nil, ReasonBusy
	}
	defer release()
	if why := admit(); why != "" {
		return nil, why
	}
	if err := t.Method.Verify(t.signed, t.Signature, key.key); err != nil {
		return nil, ReasonSignature
	}
	return key, ""
}

// unchecked reports whether a reason says nothing about the token.
func unchecked(why Reason) bool {
	return why == ReasonBusy || why == ReasonRateLimited || why == ReasonKeyPending || why == ReasonKeysUnavailable
}

// judge checks the claims of a token whose signature is right (RFC 7519, RFC 9068).
// Until a token begins the issuer's clock may be ahead of ours by skew; its end is its
// end: a session would be closed at once.
func (i *issuer) judge(claims jwt.MapClaims, now time.Time, skew time.Duration) judgement {
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return judgement{why: ReasonTokenClaim, claim: "exp"}
	}
	if !now.Before(exp.Time) {
		return judgement{why: ReasonTokenExpired, claim: "exp"}
	}
	iat, err := claims.GetIssuedAt()
	if err != nil || iat == nil {
		return judgement{why: ReasonTokenClaim, claim: "iat"}
	}
	if iat.After(now.Add(skew)) {
		return judgement{why: ReasonTokenEarly, claim: "iat"}
	}
	nbf, err := claims.GetNotBefore()
	switch {
	case err != nil:
		return judgement{why: ReasonTokenClaim, claim: "nbf"}
	case nbf != nil && nbf.After(now.Add(skew)):
		return judgement{why: ReasonTokenEarly, claim: "nbf"}
	}
	if claim := i.unmet(claims); claim != "" {
		return judgement{why: ReasonTokenClaim, claim: claim}
	}
	user, ok := i.principal(claims)
	if !ok {
		return judgement{why: ReasonTokenClaim, claim: i.principalClaim()}
	}
	return judgement{user: user, until: exp.Time}
}

// unmet is the claim that is not as the instance wants it, "" if all are.
func (i *issuer) unmet(claims jwt.MapClaims) string {
	audience, err := claims.GetAudience()
	if err != nil || !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(i.Audiences, a) }) {
		return "aud"
	}
	scopes := slices.Concat(textsOf(claims["scope"]), textsOf(claims["scp"]))
	for _, want := range i.Scopes {
		if !slices.Contains(scopes, want) {
			return "scope"
		}
	}
	for claim, want := range i.Claims {
		switch v := claims[claim].(type) {
		case string:
			if v == want {
				continue
			}
		case json.Number, bool:
			if fmt.Sprint(v) == want {
				continue
			}
		}
		return claim
	}
	return ""
}

// textsOf reads a list of scopes: a text with spaces (RFC 8693 section 4.2) or an
// array, as Okta's scp.
func textsOf(claim any) []string {
	switch v := claim.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var all []string
		for _, one := range v {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

func (i *issuer) principalClaim() string {
	if i.PrincipalClaim == "" {
		return "sub"
	}
	return i.PrincipalClaim
}

// principal is the user that the claims name: by a claim, or by a JSON pointer
// (RFC 6901) through objects.
func (i *issuer) principal(claims jwt.MapClaims) (string, bool) {
	name := i.principalClaim()
	at := claims[name]
	if strings.HasPrefix(name, "/") {
		at = map[string]any(claims)
		for part := range strings.SplitSeq(name[1:], "/") {
			object, _ := at.(map[string]any)
			at = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
	}
	user, ok := at.(string)
	return user, ok && tenancy.CheckProvedUser(user) == nil
}

// TokenCheck is what a login with a token would end in, for the instance's admins.
type TokenCheck struct {
	Reason Reason // "": it would be accepted
	Claim  string // which claim is not as the instance wants it; "" if none
	User   string
	Issuer string // name of the instance's issuer; "" if of none
	Until  time.Time
}

// CheckToken says what a login with the token would end in, whatever the client's
// address. It may wait 2 s for keys; any goroutine.
func (a *Authenticator) CheckToken(id tenancy.InstanceID, raw string) TokenCheck {
	view, ok := a.directory.View(id)
	if !ok || a.keys == nil {
		return TokenCheck{Reason: ReasonIssuerUnknown}
	}
	t, why := readToken(raw)
	if why != "" {
		return TokenCheck{Reason: why}
	}
	v := a.judge(view, t, func() Reason { return "" })
	out := TokenCheck{Reason: v.why, Claim: v.claim}
	if v.issuer != nil {
		out.Issuer = v.issuer.Name
	}
	if v.why != "" {
		return out
	}
	out.User, out.Until = v.user, v.until
	out.Reason = a.suspended(view, view.Users[v.user])
	return out
}
