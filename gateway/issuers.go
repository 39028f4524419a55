package gateway

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"

	"weir/auth"
)

// issuers are those that tenants may believe.
func (c *Config) issuers() ([]auth.AllowedIssuer, error) {
	var all []auth.AllowedIssuer
	for i := range c.Auth.Issuers {
		a, err := c.Auth.Issuers[i].allowed()
		if err != nil {
			return nil, fmt.Errorf("auth.issuers[%d]: %w", i, err)
		}
		if file := c.Auth.Issuers[i].CAFile; file != "" {
			pem, err := os.ReadFile(resolve(c.dir, file))
			if err != nil {
				return nil, err
			}
			a.Roots = x509.NewCertPool()
			a.Roots.AppendCertsFromPEM(pem)
		}
		all = append(all, a)
	}
	return all, nil
}

// allowed is the entry without its CA.
func (i *IssuerConfig) allowed() (auth.AllowedIssuer, error) {
	a := auth.AllowedIssuer{URL: i.URL, JWKS: i.JWKS, ClockSkew: i.ClockSkew}
	for _, text := range i.Private {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return a, fmt.Errorf("private: %.80q is no range as in 10.1.2.0/24", text)
		}
		a.Private = append(a.Private, p.Masked())
	}
	return a, a.Check()
}

func (v *validator) issuers(all []IssuerConfig) {
	for n := range all {
		i, at := &all[n], fmt.Sprintf("auth.issuers[%d]", n)
		if v.required(at+".url", i.URL) {
			if _, err := i.allowed(); err != nil {
				v.fail(at, codeValue, "%s", err)
			}
		}
		if i.CAFile != "" {
			v.ca(at+".ca_file", i.CAFile)
		}
	}
}
