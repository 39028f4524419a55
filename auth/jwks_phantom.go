package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
)

// phantoms are keys that nobody has, one of each kind.
type phantoms struct {
	rsa   *rsa.PublicKey
	curve map[string]*ecdsa.PublicKey // by algorithm
	ed    ed25519.PublicKey
}

// newPhantoms draws them. An RSA key whose factors nobody knows is any odd number:
// to check a signature with it costs the same.
func newPhantoms() phantoms {
	n := new(big.Int).SetBytes(append([]byte{0xff}, append(randomKey(), make([]byte, 256-33)...)...))
	p := phantoms{rsa: &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}, curve: make(map[string]*ecdsa.PublicKey)}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic("unreachable: crypto/rand never fails: " + err.Error())
		}
		p.curve[alg] = &key.PublicKey
	}
	p.ed = ed25519.PublicKey(randomKey())
	return p
}

// of is the one that alg wants.
func (p phantoms) of(alg string) any {
	switch {
	case strings.HasPrefix(alg, "ES"):
		return p.curve[alg]
	case alg == "EdDSA":
		return p.ed
	}
	return p.rsa
}
