package auth

import (
	"crypto"
	"crypto/elliptic"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir/tenancy"
)

func TestBearerMessages(t *testing.T) {
	for name, tc := range map[string]struct {
		message string
		want    bearer
		ok      bool
	}{
		"java":                  {"n,,\x01auth=Bearer a.b.c\x01\x01", bearer{token: "a.b.c"}, true},
		"authzid":               {"n,a=bob=2Cof=3Done,\x01auth=Bearer a.b-_~+/=\x01\x01", bearer{authzid: "bob,of=one", token: "a.b-_~+/="}, true},
		"host and port":         {"n,,\x01host=h\x01port=1\x01auth=bearer  t\x01\x01", bearer{token: "t"}, true},
		"instance":              {"n,,\x01auth=Bearer t\x01instance=one\x01\x01", bearer{token: "t", instance: "one"}, true},
		"other extensions":      {"n,,\x01auth=Bearer t\x01logicalCluster=lkc-1\x01\x01", bearer{token: "t"}, true},
		"empty":                 {"", bearer{}, false},
		"channel binding":       {"y,,\x01auth=Bearer t\x01\x01", bearer{}, false},
		"no separator":          {"n,,auth=Bearer t\x01\x01", bearer{}, false},
		"no end":                {"n,,\x01auth=Bearer t\x01", bearer{}, false},
		"something behind":      {"n,,\x01auth=Bearer t\x01\x01x", bearer{}, false},
		"no token":              {"n,,\x01\x01", bearer{}, false},
		"empty token":           {"n,,\x01auth=Bearer \x01\x01", bearer{}, false},
		"basic":                 {"n,,\x01auth=Basic t\x01\x01", bearer{}, false},
		"two tokens":            {"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01", bearer{}, false},
		"NUL in the token":      {"n,,\x01auth=Bearer t\x00\x01\x01", bearer{}, false},
		"digits in a key":       {"n,,\x01auth=Bearer t\x01k1=v\x01\x01", bearer{}, false},
		"empty value":           {"n,,\x01auth=Bearer t\x01k=\x01\x01", bearer{}, false},
		"value is not ASCII":    {"n,,\x01auth=Bearer t\x01k=ü\x01\x01", bearer{}, false},
		"authzid is not quoted": {"n,a=b=c,\x01auth=Bearer t\x01\x01", bearer{}, false},
		"authzid without a=":    {"n,bob,\x01auth=Bearer t\x01\x01", bearer{}, false},
		"authzid is empty":      {"n,a=,\x01auth=Bearer t\x01\x01", bearer{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseBearer([]byte(tc.message))
			if ok != tc.ok || ok && got != tc.want {
				t.Errorf("got %+v, %v", got, ok)
			}
		})
	}
}

