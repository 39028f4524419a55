package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"weir/auth"
	"weir/tenancy"
)

// A token that is wrong ends in code 58, after which clients give up; one of an issuer
// whose keys cannot be had right now in a closed connection, after which they come again.
func TestRefusedTokens(t *testing.T) {
	const away = "https://127.0.0.1:1/realm" // nothing private is dialed
	r := newRig(t, func(c *Config) {
		c.Auth = auth.New(auth.Config{Directory: c.Directory, Log: c.Log, Pepper: []byte("p"), Issuers: []auth.AllowedIssuer{{URL: "https://127.0.0.1:1/"}}})
	})
	_, rev, err := r.store.PutIssuer(t.Context(), "i-a", tenancy.Issuer{Name: "away", URL: away, Audiences: []string{"kafka"}})
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	for name, tc := range map[string]struct {
		issuer string
		final  bool
	}{
		"of nobody":               {"https://evil.example.com", true},
		"of one that is not here": {away, false},
	} {
		t.Run(name, func(t *testing.T) {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": tc.issuer})
			token.Method, token.Header["alg"], token.Header["kid"] = jwt.SigningMethodHS256, "ES256", "k"
			raw, err := token.SignedString(make([]byte, 32)) // the signature is not looked at
			if err != nil {
				t.Fatal(err)
			}
			mechanism := oauth.Auth{Token: raw, Extensions: map[string]string{"instance": "i-a"}}.AsMechanism()
			cl, err := kgo.NewClient(kgo.SeedBrokers(r.srv.Addrs()[0]), kgo.DialTLSConfig(r.tls()), kgo.SASL(mechanism), kgo.RequestRetries(1))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			// franz-go gives up at the challenge that comes before the 58.
			err = cl.Ping(ctx)
			if err == nil || strings.Contains(err.Error(), "unexpected data in oauth response") != tc.final || errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("the client is told %v", err)
			}
		})
	}
}
