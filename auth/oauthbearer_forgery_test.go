package auth

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"weir/tenancy"
)

// S01: every way to make a token that its issuer did not. None proves anybody, all
// are told the same, and nothing is fetched but the keys of the instance's own issuers.
func TestForgeries(t *testing.T) {
	f := newTokenFixture(t)
	now := time.Now()
	rs, es := f.login.keys["k1"], f.login.keys["e1"]
	attacker := testEC(elliptic.P256())
	public, err := x509.MarshalPKIXPublicKey(rs.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jwkset.NewJWKFromKey(attacker.Public(), jwkset.JWKOptions{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(change jwt.MapClaims) jwt.MapClaims {
		c := f.login.claims(now)
		maps.Copy(c, change)
		return c
	}
	evil := func(header map[string]any) string {
		return sign(t, jwt.SigningMethodES256, attacker, header, f.login.claims(now))
	}
	right := f.right(t)
	part := strings.Split(right, ".")
	forged := map[string]string{
		"none":                     sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": "e1"}, f.login.claims(now)),
		"none in other letters":    raw64(`{"alg":"nOnE","kid":"e1"}`) + "." + part[1] + ".",
		"no signature":             part[0] + "." + part[1] + ".",
		"RS to HS, PEM":            sign(t, jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), map[string]any{"kid": "k1"}, f.login.claims(now)),
		"RS to HS, DER":            sign(t, jwt.SigningMethodHS256, public, map[string]any{"kid": "k1"}, f.login.claims(now)),
		"ES with the RSA key's id": sign(t, jwt.SigningMethodES256, attacker, map[string]any{"kid": "k1"}, f.login.claims(now)),
		"jwk in the header":        evil(map[string]any{"kid": "e1", "jwk": jwk.Marshal()}),
		"jwk in the header alone":  evil(map[string]any{"jwk": jwk.Marshal()}),
		"jku":                      evil(map[string]any{"kid": "evil", "jku": "https://evil.example.com/keys"}),
		"x5u":                      evil(map[string]any{"kid": "evil", "x5u": "https://evil.example.com/cert"}),
		"x5c":                      evil(map[string]any{"kid": "e1", "x5c": []string{base64.StdEncoding.EncodeToString(public)}}),
		"expired":                  sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"exp": now.Unix() - 60})),
		"future iat":               sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"iat": now.Unix() + 3600})),
		"future nbf":               sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"nbf": now.Unix() + 3600})),
		"wrong aud":                sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"aud": "billing"})),
		"wrong iss":                sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"iss": "https://evil.example.com"})),
		"iss with a slash more":    sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1"}, with(jwt.MapClaims{"iss": loginURL + "/"})),
		"crit":                     sign(t, jwt.SigningMethodES256, es, map[string]any{"kid": "e1", "crit": []string{"b64"}, "b64": false}, f.login.claims(now)),
		"psychic":                  part[0] + "." + part[1] + "." + raw64(strings.Repeat("\x00", 64)),
		"no kid, two of the kind":  sign(t, jwt.SigningMethodRS256, rs, map[string]any{"kid": 7}, f.login.claims(now)),
		"another's key and kid":    sign(t, jwt.SigningMethodES384, f.other.keys["k1"], map[string]any{"kid": "k1"}, f.login.claims(now)),
		// S04: the other issuer says who it likes, with a kid that login has too.
		"other issuer, same claim": sign(t, jwt.SigningMethodES384, f.other.keys["k1"], map[string]any{"kid": "k1"}, f.other.claims(now)),
		"claims of another token":  part[0] + "." + raw64(`{"iss":"`+loginURL+`","aud":"kafka","sub":"root","iat":1,"exp":99999999999,"scope":"kafka:use"}`) + "." + part[2],
		"signature in other form":  part[0] + "." + part[1] + "." + part[2] + "=",
		"four parts":               right + ".x",
		"a number":                 "1",
	}
	if _, _, err := f.bear(at("192.0.2.1", "one"), right, ""); err != nil {
		t.Fatal(err) // the keys are there from here on
	}
	for name, raw := range forged {
		f.limiter = newLimiter(10)
		c, replies, err := f.bear(at("192.0.2.1", "one"), raw, "")
		if why := reason(t, err); why == "" || c.Principal() != (Principal{}) || replies != invalidToken+"||" && why != ReasonMalformed && why != ReasonKeyPending {
			t.Errorf("%s: %v as %v, told %q", name, err, c.Principal(), replies)
		}
	}
	if f.unknown != 0 || f.login.count() > 2 || f.other.count() != 0 {
		t.Errorf("fetched %d times from nowhere, %d and %d of the known", f.unknown, f.login.count(), f.other.count())
	}
	t.Logf("%d forgeries, 0 successes, 0 fetches from elsewhere", len(forged))
}

