package tenancy

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxClientCAs is how many client CAs an instance may have: each gateway holds
	// them in memory, and asks them at every handshake.
	MaxClientCAs = 8
	// MaxClientCAText and MaxCRLText are how long a client CA's certificates and its
	// CRLs may be, in bytes of PEM. 256 KiB are some 4,000 revoked certificates.
	MaxClientCAText = 64 << 10
	MaxCRLText      = 256 << 10

	maxAnchors     = 16
	minRSABits     = 2048
	maxRSABits     = 8192 // crypto/tls has the same for what clients show
	minECDSABits   = 256
	minRSAExponent = 3
	maxRSAExponent = 65537

	pemCertificate = "CERTIFICATE"
	pemCRL         = "X509 CRL"
)

// ErrClientCA is of a client CA that cannot be: the text says why, and repeats
// nothing of a certificate but its subject.
var ErrClientCA = errors.New("invalid client ca")

// Parse checks a client CA and returns its trust anchors, and its CRLs, each
// signed by one of them. The error wraps ErrClientCA.
func (c ClientCA) Parse() (anchors []*x509.Certificate, crls []*x509.RevocationList, err error) {
	if err := checkWord("name", c.Name); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrClientCA, err)
	}
	if anchors, err = parseAnchors(c.Certificates); err != nil {
		return nil, nil, fmt.Errorf("%w %s: %w", ErrClientCA, c.Name, err)
	}
	if crls, err = parseCRLs(c.CRLs, anchors); err != nil {
		return nil, nil, fmt.Errorf("%w %s: %w", ErrClientCA, c.Name, err)
	}
	if len(c.Rules) > maxRules {
		return nil, nil, fmt.Errorf("%w %s: %d rules, at most %d", ErrClientCA, c.Name, len(c.Rules), maxRules)
	}
	for i, r := range c.Rules {
		if _, err := r.Compile(); err != nil {
			return nil, nil, fmt.Errorf("%w %s: rule %d: %w", ErrClientCA, c.Name, i+1, err)
		}
	}
	return anchors, crls, nil
}

// ParseCertificates reads certificates in PEM, and nothing else: no key, above
// all, which has no business here.
func ParseCertificates(text string, most int) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	err := eachPEM(text, pemCertificate, func(der []byte) error {
		if len(all) == most {
			return fmt.Errorf("more than %d certificates", most)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all = append(all, cert)
		return nil
	})
	return all, err
}

// eachPEM calls fn for every block of a kind, until it fails; text has no other.
func eachPEM(text, kind string, fn func(der []byte) error) error {
	rest := []byte(text)
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && strings.Contains(string(rest), "-----BEGIN"):
			return fmt.Errorf("a PEM block of %s is damaged", kind)
		case block == nil:
			return nil
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return errors.New("there is a private key in it: keep that to yourself, and replace it if it was sent over a network; only certificates belong here")
		case block.Type != kind:
			return fmt.Errorf("a PEM block is %.40q, want %q", block.Type, kind)
		}
		if err := fn(block.Bytes); err != nil {
			return err
		}
	}
}

func parseAnchors(text string) ([]*x509.Certificate, error) {
	if len(text) > MaxClientCAText {
		return nil, fmt.Errorf("certificates of %d bytes, at most %d", len(text), MaxClientCAText)
	}
	anchors, err := ParseCertificates(text, maxAnchors)
	if err != nil {
		return nil, err
	}
	if len(anchors) == 0 {
		return nil, errors.New("there is no certificate in it: use PEM, -----BEGIN CERTIFICATE-----")
	}
	for i, a := range anchors {
		switch {
		case !a.BasicConstraintsValid || !a.IsCA:
			err = errors.New("is not of an authority: it needs basicConstraints CA:TRUE")
		case a.KeyUsage != 0 && a.KeyUsage&x509.KeyUsageCertSign == 0:
			err = errors.New("may not sign certificates: its keyUsage needs keyCertSign")
		default:
			err = CheckKey(a)
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %d (%.120q) %w", i+1, a.Subject.String(), err)
		}
	}
	return anchors, nil
}

// CheckKey refuses a certificate whose key is too weak to prove anything: RSA of
// fewer than 2048 bits, an elliptic curve of fewer than 256. And RSA by which a
// signature takes too long to check, since everybody may ask for it: with 200,000
// bits, which fit into a certificate, and the exponent 2^31-1 it is 7 s.
func CheckKey(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || key.E < minRSAExponent {
			return fmt.Errorf("has an RSA key of %d bits, at least %d are needed", bits, minRSABits)
		} else if bits > maxRSABits || key.E > maxRSAExponent {
			return fmt.Errorf("has an RSA key of %d bits with exponent %d, at most %d bits with exponent %d are checked", bits, key.E, maxRSABits, maxRSAExponent)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < minECDSABits {
			return fmt.Errorf("has an elliptic key of %d bits, at least %d are needed", bits, minECDSABits)
		}
	}
	return nil
}

