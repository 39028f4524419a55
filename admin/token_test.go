package admin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

var tokenNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testVerifier() *verifier {
	return newVerifier(bytes.Repeat([]byte("k"), 32), func() time.Time { return tokenNow })
}

// goodClaims are those of a valid token, for forgeries to spoil.
func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "weir", "sub": "someone", "aud": "weir", "jti": "1", "tenant": "t-acme", "roles": []string{"viewer"},
		"exp": tokenNow.Add(time.Minute).Unix(), "iat": tokenNow.Unix(),
	}
}

func signed(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	maps.Copy(token.Header, header)
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenRoundTrip(t *testing.T) {
	want := Claims{
		ID: "j", Subject: "someone", Tenant: "t-acme", Roles: []string{"viewer"},
		Issued: tokenNow, Expires: tokenNow.Add(time.Hour),
	}
	token, err := NewToken(bytes.Repeat([]byte("k"), 32), want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := testVerifier().verify(token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hs := func(header map[string]any, change func(jwt.MapClaims)) string {
		c := goodClaims()
		change(c)
		return signed(t, jwt.SigningMethodHS256, key, header, c)
	}
	same := func(jwt.MapClaims) {}
	set := func(k string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[k] = v } }
	unset := func(k string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, k) } }
	good := hs(nil, same)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"empty":              "",
		"not a token":        "hello",
		"alg none":           signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, goodClaims()),
		"alg none, lying":    base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"no signature":       parts[0] + "." + parts[1] + ".",
		"HS512, right key":   signed(t, jwt.SigningMethodHS512, key, nil, goodClaims()),
		"ES256":              signed(t, jwt.SigningMethodES256, ec, nil, goodClaims()),
		"wrong key":          signed(t, jwt.SigningMethodHS256, bytes.Repeat([]byte("x"), 32), nil, goodClaims()),
		"critical extension": hs(map[string]any{"crit": []string{"b64"}}, same),
		"expired":            hs(nil, set("exp", tokenNow.Add(-31*time.Second).Unix())),
		"without exp":        hs(nil, unset("exp")),
		"from the future":    hs(nil, set("iat", tokenNow.Add(time.Minute).Unix())),
		"not yet":            hs(nil, set("nbf", tokenNow.Add(time.Minute).Unix())),
		"other issuer":       hs(nil, set("iss", "other")),
		"without issuer":     hs(nil, unset("iss")),
		"other audience":     hs(nil, set("aud", "kafka")),
		"without audience":   hs(nil, unset("aud")),
		"without jti":        hs(nil, unset("jti")),
		"without tenant":     hs(nil, unset("tenant")),
		"malformed tenant":   hs(nil, set("tenant", "T ACME")),
		"longer than 8 KiB":  hs(nil, set("pad", strings.Repeat("a", 8<<10))),
		"many dots":          strings.Repeat(".", 8<<10),
		"swapped payload":    parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"tenant":"t-other"}`)) + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := testVerifier().verify(token); err == nil {
				t.Errorf("accepted as %+v", c)
			}
		})
	}
	if _, err := testVerifier().verify(good); err != nil {
		t.Errorf("the one that was spoilt is itself refused: %v", err)
	}
	// Where the key comes from is never the token's choice.
	for _, h := range []string{"kid", "jku", "x5u", "jwk"} {
		if _, err := testVerifier().verify(hs(map[string]any{h: "../../etc/passwd"}, same)); err != nil {
			t.Errorf("header %s, which is not looked at, changed the outcome: %v", h, err)
		}
	}
}

func TestOperatorNeedsNoTenant(t *testing.T) {
	c := goodClaims()
	delete(c, "tenant")
	c["roles"] = []string{"operator"}
	if _, err := testVerifier().verify(signed(t, jwt.SigningMethodHS256, bytes.Repeat([]byte("k"), 32), nil, c)); err != nil {
		t.Error(err)
	}
}

func TestNewTokenRefuses(t *testing.T) {
	if _, err := NewToken(make([]byte, 31), Claims{Issued: tokenNow, Expires: tokenNow.Add(1)}); err == nil {
		t.Error("a short key was taken")
	}
	if _, err := NewToken(make([]byte, 32), Claims{Issued: tokenNow, Expires: tokenNow}); err == nil {
		t.Error("a token without any lifetime was made")
	}
}

// Whatever comes in the header, the answer is a decision, and what goes to the
// log never holds the token.
func FuzzVerify(f *testing.F) {
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ3ZWlyIn0.c2lnbmF0dXJl")
	f.Add("...")
	v := testVerifier()
	f.Fuzz(func(t *testing.T, token string) {
		c, err := v.verify(token)
		if err == nil {
			t.Fatalf("an unsigned token was accepted as %+v", c)
		}
		if len(token) > 40 && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	})
}

func TestEveryRoleGivesSomethingAndIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range Roles() {
		if len(rightsOf([]string{role}).scopes) == 0 || !strings.Contains(string(text), "| `"+role+"` |") {
			t.Errorf("role %s gives nothing, or docs/tokens.md does not say what", role)
		}
	}
}