// S02, S03: kid is a key of a map and nothing else.
func TestKeyIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTokenFixture(t)
		if _, _, err := f.bear(at("192.0.2.1", "one"), f.right(t), ""); err != nil {
			t.Fatal(err)
		}
		attacker := testEC(elliptic.P256())
		evil := func(kid string) string {
			return sign(t, jwt.SigningMethodES256, attacker, map[string]any{"kid": kid}, f.login.claims(f.now()))
		}
		for name, kid := range map[string]string{
			"NUL": "e1\x00", "path": "../../../../dev/null", "SQL": "e1' UNION SELECT 'x", "shell": "|cat /etc/passwd",
			"URL": "https://evil.example.com/", "long": strings.Repeat("k", maxKeyID+1), "empty": "",
		} {
			f.limiter = newLimiter(10)
			want := ReasonKeyUnknown
			if name == "long" {
				want = ReasonTokenMalformed
			}
			time.Sleep(keyPause) // so that it is looked for
			if _, _, err := f.bear(at("192.0.2.1", "one"), evil(kid), ""); reason(t, err) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, ok := parseBearer([]byte("n,,\x01auth=Bearer " + evil(strings.Repeat("k", 1<<20)) + "\x01\x01")); !ok {
			t.Fatal("the message itself is well formed")
		}
		f.limiter = newLimiter(10)
		if _, _, err := f.bear(at("192.0.2.1", "one"), evil(strings.Repeat("k", 1<<20)), ""); reason(t, err) != ReasonMalformed {
			t.Errorf("1 MiB of kid: %v", err)
		}

		time.Sleep(time.Minute)
		before := f.login.count()
		for i := range 10_000 {
			want := ReasonKeyPending // neither charged nor answered
			if i == 0 {
				want = ReasonKeyUnknown
			}
			if _, _, err := f.bear(at("192.0.2.1", "one"), evil(fmt.Sprint("kid-", i)), ""); reason(t, err) != want {
				t.Fatal(err)
			}
		}
		if n := f.login.count() - before; n != 1 {
			t.Errorf("10000 unknown kids made %d fetches", n)
		}
		time.Sleep(keyPause)
		if _, _, err := f.bear(at("192.0.2.1", "one"), evil("kid"), ""); reason(t, err) == "" || f.login.count()-before != 2 {
			t.Errorf("%v after %d fetches", err, f.login.count()-before)
		}
		if f.unknown != 0 {
			t.Errorf("%d fetches from elsewhere", f.unknown)
		}
	})
}