// parseCRLs reads lists of which each is signed by one of the anchors. One of an
// intermediate needs the intermediate among them.
func parseCRLs(text string, anchors []*x509.Certificate) ([]*x509.RevocationList, error) {
	if len(text) > MaxCRLText {
		return nil, fmt.Errorf("crls of %d bytes, at most %d", len(text), MaxCRLText)
	}
	var all []*x509.RevocationList
	err := eachPEM(text, pemCRL, func(der []byte) error {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("crl %d: %w", len(all)+1, err)
		}
		if err := checkCRL(l, anchors); err != nil {
			return fmt.Errorf("crl %d of %.120q %w", len(all)+1, l.Issuer.String(), err)
		}
		all = append(all, l)
		return nil
	})
	if err == nil && len(all) == 0 && strings.TrimSpace(text) != "" {
		err = errors.New("there is no list in crls: use PEM, -----BEGIN X509 CRL-----")
	}
	return all, err
}

// checkCRL refuses what cannot be read as the whole of its meaning: deltas, and
// lists that speak of other issuers' certificates (RFC 5280 5.2.4, 5.3.3).
func checkCRL(l *x509.RevocationList, anchors []*x509.Certificate) error {
	const partitioned = "2.5.29.28" // issuingDistributionPoint: part of a list is a list
	for _, e := range l.Extensions {
		if e.Critical && e.Id.String() != partitioned {
			return fmt.Errorf("has a critical extension %s, which is not understood: use a complete list", e.Id)
		}
	}
	for _, entry := range l.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			if e.Critical {
				return fmt.Errorf("has an entry with a critical extension %s, which is not understood: use a direct list", e.Id)
			}
		}
	}
	if l.SignatureAlgorithm == x509.SHA1WithRSA || l.SignatureAlgorithm == x509.ECDSAWithSHA1 {
		return errors.New("is signed with SHA-1: sign it with SHA-256 or better")
	}
	for _, a := range anchors {
		if slices.Equal(a.RawSubject, l.RawIssuer) && l.CheckSignatureFrom(a) == nil {
			return nil
		}
	}
	return errors.New("is signed by none of the certificates: an intermediate's list needs its certificate among them")
}

// ClientCAs lists an instance's client CAs in order of name; ErrNotFound if there
// is no such instance.
func (s *Store) ClientCAs(ctx context.Context, id InstanceID) ([]ClientCA, error) {
	fields, err := s.settings(ctx, id, settingsClientCAs)
	if err != nil {
		return nil, err
	}
	return decodeSettings[ClientCA](id, settingsClientCAs, fields)
}

// PutClientCA creates a client CA or replaces the one of that name, whose creation
// time stays, and returns what is stored. ErrClientCA if there can be none like that, ErrNotFound without such an instance, ErrFull beyond
// MaxClientCAs. With ErrUnannounced it was written all the same.
func (s *Store) PutClientCA(ctx context.Context, id InstanceID, c ClientCA) (ClientCA, Revision, error) {
	anchors, crls, err := c.Parse()
	if err != nil {
		return ClientCA{}, 0, fmt.Errorf("instance %s: %w", id, err)
	}
	all, err := s.ClientCAs(ctx, id)
	if err != nil {
		return ClientCA{}, 0, err
	}
	c.Certificates, c.CRLs, c.CreatedAt = "", "", c.CreatedAt.UTC().Round(0)
	for _, a := range anchors { // anew, without what stood between them
		c.Certificates += string(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: a.Raw}))
	}
	for _, l := range crls {
		c.CRLs += string(pem.EncodeToMemory(&pem.Block{Type: pemCRL, Bytes: l.Raw}))
	}
	if there := slices.IndexFunc(all, func(o ClientCA) bool { return o.Name == c.Name }); there >= 0 {
		c.CreatedAt = all[there].CreatedAt
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return ClientCA{}, 0, fmt.Errorf("client ca %s of instance %s: %w", c.Name, id, err)
	}
	rev, err := s.change(ctx, id, settingsChange{kind: settingsClientCAs, most: MaxClientCAs, put: map[string]string{c.Name: string(raw)}})
	return c, rev, err
}

// DeleteClientCA removes a client CA; ErrNotFound if there is none of that name.
func (s *Store) DeleteClientCA(ctx context.Context, id InstanceID, name string) (Revision, error) {
	return s.change(ctx, id, settingsChange{kind: settingsClientCAs, most: MaxClientCAs, remove: []string{name}, when: whenThere})
}
