// Command issuer is an OAuth 2.0 authorization server for stories: discovery and
// keys over HTTPS, tokens for client_credentials over HTTP, and keys that come and
// go. Keys, tokens and key sets are go-jose's, which the gateway does not use.
//
// usage: issuer CERTIFICATE KEY HTTPS-ADDRESS HTTP-ADDRESS LIFETIME
//
// POST /rotate signs with a new key from now on. Whoever says client_id "long" gets
// an hour, signed with the first key, which signs for nobody else: POST /retire
// takes that one back and leaves the others their tokens. Every client's secret is
// "secret".
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

type issuer struct {
	url  string
	life time.Duration

	mu     sync.Mutex
	keys   []jose.JSONWebKey // the last one signs
	tokens map[string]int    // by client
	asked  int               // for keys
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: issuer CERTIFICATE KEY HTTPS-ADDRESS HTTP-ADDRESS LIFETIME")
	}
	life, err := time.ParseDuration(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	i := &issuer{url: "https://" + os.Args[3] + "/realms/e2e", life: life, tokens: map[string]int{}}
	i.rotate(nil, nil) // for long tokens
	i.rotate(nil, nil)
	keys, tokens := http.NewServeMux(), http.NewServeMux()
	keys.HandleFunc("GET /realms/e2e/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"issuer": i.url, "jwks_uri": i.url + "/certs", "token_endpoint": "http://" + os.Args[4] + "/token"})
	})
	keys.HandleFunc("GET /realms/e2e/certs", i.certs)
	tokens.HandleFunc("POST /token", i.token)
	tokens.HandleFunc("POST /rotate", i.rotate)
	tokens.HandleFunc("POST /retire", i.retire)
	tokens.HandleFunc("GET /stats", i.stats)
	go func() { log.Fatal(http.ListenAndServe(os.Args[4], tokens)) }()
	log.Fatal(http.ListenAndServeTLS(os.Args[3], os.Args[1], os.Args[2], keys))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (i *issuer) certs(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	answer(w, set)
}

// token is RFC 6749 section 4.4; the client says who it is by Basic or in the form.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	client, secret, basic := r.BasicAuth()
	if !basic {
		client, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if r.FormValue("grant_type") != "client_credentials" || client == "" || secret != "secret" {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[client]++
	life, key := i.life, i.keys[len(i.keys)-1]
	if client == "long" {
		life, key = time.Hour, i.keys[0]
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	raw, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: i.url, Subject: client, Audience: jwt.Audience{"kafka"}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
	}).Claims(map[string]any{"scope": "kafka"}).Serialize()
	if err != nil {
		log.Fatal(err)
	}
	answer(w, map[string]any{"access_token": raw, "token_type": "Bearer", "expires_in": int(life.Seconds()), "scope": "kafka"})
}

// rotate signs with a new key, of RSA and EC in turns.
func (i *issuer) rotate(http.ResponseWriter, *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := jose.JSONWebKey{KeyID: fmt.Sprint("key-", time.Now().UnixNano()), Use: "sig"}
	var err error
	if len(i.keys)%2 == 0 {
		key.Algorithm = string(jose.RS256)
		key.Key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key.Algorithm = string(jose.ES256)
		key.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		log.Fatal(err)
	}
	i.keys = append(i.keys, key)
}

func (i *issuer) retire(http.ResponseWriter, *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[1:]
}

func (i *issuer) stats(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	answer(w, map[string]any{"tokens": i.tokens, "asked": i.asked})
}
