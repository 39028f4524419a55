// Package certs makes certificate authorities, certificates and revocation lists
// for tests, right ones and wrong ones.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync/atomic"
	"testing"
	"time"
)

var serials atomic.Int64

// CA is an authority, or an intermediate one. Any goroutine.
type CA struct {
	Cert  *x509.Certificate
	Key   crypto.Signer
	above []*CA // from its own issuer up to, and without, the root
}

// Change alters a certificate before it is signed.
type Change func(*x509.Certificate)

// NewCA makes a root.
func NewCA(tb testing.TB, name string, change ...Change) *CA {
	tb.Helper()
	t := authority(name, change)
	key := newKey(tb)
	return &CA{Cert: sign(tb, t, t, key.Public(), key), Key: key}
}

// Intermediate makes an authority below c.
func (c *CA) Intermediate(tb testing.TB, name string, change ...Change) *CA {
	tb.Helper()
	key := newKey(tb)
	sub := &CA{Cert: sign(tb, authority(name, change), c.Cert, key.Public(), c.Key), Key: key}
	if c.Cert.Issuer.String() != c.Cert.Subject.String() {
		sub.above = append([]*CA{c}, c.above...)
	}
	return sub
}

// Client makes a client's certificate with its chain, the root left out.
func (c *CA) Client(tb testing.TB, name string, change ...Change) tls.Certificate {
	tb.Helper()
	key := newKey(tb)
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, fn := range change {
		fn(t)
	}
	leaf := sign(tb, t, c.Cert, key.Public(), c.Key)
	out := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	if c.Cert.Issuer.String() != c.Cert.Subject.String() {
		for _, sub := range append([]*CA{c}, c.above...) {
			out.Certificate = append(out.Certificate, sub.Cert.Raw)
		}
	}
	return out
}

// PEM is the authority's certificate.
func (c *CA) PEM() string { return PEM(c.Cert.Raw) }

// CRL revokes certificates; it is to be replaced after a day.
func (c *CA) CRL(tb testing.TB, revoked ...*x509.Certificate) string {
	tb.Helper()
	l := &x509.RevocationList{
		Number: big.NewInt(serials.Add(1)), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(24 * time.Hour),
	}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	return c.List(tb, l)
}

// List signs a revocation list.
func (c *CA) List(tb testing.TB, l *x509.RevocationList) string {
	tb.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, l, c.Cert, c.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// PEM writes certificates.
func PEM(ders ...[]byte) string {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(out)
}

// KeyPEM writes a certificate's key (PKCS #8).
func KeyPEM(tb testing.TB, c tls.Certificate) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func authority(name string, change []Change) *x509.Certificate {
	t := template(name)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.NotAfter = t.NotAfter.Add(24 * time.Hour) // beyond what it issues
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	for _, fn := range change {
		fn(t)
	}
	return t
}

func newKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, t, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}