// Whether there is such an instance, and whom it believes, cannot be told from the
// answer, nor from fetches or how many attempts are taken.
func TestBearerTellsNothing(t *testing.T) {
	f := newTokenFixture(t)
	attacker := testEC(elliptic.P256())
	for _, p := range []*idp{f.login, f.other} { // their keys are there, and not to be asked for again
		s, err := f.keys.source(believing(p))
		if err != nil {
			t.Fatal(err)
		}
		s.fresh()
	}
	kids := map[string]string{loginURL: "e1", otherURL: "k1"}
	for _, iss := range []string{loginURL, otherURL, "https://nobody.example.com"} {
		claims := f.login.claims(time.Now())
		claims["iss"] = iss
		method, key := jwt.SigningMethodES256, attacker
		if iss == otherURL {
			method, key = jwt.SigningMethodES384, testEC(elliptic.P384())
		}
		raw := sign(t, method, key, map[string]any{"kid": kids[iss]}, claims)
		for _, id := range []tenancy.InstanceID{"one", "two", "asleep", "none", "nobody"} {
			f.limiter = newLimiter(1000)
			taken := 0
			for range strangerAllowance().burst + 5 {
				_, replies, err := f.bear(at("192.0.2.1", id), raw, "")
				if replies != invalidToken+"||" {
					t.Errorf("%s at %s: told %q", iss, id, replies)
				}
				if reason(t, err) != ReasonRateLimited {
					taken++
				}
			}
			if taken != strangerAllowance().burst {
				t.Errorf("%s at %s: %d attempts were taken", iss, id, taken)
			}
		}
	}
	if f.unknown != 0 {
		t.Errorf("%d fetches from elsewhere", f.unknown)
	}
}

// A friend's tokens are taken while strangers behind the same address are limited.
func TestBearerFriends(t *testing.T) {
	f := newTokenFixture(t)
	peer := at("192.0.2.1", "one")
	if _, _, err := f.bear(peer, f.right(t), ""); err != nil {
		t.Fatal(err)
	}
	claims := f.login.claims(time.Now())
	claims["sub"] = "stranger"
	bad := sign(t, jwt.SigningMethodES256, testEC(elliptic.P256()), map[string]any{"kid": "e1"}, claims)
	var err error
	for range 50 {
		c, _ := f.Start(OAuthBearer, peer) // and leaves before its last word
		if _, _, err = c.Step([]byte("n,,\x01auth=Bearer " + bad + "\x01\x01")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err = f.bear(peer, bad, ""); reason(t, err) != ReasonRateLimited {
		t.Errorf("the stranger: %v", err)
	}
	if _, _, err := f.bear(peer, f.right(t), ""); err != nil {
		t.Errorf("the friend: %v", err)
	}
}

// Removed keys, changed issuers and ended tokens end sessions; a new key is found.
func TestKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTokenFixture(t)
		peer := at("192.0.2.1", "one")
		claims := f.login.claims(time.Now())
		claims["exp"] = time.Now().Add(48 * time.Hour).Unix()
		login := func(kid string, key crypto.Signer) (*Conversation, error) {
			c, _, err := f.bear(peer, sign(t, jwt.SigningMethodES256, key, map[string]any{"kid": kid}, claims), "")
			return c, err
		}
		e1, e2 := f.login.keys["e1"], testEC(elliptic.P256())
		c, err := login("e1", e1)
		if err != nil {
			t.Fatal(err)
		}
		stays := func() Reason { return f.Check(c.Principal(), c.Proof(), peer) }

		// A new key counts as soon as the issuer may be asked again.
		time.Sleep(keyPause)
		f.login.publish(map[string]crypto.Signer{"e1": e1, "e2": e2})
		if _, err := login("e2", e2); err != nil {
			t.Errorf("after rotation: %v", err)
		}
		// Away: the last keys count, for a day.
		f.login.fail(errors.New("away"))
		for range 23 * 60 {
			time.Sleep(time.Minute)
			if why := stays(); why != "" {
				t.Fatalf("closed for %s while the issuer is away", why)
			}
		}
		if _, err := login("e2", e2); err != nil {
			t.Errorf("while the issuer is away: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if why := stays(); why != ReasonRevoked {
			t.Errorf("with keys of yesterday: %q", why)
		}
		if _, err := login("e2", e2); reason(t, err) != ReasonKeysUnavailable {
			t.Errorf("with keys of yesterday: %v", err)
		}
		f.login.fail(nil)
		time.Sleep(keyPause)
		if _, err := login("e2", e2); err != nil {
			t.Fatal(err)
		}
		if why := stays(); why != "" {
			t.Errorf("the keys are back: %s", why)
		}

		// A key that is gone is dead within DefaultKeyAge, sessions looked at every 2 s.
		f.login.publish(map[string]crypto.Signer{"e2": e2})
		began := time.Now()
		for stays() == "" && time.Since(began) < time.Hour {
			time.Sleep(2 * time.Second)
		}
		if took := time.Since(began); took > DefaultKeyAge+2*time.Second {
			t.Errorf("a removed key lived %s", took)
		}
		time.Sleep(keyPause)
		if _, err := login("e1", e1); reason(t, err) != ReasonKeyUnknown {
			t.Errorf("with a removed key: %v", err)
		}
	})
}