// Every algorithm, and every way to say who it is.
func TestTokens(t *testing.T) {
	f := newTokenFixture(t)
	keys := map[string]crypto.Signer{
		"rs": testRSA(), "p256": testEC(elliptic.P256()), "p384": testEC(elliptic.P384()), "p521": testEC(elliptic.P521()), "ed": testEd(),
	}
	f.login.publish(keys)
	now := time.Now()
	with := func(change jwt.MapClaims) jwt.MapClaims {
		c := f.login.claims(now)
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
	for name, tc := range map[string]struct {
		method jwt.SigningMethod
		kid    any
		header map[string]any
		change jwt.MapClaims
		issuer func(*tenancy.Issuer)
		user   string
		why    Reason
	}{
		"RS256":                       {method: jwt.SigningMethodRS256, kid: "rs"},
		"RS512":                       {method: jwt.SigningMethodRS512, kid: "rs"},
		"PS256":                       {method: jwt.SigningMethodPS256, kid: "rs"},
		"ES256":                       {method: jwt.SigningMethodES256, kid: "p256"},
		"ES384":                       {method: jwt.SigningMethodES384, kid: "p384"},
		"ES512":                       {method: jwt.SigningMethodES512, kid: "p521"},
		"EdDSA":                       {method: jwt.SigningMethodEdDSA, kid: "ed"},
		"no kid, one key of the kind": {method: jwt.SigningMethodES384, kid: nil, header: map[string]any{"was": "p384"}},
		"at+jwt":                      {header: map[string]any{"typ": "at+jwt"}},
		"application/at+JWT":          {header: map[string]any{"typ": "application/at+JWT"}},
		"no typ":                      {header: map[string]any{"typ": nil}},
		"other typ":                   {header: map[string]any{"typ": "logout+jwt"}, why: ReasonTokenMalformed},
		"critical extension":          {header: map[string]any{"crit": []string{"exp"}, "exp": 1}, why: ReasonTokenMalformed},
		"one of several audiences":    {change: jwt.MapClaims{"aud": []string{"x", "kafka-2"}}},
		"another audience":            {change: jwt.MapClaims{"aud": "other"}, why: ReasonTokenClaim},
		"no audience":                 {change: jwt.MapClaims{"aud": nil}, why: ReasonTokenClaim},
		"scp of Okta":                 {change: jwt.MapClaims{"scope": nil, "scp": []string{"kafka:use"}}},
		"scope missing":               {change: jwt.MapClaims{"scope": "openid"}, why: ReasonTokenClaim},
		"prefix of the scope":         {change: jwt.MapClaims{"scope": "kafka:use2"}, why: ReasonTokenClaim},
		"no exp":                      {change: jwt.MapClaims{"exp": nil}, why: ReasonTokenClaim},
		"no iat":                      {change: jwt.MapClaims{"iat": nil}, why: ReasonTokenClaim},
		"exp is a text":               {change: jwt.MapClaims{"exp": "never"}, why: ReasonTokenClaim},
		"expired":                     {change: jwt.MapClaims{"exp": now.Unix() - 1}, why: ReasonTokenExpired},
		"iat within skew":             {change: jwt.MapClaims{"iat": now.Unix() + 20}},
		"iat in the future":           {change: jwt.MapClaims{"iat": now.Unix() + 60}, why: ReasonTokenEarly},
		"nbf in the future":           {change: jwt.MapClaims{"nbf": now.Unix() + 60}, why: ReasonTokenEarly},
		"claim by name":               {change: jwt.MapClaims{"client_id": "app"}, issuer: func(i *tenancy.Issuer) { i.PrincipalClaim = "client_id" }, user: "app"},
		"claim by pointer": {
			change: jwt.MapClaims{"realm/x": map[string]any{"user": "deep"}},
			issuer: func(i *tenancy.Issuer) { i.PrincipalClaim = "/realm~1x/user" }, user: "deep",
		},
		"claim is no text":       {change: jwt.MapClaims{"sub": 7}, why: ReasonTokenClaim},
		"claim is missing":       {issuer: func(i *tenancy.Issuer) { i.PrincipalClaim = "/a/b" }, why: ReasonTokenClaim},
		"everybody":              {change: jwt.MapClaims{"sub": "*"}, why: ReasonTokenClaim},
		"control character":      {change: jwt.MapClaims{"sub": "a\nb"}, why: ReasonTokenClaim},
		"longest user":           {change: jwt.MapClaims{"sub": strings.Repeat("u", 249)}, user: strings.Repeat("u", 249)},
		"user too long":          {change: jwt.MapClaims{"sub": strings.Repeat("u", 250)}, why: ReasonTokenClaim},
		"disabled user":          {change: jwt.MapClaims{"sub": "carol"}, why: ReasonUserDisabled},
		"wanted claims":          {change: jwt.MapClaims{"org": "acme", "level": 3}, issuer: func(i *tenancy.Issuer) { i.Claims = map[string]string{"org": "acme", "level": "3"} }},
		"claim of somebody else": {change: jwt.MapClaims{"org": "other"}, issuer: func(i *tenancy.Issuer) { i.Claims = map[string]string{"org": "acme"} }, why: ReasonTokenClaim},
		"claim of a list":        {change: jwt.MapClaims{"org": []string{"acme"}}, issuer: func(i *tenancy.Issuer) { i.Claims = map[string]string{"org": "acme"} }, why: ReasonTokenClaim},
		"claims are exact":       {change: jwt.MapClaims{"sub": nil, "SUB": "root"}, why: ReasonTokenClaim},
	} {
		t.Run(name, func(t *testing.T) {
			f.limiter = newLimiter(10)
			if tc.method == nil {
				tc.method, tc.kid = jwt.SigningMethodES256, "p256"
			}
			i := believing(f.login)
			if tc.issuer != nil {
				tc.issuer(&i)
			}
			f.believe("one", i)
			header := map[string]any{"kid": tc.kid}
			key, _ := tc.kid.(string)
			if tc.kid == nil {
				key = tc.header["was"].(string)
			}
			maps.Copy(header, tc.header)
			raw := sign(t, tc.method, keys[key], header, with(tc.change))
			c, replies, err := f.bear(at("192.0.2.1", "one"), raw, "")
			if why := reason(t, err); why != tc.why {
				t.Fatalf("%v, want %q", err, tc.why)
			}
			if tc.why != "" {
				if replies != invalidToken+"||" {
					t.Errorf("told %q", replies)
				}
				return
			}
			if tc.user == "" {
				tc.user = "svc-orders"
			}
			if c.Principal() != (Principal{"one", tc.user}) || c.Proof().Until.Unix() != now.Add(time.Hour).Unix() {
				t.Errorf("%v until %v", c.Principal(), c.Proof().Until)
			}
		})
	}
}

// By the endpoint, by the extension (KIP-342), or by both, which must agree.
func TestBearerInstance(t *testing.T) {
	f := newTokenFixture(t)
	for name, tc := range map[string]struct {
		peer    tenancy.InstanceID
		extra   string
		authzid string
		why     Reason
	}{
		"host name":               {peer: "one"},
		"extension":               {extra: "instance=one\x01"},
		"both":                    {peer: "one", extra: "instance=one\x01"},
		"neither":                 {why: ReasonInstanceMissing},
		"disagree":                {peer: "one", extra: "instance=two\x01", why: ReasonInstanceMismatch},
		"disagree, other's name":  {peer: "two", extra: "instance=one\x01", why: ReasonInstanceMismatch},
		"unknown":                 {peer: "nobody", why: ReasonInstanceUnknown},
		"of another issuer":       {peer: "two", why: ReasonIssuerUnknown},
		"without issuers":         {peer: "none", why: ReasonIssuerUnknown},
		"suspended":               {peer: "asleep", why: ReasonInstanceSuspended},
		"authzid":                 {peer: "one", authzid: "a=svc-orders"},
		"authzid somebody else's": {peer: "one", authzid: "a=bob", why: ReasonAuthzID},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := f.Start(OAuthBearer, at("192.0.2.1", tc.peer))
			reply, done, err := c.Step([]byte("n," + tc.authzid + ",\x01auth=Bearer " + f.right(t) + "\x01" + tc.extra + "\x01"))
			if err != nil || done != (tc.why == "") || !done && string(reply) != invalidToken {
				t.Fatalf("%q, %v, %v", reply, done, err)
			}
			if done {
				return
			}
			if c.Principal() != (Principal{}) {
				t.Errorf("refused, but %v", c.Principal())
			}
			if _, _, err = c.Step([]byte{1}); reason(t, err) != tc.why {
				t.Errorf("%v, want %q", err, tc.why)
			}
		})
	}
}

func TestBearerIsOfferedWithIssuersOnly(t *testing.T) {
	f := newTokenFixture(t)
	if got := strings.Join(f.Mechanisms(), " "); got != "SCRAM-SHA-256 SCRAM-SHA-512 PLAIN OAUTHBEARER" {
		t.Error(got)
	}
	if got := strings.Join(newFixture(t).Mechanisms(), " "); strings.Contains(got, OAuthBearer) {
		t.Error(got)
	}
}
