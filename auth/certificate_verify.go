package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"weir/tenancy"
)

const (
	// maxChain and maxChainBytes bound what is looked at of a client's chain.
	maxChain      = 10
	maxChainBytes = 64 << 10
	// maxPaths is how many ways from a certificate to an anchor are remembered.
	maxPaths = 8
)

// unbelieved is why a certificate proves nothing. The error, of a tenant's own
// certificates, is for who asks in the tenant's name, not for logs.
type unbelieved struct {
	why Reason
	err error
}

func refuseCertificate(why Reason, format string, args ...any) *unbelieved {
	return &unbelieved{why: why, err: fmt.Errorf(format, args...)}
}

// verify finds the ways from a chain as the client showed it, leaf first, to the
// anchors (RFC 5280 6): only to those of the instance, never to the system's. The
// leaf must be one of a client as Java sees it (EndEntityChecker.checkTLSClient):
// clientAuth, or no extended key usage at all, and digitalSignature, or no key usage.
func (cas *clientCAs) verify(shown []*x509.Certificate, now time.Time) (*certificateProof, *unbelieved) {
	if err := boundChain(shown); err != nil {
		return nil, err
	}
	leaf := shown[0]
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, refuseCertificate(ReasonCertificatePurpose, "its keyUsage has no digitalSignature")
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: cas.pool, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, unverified(err, leaf, now)
	}
	proof := &certificateProof{names: namesOf(leaf)}
	for _, chain := range chains[:min(len(chains), maxPaths)] {
		proof.add(chain)
	}
	return proof, nil
}

// boundChain refuses what would cost more to look at than a client's chain can. No
// two of its certificates have the same name, so that there is one way up through
// them: a chain of ten that sign each other would have 10! of them.
func boundChain(shown []*x509.Certificate) *unbelieved {
	if len(shown) == 0 {
		return refuseCertificate(ReasonCertificateMissing, "there is no certificate")
	}
	if len(shown) > maxChain {
		return refuseCertificate(ReasonCertificateTooLarge, "a chain of %d certificates, at most %d", len(shown), maxChain)
	}
	size := 0
	names := make(map[string]bool, len(shown))
	for i, c := range shown {
		if size += len(c.Raw); size > maxChainBytes {
			return refuseCertificate(ReasonCertificateTooLarge, "a chain of more than %d bytes", maxChainBytes)
		}
		if names[string(c.RawSubject)] {
			return refuseCertificate(ReasonCertificateUntrusted, "certificate %d has the subject of one before it", i+1)
		}
		names[string(c.RawSubject)] = true
		if err := tenancy.CheckKey(c); err != nil {
			return refuseCertificate(ReasonCertificateWeak, "certificate %d %w", i+1, err)
		}
	}
	return nil
}

// unverified says in our words why crypto/x509 does not believe a chain.
func unverified(err error, leaf *x509.Certificate, now time.Time) *unbelieved {
	why := ReasonCertificateUntrusted
	var invalid x509.CertificateInvalidError
	var insecure x509.InsecureAlgorithmError
	switch {
	case errors.As(err, &insecure), leaf.SignatureAlgorithm == x509.SHA1WithRSA, leaf.SignatureAlgorithm == x509.ECDSAWithSHA1,
		leaf.SignatureAlgorithm == x509.MD5WithRSA:
		why = ReasonCertificateWeak
	case !errors.As(err, &invalid):
	case invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		why = ReasonCertificateEarly
	case invalid.Reason == x509.Expired:
		why = ReasonCertificateExpired
	case invalid.Reason == x509.IncompatibleUsage:
		why = ReasonCertificatePurpose
	}
	return &unbelieved{why: why, err: err}
}

// add remembers one chain as a path.
func (c *certificateProof) add(chain []*x509.Certificate) {
	p := path{anchor: sha256.Sum256(chain[len(chain)-1].Raw)}
	for _, part := range chain {
		p.ids = append(p.ids, idOf(part))
		if c.until.IsZero() || part.NotAfter.Before(c.until) {
			c.until = part.NotAfter
		}
	}
	c.paths = append(c.paths, p)
}
