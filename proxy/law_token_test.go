package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"weir/auth"
	"weir/tenancy"
)

// issuers is an authorization server for several tenants, one path each.
type issuers struct {
	*httptest.Server
	keys map[string]*ecdsa.PrivateKey // by path
}

func newIssuers(t *testing.T, names ...string) *issuers {
	t.Helper()
	i := &issuers{keys: map[string]*ecdsa.PrivateKey{}}
	for _, name := range append(names, "stranger") {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		i.keys[name] = key
	}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, document, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		key := i.keys[name]
		switch {
		case key == nil:
			http.NotFound(w, r)
		case document == "certs":
			jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: name}})
			if err != nil {
				t.Error(err)
			}
			_ = json.NewEncoder(w).Encode(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
		default:
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.of(name), "jwks_uri": i.of(name) + "/certs"})
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuers) of(name string) string { return i.URL + "/" + name }

// token is name's for user u, signed by the key of by.
func (i *issuers) token(t *testing.T, name, by string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.of(name), "aud": "kafka", "sub": "u", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = name
	signed, err := token.SignedString(i.keys[by])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// believing lets the rig's gateway offer OAUTHBEARER.
func (i *issuers) believing(c *Config) {
	roots := x509.NewCertPool()
	roots.AddCert(i.Certificate())
	c.Auth = auth.New(auth.Config{Directory: c.Directory, Log: c.Log, Pepper: []byte("pepper"), Issuers: []auth.AllowedIssuer{{
		URL: i.URL + "/", Roots: roots, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}}})
}

// believe lets an instance believe one of them.
func (r *rig) believe(id string, i *issuers) {
	r.t.Helper()
	_, rev, err := r.store.PutIssuer(r.t.Context(), tenancy.InstanceID("i-"+id), tenancy.Issuer{
		Name: "login", URL: i.of(id), Audiences: []string{"kafka"}, CreatedAt: time.Now(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

// key makes an API key of a user's.
func (r *rig) key(id, user string) (keyID, secret string) {
	r.t.Helper()
	of := tenancy.InstanceID("i-" + id)
	u, err := r.store.User(r.t.Context(), of, user)
	if err != nil {
		r.t.Fatal(err)
	}
	k, secret, err := r.srv.cfg.Auth.NewKey(rand.Reader, of, u, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	rev, err := r.store.CreateKey(r.t.Context(), of, k)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
	return k.ID, secret
}

// bearerAttempt sends a token, with the SASL extension "instance" if the user has an @.
func bearerAttempt(c net.Conn, s secrets) ([]string, error) {
	_, instance, _ := strings.Cut(s.user, "@")
	sent := false
	return saslAttempt(c, auth.OAuthBearer, func(challenge []byte) ([]byte, error) {
		switch {
		case !sent:
			sent = true
			message := "n,,\x01auth=Bearer " + s.token + "\x01"
			if instance != "" {
				message += "instance=" + instance + "\x01"
			}
			return []byte(message + "\x01"), nil
		case len(challenge) == 0:
			return nil, errProved
		}
		return []byte("\x01"), nil
	})
}
