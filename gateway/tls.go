package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// clientTLSDefaults is TLS where the gateway is the client: TLS 1.2 or newer,
// Go's own curves (with the post-quantum hybrids), names verified.
func clientTLSDefaults() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

// config reads the files that c names.
func (c *ClientTLSConfig) config(dir string) (*tls.Config, error) {
	out := clientTLSDefaults()
	out.ServerName = c.ServerName
	if c.CAFile != "" {
		pem, err := os.ReadFile(resolve(dir, c.CAFile))
		if err != nil {
			return nil, err
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.CAFile)
		}
	}
	if c.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(resolve(dir, c.CertificateFile), resolve(dir, c.KeyFile))
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// serverTLS is TLS where the gateway is the server: TLS 1.2 or newer, Go's own
// curves, the certificate asked of get at every handshake.
func serverTLS(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
}
