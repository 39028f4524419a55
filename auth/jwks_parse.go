package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxKeys bounds a key set.
	maxKeys = 64
	// maxKeyID bounds a key id, in bytes. It is a key of a map and nothing else.
	maxKeyID = 128
	// Sizes of RSA keys, in bits; what is larger costs more than it is worth.
	minRSA, maxRSA = 2048, 8192
)

// print stands for one public key: the SHA-256 of its SubjectPublicKeyInfo.
type print [sha256.Size]byte

// tokenKey is one key by which an issuer signs tokens. Immutable.
type tokenKey struct {
	id    string // kid; may be empty
	key   crypto.PublicKey
	algs  []string // by which a token may be signed with it: never what a token says
	print print
}

// keySet is what an issuer publishes, at one moment. Immutable.
type keySet struct {
	byID    map[string][]*tokenKey // several only of different kinds
	all     []*tokenKey
	prints  map[print]struct{}
	fetched time.Time
	note    string // what is wrong with the set, though it counts
}

// find returns the key for a token's header: of that id; without an id only if
// there is exactly one that alg can be of.
func (s *keySet) find(kid string, named bool, alg string) *tokenKey {
	from := s.all
	if named {
		from = s.byID[kid]
	}
	var found *tokenKey
	for _, k := range from {
		if !slices.Contains(k.algs, alg) {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

// has reports whether a key is still published.
func (s *keySet) has(p print) bool {
	_, ok := s.prints[p]
	return ok
}

// ids lists the keys' ids.
func (s *keySet) ids() []string {
	ids := make([]string, 0, len(s.all))
	for _, k := range s.all {
		ids = append(ids, k.id)
	}
	slices.Sort(ids)
	return ids
}

// parseKeys reads a JWK Set (RFC 7517). Keys that are not for signatures, of a
// kind that we do not take, or broken, are left out, as RFC 7517 section 5 says. A
// set without any counts, too: its issuer has taken all back. Only key material is
// given to the library: it would fetch what x5u names.
func parseKeys(document []byte, now time.Time) (*keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &raw); err != nil || raw.Keys == nil {
		return nil, errors.New("no JWK Set: want a JSON object with keys")
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, at most %d are read", len(raw.Keys), maxKeys)
	}
	set := &keySet{byID: make(map[string][]*tokenKey), prints: make(map[print]struct{}), fetched: now}
	for _, one := range raw.Keys {
		k, ok := parseKey(one)
		if !ok || set.has(k.print) {
			continue
		}
		set.all = append(set.all, k)
		set.prints[k.print] = struct{}{}
		if k.id != "" {
			set.byID[k.id] = append(set.byID[k.id], k)
		}
	}
	if len(set.all) == 0 {
		set.note = fmt.Sprintf("none of its %d keys can be used: want RSA of %d to %d bits, EC P-256, P-384 or P-521, or Ed25519",
			len(raw.Keys), minRSA, maxRSA)
	}
	return set, nil
}

func parseKey(raw json.RawMessage) (*tokenKey, bool) {
	var m jwkset.JWKMarshal
	if json.Unmarshal(raw, &m) != nil || len(m.KID) > maxKeyID || m.USE != "" && m.USE != jwkset.UseSig {
		return nil, false
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return nil, false
	}
	jwk, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E},
		jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return nil, false
	}
	k := &tokenKey{id: m.KID, key: jwk.Key(), algs: algsOf(jwk.Key())}
	if m.ALG != "" {
		alg := string(m.ALG)
		if alg == "Ed25519" { // RFC 9864's name
			alg = jwt.SigningMethodEdDSA.Alg()
		}
		if !slices.Contains(k.algs, alg) {
			return nil, false
		}
		k.algs = []string{alg}
	}
	if len(k.algs) == 0 {
		return nil, false
	}
	spki, err := x509.MarshalPKIXPublicKey(k.key)
	if err != nil {
		return nil, false
	}
	k.print = sha256.Sum256(spki)
	return k, true
}

// algsOf are the algorithms of RFC 7518 and RFC 8037 that a key can be of; none
// for a key that is too weak or no key at all.
func algsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA || k.N.Bit(0) == 0 || k.E < 3 || k.E > 1<<31-1 || k.E&1 == 0 {
			return nil
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil { // not a point of the curve
			return nil
		}
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// tokenAlgs are all algorithms that any key can be of: asymmetric ones only.
func tokenAlgs() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}
