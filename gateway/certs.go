package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	caYears = 10
	// serverDays is what browsers and Apple's TLS accept at most for a leaf.
	serverDays = 397
	// renewBefore is how much life a server certificate must have left at start.
	renewBefore = 30 * 24 * time.Hour
)

// devCerts is the private CA of `weir dev` and the certificate that it gave
// the gateway, all in one folder: ca.pem, ca.key, server.pem, server.key.
type devCerts struct{ dir string }

func (d devCerts) caFile() string     { return filepath.Join(d.dir, "ca.pem") }
func (d devCerts) caKeyFile() string  { return filepath.Join(d.dir, "ca.key") }
func (d devCerts) serverFile() string { return filepath.Join(d.dir, "server.pem") }
func (d devCerts) serverKey() string  { return filepath.Join(d.dir, "server.key") }

// ensure makes what is missing or will not last: the CA once for caYears, the
// server's certificate anew when less than renewBefore is left, when it lacks
// one of hosts, or when it is not of this CA. It returns the CA's PEM.
func (d devCerts) ensure(now time.Time, hosts []string) (caPEM []byte, err error) {
	ca, key, err := d.loadCA()
	if errors.Is(err, fs.ErrNotExist) || err == nil && now.After(ca.NotAfter) {
		ca, key, err = d.makeCA(now)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w; remove ca.pem and ca.key to make a new one", d.dir, err)
	}
	if !d.serverGood(now, ca, hosts) {
		if err := d.makeServer(now, ca, key, hosts); err != nil {
			return nil, fmt.Errorf("server certificate in %s: %w", d.dir, err)
		}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), nil
}

func (d devCerts) loadCA() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	ca, err := readCertificate(d.caFile())
	if err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(d.caKeyFile())
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, errors.New("ca.key holds no PEM block")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("ca.key: %w", err)
	}
	if !key.PublicKey.Equal(ca.PublicKey) {
		return nil, nil, errors.New("ca.key is not the key of ca.pem")
	}
	return ca, key, nil
}

func (d devCerts) makeCA(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Weir dev CA " + now.UTC().Format("2006-01-02")},
		NotBefore:             now.Add(-time.Hour), // a client's clock may be late
		NotAfter:              now.AddDate(caYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	return ca, key, writePair(d.caFile(), d.caKeyFile(), der, key)
}

func (d devCerts) makeServer(now time.Time, ca *x509.Certificate, caKey *ecdsa.PrivateKey, hosts []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Weir dev"},
		NotBefore:   now.Add(-time.Hour),
		NotAfter:    now.AddDate(0, 0, serverDays),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	return writePair(d.serverFile(), d.serverKey(), der, key)
}

func (d devCerts) serverGood(now time.Time, ca *x509.Certificate, hosts []string) bool {
	leaf, err := readCertificate(d.serverFile())
	if err != nil || leaf.CheckSignatureFrom(ca) != nil || now.Add(renewBefore).After(leaf.NotAfter) {
		return false
	}
	if _, err := tls.LoadX509KeyPair(d.serverFile(), d.serverKey()); err != nil {
		return false // a key without its certificate: killed between the two writes
	}
	return !slices.ContainsFunc(hosts, func(h string) bool {
		if net.ParseIP(h) == nil {
			return !slices.Contains(leaf.DNSNames, h)
		}
		return leaf.VerifyHostname(h) != nil
	})
}

func readCertificate(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", filepath.Base(file))
	}
	return x509.ParseCertificate(block.Bytes)
}

// writePair writes the key before the certificate: whoever finds the
// certificate finds its key.
func writePair(certFile, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})); err != nil {
		return err
	}
	return writeFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// writeFile replaces a file whole, readable by its owner only: whoever reads it
// meanwhile sees the old content or the new.
func writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
