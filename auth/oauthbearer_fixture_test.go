package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"weir/tenancy"
)

const (
	loginURL = "https://login.example.com/realms/one"
	otherURL = "https://login.example.com/realms/other"
)

// idp is an authorization server that answers from memory, and counts.
type idp struct {
	url string

	mu      sync.Mutex
	keys    map[string]crypto.Signer // by kid
	fetched int
	away    error
	takes   time.Duration
}

func newIDP(url string, keys map[string]crypto.Signer) *idp { return &idp{url: url, keys: keys} }

func (p *idp) publish(keys map[string]crypto.Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *idp) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = err
}

func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

func (p *idp) answer(from string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away != nil {
		return nil, p.away
	}
	if strings.HasSuffix(from, "/.well-known/openid-configuration") {
		return json.Marshal(map[string]string{"issuer": p.url, "jwks_uri": p.url + "/certs"})
	}
	p.fetched++
	return p.document(), nil
}

func (p *idp) document() []byte {
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	for kid, signer := range p.keys {
		jwk, err := jwkset.NewJWKFromKey(signer.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			panic(err)
		}
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	raw, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return raw
}

// claims are right for tokenFixture's instance "one".
func (p *idp) claims(now time.Time) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": p.url, "aud": "kafka", "sub": "svc-orders", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "scope": "openid kafka:use",
	}
}

// sign makes a token; a header of nil leaves one out.
func sign(tb testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.MapClaims) string {
	tb.Helper()
	t := jwt.NewWithClaims(method, claims)
	maps.Copy(t.Header, header)
	maps.DeleteFunc(t.Header, func(_ string, v any) bool { return v == nil })
	raw, err := t.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// tokenFixture has instance "one", which believes login, "two", which believes
// other, "asleep", which is suspended and believes login, and "none" without issuers.
type tokenFixture struct {
	*Authenticator
	dir          *directory
	login, other *idp
	unknown      int // fetches from anywhere else
	mu           sync.Mutex
}

func believing(p *idp) tenancy.Issuer {
	return tenancy.Issuer{Name: "login", URL: p.url, Audiences: []string{"kafka", "kafka-2"}, Scopes: []string{"kafka:use"}}
}

func newTokenFixture(tb testing.TB) *tokenFixture {
	tb.Helper()
	f := &tokenFixture{
		dir:   &directory{views: make(map[tenancy.InstanceID]*tenancy.View)},
		login: newIDP(loginURL, map[string]crypto.Signer{"k1": testRSA(), "e1": testEC(elliptic.P256())}),
		other: newIDP(otherURL, map[string]crypto.Signer{"k1": testEC(elliptic.P384())}),
	}
	for id, state := range map[tenancy.InstanceID]tenancy.State{
		"one": tenancy.StateActive, "two": tenancy.StateActive, "asleep": tenancy.StateSuspended, "none": tenancy.StateActive,
	} {
		f.dir.put(id, state, tenancy.User{Name: "carol", Disabled: true})
	}
	f.believe("one", believing(f.login))
	f.believe("two", believing(f.other))
	f.believe("asleep", believing(f.login))
	f.Authenticator = New(Config{Directory: f.dir, Log: slog.New(slog.DiscardHandler), Pepper: []byte("pepper"), Issuers: []AllowedIssuer{{URL: "https://login.example.com/"}}})
	f.keys.get = func(_ context.Context, _ AllowedIssuer, from string) ([]byte, error) {
		for _, p := range []*idp{f.login, f.other} {
			if strings.HasPrefix(from, p.url+"/") {
				time.Sleep(p.takes)
				return p.answer(from)
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unknown++
		return nil, errors.New(from + " is nobody's")
	}
	return f
}

// believe gives an instance issuers, in a new view.
func (f *tokenFixture) believe(id tenancy.InstanceID, issuers ...tenancy.Issuer) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	v := *f.dir.views[id]
	v.Access = &tenancy.Access{Issuers: issuers}
	f.dir.views[id] = &v
}

// bear sends a token as a client does, to the end, and returns what it was told.
func (f *tokenFixture) bear(peer Peer, token, extra string) (c *Conversation, replies string, err error) {
	c, ok := f.Start(OAuthBearer, peer)
	if !ok {
		return nil, "", errors.New("mechanism is not listed")
	}
	message := []byte("n,,\x01auth=Bearer " + token + "\x01" + extra + "\x01")
	for range 3 {
		reply, done, err := c.Step(message)
		replies += string(reply) + "|"
		if done || err != nil {
			return c, replies, err
		}
		message = []byte{1}
	}
	return c, replies, errors.New("the conversation does not end")
}

// right is a token that instance one believes.
func (f *tokenFixture) right(tb testing.TB) string {
	tb.Helper()
	return sign(tb, jwt.SigningMethodES256, f.login.keys["e1"], map[string]any{"kid": "e1"}, f.login.claims(f.now()))
}

// Keys are made once: RSA takes its time.
var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func testEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func testEd() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// raw64 is a part of a token.
func raw64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