// A login, without any session that asks, does not believe old keys either.
func TestRemovedKeyForLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTokenFixture(t)
		peer := at("192.0.2.1", "one")
		raw := f.right(t)
		if _, _, err := f.bear(peer, raw, ""); err != nil {
			t.Fatal(err)
		}
		f.login.publish(map[string]crypto.Signer{"e2": testEC(elliptic.P256())})
		time.Sleep(DefaultKeyAge)
		for _, want := range []Reason{ReasonKeyPending, ReasonKeyUnknown} {
			if _, _, err := f.bear(peer, raw, ""); reason(t, err) != want {
				t.Errorf("with a removed key: %v, want %s", err, want)
			}
			time.Sleep(keyPause)
		}
	})
}

// An issuer that does not answer holds a login up for keyPatience at most, and
// what it publishes later is there for the next one.
func TestSlowIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTokenFixture(t)
		f.login.takes = 3 * time.Second
		began := time.Now()
		if _, _, err := f.bear(at("192.0.2.1", "one"), f.right(t), ""); reason(t, err) != ReasonKeysUnavailable {
			t.Error(err)
		}
		if took := time.Since(began); took != keyPatience {
			t.Errorf("took %s", took)
		}
		time.Sleep(5 * time.Second)
		if _, _, err := f.bear(at("192.0.2.1", "one"), f.right(t), ""); err != nil {
			t.Error(err)
		}
	})
}

// A session lives as long as the instance believes the issuer as it did.
func TestIssuerChanges(t *testing.T) {
	f := newTokenFixture(t)
	peer := at("192.0.2.1", "one")
	c, _, err := f.bear(peer, f.right(t), "")
	if err != nil {
		t.Fatal(err)
	}
	same := believing(f.login)
	for name, tc := range map[string]struct {
		issuers []tenancy.Issuer
		why     Reason
	}{
		"the same, made again": {[]tenancy.Issuer{same}, ""},
		"one more":             {[]tenancy.Issuer{same, {Name: "more", URL: otherURL, Audiences: []string{"a"}}}, ""},
		"gone":                 {nil, ReasonRevoked},
		"other audience":       {[]tenancy.Issuer{{Name: "login", URL: loginURL, Audiences: []string{"kafka"}, Scopes: same.Scopes}}, ReasonRevoked},
		"other URL":            {[]tenancy.Issuer{{Name: "login", URL: otherURL, Audiences: same.Audiences, Scopes: same.Scopes}}, ReasonRevoked},
	} {
		f.believe("one", tc.issuers...)
		if why := f.Check(c.Principal(), c.Proof(), peer); why != tc.why {
			t.Errorf("%s: %q, want %q", name, why, tc.why)
		}
	}
}

// A key that nobody knows yet, while its issuer may not be asked: every instance, and
// one that there is not, cuts the client off alike and charges nothing.
func TestPendingKeyTellsNothing(t *testing.T) {
	f := newTokenFixture(t)
	if _, _, err := f.bear(at("192.0.2.1", "one"), f.right(t), ""); err != nil {
		t.Fatal(err)
	}
	raw := sign(t, jwt.SigningMethodES256, testEC(elliptic.P256()), map[string]any{"kid": "new"}, f.login.claims(f.now()))
	for _, id := range []tenancy.InstanceID{"one", "two", "asleep", "none", "nobody"} {
		for range strangerAllowance().burst + 5 {
			_, replies, err := f.bear(at("192.0.2.1", id), raw, "")
			failure, _ := errors.AsType[*Failure](err)
			if replies != "|" || failure == nil || !failure.Later() {
				t.Fatalf("%s: told %q, %v", id, replies, err)
			}
		}
	}
}
