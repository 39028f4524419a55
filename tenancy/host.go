package tenancy

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// MaxHosts is how many host names of its own an instance may have.
	MaxHosts = 5
	// maxHostName leaves room for b<node>. in the 253 bytes of a DNS name.
	maxHostName = 200
	maxLabel    = 63
	// maxChain bounds a certificate with its intermediates, in bytes of PEM: it is
	// sent to everybody who asks for the name.
	maxChain        = 32 << 10
	maxCertificates = 8
	// minRSA and maxRSA are in bits. Who shakes hands has not proved anything yet,
	// and a signature with 8192 bits takes eight times one with 4096.
	minRSA, maxRSA = 2048, 4096
)

// ErrHost is of a host name or certificate that cannot be: its text says what is
// wrong with it, and nothing of the key.
var ErrHost = errors.New("invalid host")

// ParseHostName checks a host name that somebody chose and brings it into the form
// of Host.Name: letters, digits and hyphens (RFC 1123 2.1) in two labels or more,
// 200 bytes at most. Not an address, and not b<digits>.<name>, which would be the
// name of another host's broker. The error wraps ErrHost.
func ParseHostName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%w: the name %.80q %s", ErrHost, s, fmt.Sprintf(format, args...))
	}
	labels := strings.Split(name, ".")
	switch {
	case strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) >= 0: // some are letters in lower case
		return refuse("has other letters than a-z: give an international name as DNS has it (xn--...)")
	case len(name) > maxHostName:
		return refuse("has %d characters, %d are the most", len(name), maxHostName)
	case len(labels) < 2:
		return refuse("has no domain: use one such as kafka.acme.example")
	case strings.Trim(labels[len(labels)-1], "0123456789") == "": // WHATWG URL 3.5: it ends in a number
		return refuse("is an address: use a name")
	}
	for _, label := range labels {
		if !isLabel(label) {
			return refuse("is no host name: use labels of a-z, 0-9 and - of 1 to %d characters, with dots between", maxLabel)
		}
	}
	if _, _, is := BrokerHost(name); is {
		return refuse("is that of a broker: choose one that does not begin with b<digits>")
	}
	return name, nil
}

// isLabel reports whether s is a label of a host name in lower case.
func isLabel(s string) bool {
	outside := func(r rune) bool { return !isLower(r) && !isDigit(r) && r != '-' }
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' && strings.IndexFunc(s, outside) < 0
}

// BrokerName is under which name a host's clients reach a broker.
func (h Host) BrokerName(node int32) string { return "b" + strconv.Itoa(int(node)) + "." + h.Name }

// BrokerHost reads b<node>.<host>, in lower case; is is false of any other name.
func BrokerHost(name string) (node int32, host string, is bool) {
	label, host, dotted := strings.Cut(name, ".")
	digits, b := strings.CutPrefix(label, "b")
	if !dotted || !b || strings.Trim(digits, "0123456789") != "" {
		return 0, "", false
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	return int32(n), host, err == nil
}

// NewHost checks a name with its certificate, and seals the key for its instance.
// Chain and key are PEM. The error wraps ErrHost.
func NewHost(sealer *Sealer, id InstanceID, name, chain, key string, now time.Time) (Host, error) {
	name, err := ParseHostName(name)
	if err != nil {
		return Host{}, err
	}
	pair, err := parseCertificate(chain, key)
	if err == nil {
		err = checkCertificate(name, pair, now)
	}
	if err != nil {
		return Host{}, fmt.Errorf("%w: the certificate of %s: %w", ErrHost, name, err)
	}
	h := Host{Name: name, Chain: chain, CreatedAt: now.UTC().Round(0)}
	h.Key = sealer.Seal(id, h.place(), []byte(key))
	return h, nil
}

// place is what the key is sealed for.
func (h Host) place() string { return "host " + h.Name }

// Certificate opens the key and returns what TLS needs; the error says nothing of
// the key. It takes up to some milliseconds.
func (h Host) Certificate(sealer *Sealer, id InstanceID) (*tls.Certificate, error) {
	if sealer == nil {
		return nil, fmt.Errorf("%w: this gateway has no key to open secrets with", ErrSeal)
	}
	key, err := sealer.Open(id, h.place(), h.Key)
	if err != nil {
		return nil, err
	}
	return parseCertificate(h.Chain, string(key))
}

// Leaf parses the first certificate of the chain.
func (h Host) Leaf() (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(h.Chain))
	if block == nil {
		return nil, fmt.Errorf("%w: the certificate of %s is no PEM", ErrHost, h.Name)
	}
	return x509.ParseCertificate(block.Bytes)
}

// parseCertificate reads chain and key; they belong together then.
func parseCertificate(chain, key string) (*tls.Certificate, error) {
	if len(chain) > maxChain {
		return nil, fmt.Errorf("%d bytes of PEM, %d are the most", len(chain), maxChain)
	}
	if strings.Contains(key, "ENCRYPTED") {
		return nil, errors.New("the key is encrypted: give it as it is (openssl pkey -in FILE)")
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// checkCertificate says what would keep clients from accepting it, whomever they trust.
func checkCertificate(name string, pair *tls.Certificate, now time.Time) error {
	leaf := pair.Leaf
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it has expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	// Any broker's name: a certificate that lists those of today fails with the next one.
	broker := Host{Name: name}.BrokerName(math.MaxInt32)
	if leaf.VerifyHostname(name) != nil || leaf.VerifyHostname(broker) != nil {
		return fmt.Errorf("it is not for both %s and *.%s (subject alternative names)", name, name)
	}
	server := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny }
	if len(leaf.ExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, server) {
		return errors.New("its extended key usage is not that of a server")
	}
	if err := checkPublicKey(leaf.PublicKey); err != nil {
		return err
	}
	return checkChain(pair.Certificate)
}

func checkPublicKey(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("its RSA key has %d bits, use %d to %d", bits, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if k.Params().BitSize < 256 {
			return fmt.Errorf("its key is of the curve %s, use P-256 or more", k.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("its key is %T, use RSA, ECDSA or Ed25519", key)
	}
	return nil
}

// checkChain insists that each certificate is signed by the next one.
func checkChain(ders [][]byte) error {
	if len(ders) > maxCertificates {
		return fmt.Errorf("%d certificates in the chain, %d are the most", len(ders), maxCertificates)
	}
	var below *x509.Certificate
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate %d of the chain: %w", i+1, err)
		}
		if below != nil && below.CheckSignatureFrom(c) != nil {
			return fmt.Errorf("certificate %d of the chain has not signed the one before it: put the leaf first, then its issuers in order", i+1)
		}
		below = c
	}
	return nil
}
