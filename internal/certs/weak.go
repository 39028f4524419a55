package certs

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"testing"
)

// NewRSACA makes a root with an RSA key.
func NewRSACA(tb testing.TB, name string, bits int) *CA {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	t := authority(name, nil)
	return &CA{Cert: sign(tb, t, t, key.Public(), key), Key: key}
}

// Weaken signs a client's certificate anew with MD5 or SHA-1, which crypto/x509
// does not. The authority must have an RSA key.
func (c *CA) Weaken(tb testing.TB, of tls.Certificate, hash crypto.Hash) tls.Certificate {
	tb.Helper()
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(of.Certificate[0], &parts); err != nil {
		tb.Fatal(err)
	}
	strong, weak, digest := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5}, []byte(nil)
	tbs := bytes.Replace(parts.TBS.FullBytes, strong, weak, 1)
	if hash == crypto.MD5 {
		weak[8] = 4
		tbs = bytes.Replace(parts.TBS.FullBytes, strong, weak, 1)
		sum := md5.Sum(tbs)
		digest = sum[:]
	} else {
		sum := sha1.Sum(tbs)
		digest = sum[:]
	}
	sig, err := rsa.SignPKCS1v15(nil, c.Key.(*rsa.PrivateKey), hash, digest)
	if err != nil {
		tb.Fatal(err)
	}
	parts.TBS = asn1.RawValue{FullBytes: tbs}
	parts.Algorithm = asn1.RawValue{FullBytes: bytes.Replace(parts.Algorithm.FullBytes, strong, weak, 1)}
	parts.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	der, err := asn1.Marshal(parts)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: of.PrivateKey, Leaf: leaf}
}
