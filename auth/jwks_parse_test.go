package auth

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

func jwkOf(t *testing.T, key any, change func(*jwkset.JWKMarshal)) string {
	t.Helper()
	jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	m := jwk.Marshal()
	if change != nil {
		change(&m)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestParseKeys(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec := testEC(elliptic.P256())
	for name, tc := range map[string]struct {
		key   string
		taken bool
	}{
		"RSA 2048":          {jwkOf(t, &testRSA().PublicKey, nil), true},
		"RSA 1024":          {jwkOf(t, &small.PublicKey, nil), false},
		"RSA exponent 1":    {jwkOf(t, &testRSA().PublicKey, func(m *jwkset.JWKMarshal) { m.E = "AQ" }), false},
		"RSA even modulus":  {jwkOf(t, &testRSA().PublicKey, func(m *jwkset.JWKMarshal) { m.N = m.N[:len(m.N)-3] + "AAA" }), false},
		"P-256":             {jwkOf(t, &ec.PublicKey, nil), true},
		"P-256, not there":  {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.Y = m.X }), false},
		"Ed25519":           {jwkOf(t, testEd().Public(), nil), true},
		"Ed25519, new name": {jwkOf(t, testEd().Public(), func(m *jwkset.JWKMarshal) { m.ALG = "Ed25519" }), true},
		"encryption":        {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.USE = "enc" }), false},
		"signs only":        {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.KEYOPS = []jwkset.KEYOPS{"sign"} }), false},
		"alg of its kind":   {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.ALG = "ES256" }), true},
		"alg of another":    {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.ALG = "RS256" }), false},
		"alg none":          {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.ALG = "none" }), false},
		"x5u is not asked":  {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.X5U = "http://127.0.0.1:1/x" }), true},
		"kid too long":      {jwkOf(t, &ec.PublicKey, func(m *jwkset.JWKMarshal) { m.KID = strings.Repeat("k", maxKeyID+1) }), false},
		"secret":            {`{"kty":"oct","kid":"k","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`, false},
		"unknown kind":      {`{"kty":"XYZ","kid":"k"}`, false},
		"no object":         {`7`, false},
	} {
		set, err := parseKeys([]byte(`{"keys":[`+tc.key+`]}`), time.Now())
		if err != nil || (len(set.all) == 1) != tc.taken || (set.note == "") != tc.taken {
			t.Errorf("%s: %+v, %v", name, set, err)
		}
	}
	many := make([]string, maxKeys+1)
	for i := range many {
		many[i] = `{"kty":"XYZ"}`
	}
	for _, broken := range []string{``, `[]`, `{}`, `{"keys":7}`, `{"keys":[` + strings.Join(many, ",") + `]}`} {
		if _, err := parseKeys([]byte(broken), time.Now()); err == nil {
			t.Errorf("%.40s: no error", broken)
		}
	}
}

func FuzzBearer(f *testing.F) {
	for _, message := range []string{
		"n,,\x01auth=Bearer a.b.c\x01\x01", "n,a=bob=2C,\x01host=h\x01auth=bearer t\x01instance=one\x01\x01", "n,,\x01\x01", "y,,", "",
	} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		b, ok := parseBearer(message)
		if !ok {
			return
		}
		if b.token == "" || strings.ContainsAny(b.token, "\x00\x01 ") {
			t.Errorf("token %q", b.token)
		}
		quoted := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(b.authzid)
		if b.authzid != "" {
			quoted = "a=" + quoted
		}
		again := "n," + quoted + ",\x01auth=Bearer " + b.token + "\x01"
		if b.instance != "" {
			again += "instance=" + b.instance + "\x01"
		}
		if got, ok := parseBearer([]byte(again + "\x01")); !ok || got != b {
			t.Errorf("%q reads as %+v, and written again as %+v", message, b, got)
		}
	})
}

// Whatever token comes, only the issuer's own proves anybody.
func FuzzToken(f *testing.F) {
	fix := newTokenFixture(f)
	right := fix.right(f)
	f.Add(right)
	f.Add(strings.Replace(right, ".", "..", 1))
	f.Add(raw64(`{"alg":"none"}`) + "." + raw64(`{"iss":"`+loginURL+`"}`) + ".")
	f.Add(raw64(`{"alg":"ES256","kid":"e1"}`) + "." + raw64(`{"iss":"`+loginURL+`","exp":1e400}`) + ".AA")
	f.Fuzz(func(t *testing.T, raw string) {
		fix.limiter = newLimiter(10)
		c, _, err := fix.bear(at("192.0.2.1", "one"), raw, "")
		if (err == nil) != (raw == right) || err != nil && c.Principal() != (Principal{}) {
			t.Errorf("%q: %v as %v", raw, err, c.Principal())
		}
	})
}

// What a check of a token costs, by kind of key: ES384 and ES512 as much as a
// password, hence the slots.
func BenchmarkToken(b *testing.B) {
	f := newTokenFixture(b)
	f.login.keys["p384"], f.login.keys["p521"], f.login.keys["ed"] = testEC(elliptic.P384()), testEC(elliptic.P521()), testEd()
	for kid, method := range map[string]jwt.SigningMethod{
		"k1": jwt.SigningMethodRS256, "e1": jwt.SigningMethodES256, "p384": jwt.SigningMethodES384,
		"p521": jwt.SigningMethodES512, "ed": jwt.SigningMethodEdDSA,
	} {
		b.Run(method.Alg(), func(b *testing.B) {
			raw := sign(b, method, f.login.keys[kid], map[string]any{"kid": kid}, f.login.claims(time.Now()))
			for b.Loop() {
				if _, _, err := f.bear(at("192.0.2.1", "one"), raw, ""); err != nil {
					b.Fatal(fmt.Errorf("%s: %w", method.Alg(), err))
				}
			}
		})
	}
}
