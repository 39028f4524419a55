package proxy

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/auth"
	"weir/internal/certs"
)

// attack is a certificate that must not let anybody in.
type attack struct {
	cert   tls.Certificate
	reason string
}

// attacks on an instance that trusts ca for clients, and nothing else.
func attacks(t *testing.T, ca, weak, other *certs.CA) map[string]attack {
	at := func(from, to time.Duration) certs.Change {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	usage := func(u ...x509.ExtKeyUsage) certs.Change {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	dns := func(names ...string) certs.Change { return func(c *x509.Certificate) { c.DNSNames = names } }
	deep := ca
	for i := range 50 {
		deep = deep.Intermediate(t, fmt.Sprint("below ", i))
	}
	ring := ca
	for range 9 { // each could have signed each, by their names
		ring = ring.Intermediate(t, "ring")
	}
	constrained := ca.Intermediate(t, "constrained", func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"acme.example"}
	})
	mismatch := ca.Client(t, "app")
	mismatch.PrivateKey = ca.Client(t, "own key").PrivateKey
	twin := certs.NewCA(t, ca.Cert.Subject.CommonName)
	self := twin.Client(t, "app")
	self.Certificate = append(self.Certificate, twin.Cert.Raw)
	huge := func(size int) certs.Change {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: bytes.Repeat([]byte("x"), size)}}
		}
	}
	return map[string]attack{
		"another instance's":               {other.Client(t, "app"), string(auth.ReasonCertificateUntrusted)},
		"expired":                          {ca.Client(t, "app", at(-2*time.Hour, -time.Hour)), string(auth.ReasonCertificateExpired)},
		"below what is expired":            {ca.Intermediate(t, "old", at(-2*time.Hour, -time.Hour)).Client(t, "app"), string(auth.ReasonCertificateExpired)},
		"not yet valid":                    {ca.Client(t, "app", at(time.Hour, 2*time.Hour)), string(auth.ReasonCertificateEarly)},
		"of a CA of the same name":         {self, string(auth.ReasonCertificateUntrusted)},
		"below what is no CA":              {ca.Intermediate(t, "no ca", func(c *x509.Certificate) { c.IsCA = false }).Client(t, "app"), string(auth.ReasonCertificateUntrusted)},
		"below a client":                   {ca.Intermediate(t, "client", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, 0 }).Client(t, "app"), string(auth.ReasonCertificateUntrusted)},
		"too long for its CA":              {ca.Intermediate(t, "short", func(c *x509.Certificate) { c.MaxPathLenZero = true }).Intermediate(t, "second").Client(t, "app"), string(auth.ReasonCertificateUntrusted)},
		"of a server":                      {ca.Client(t, "app", usage(x509.ExtKeyUsageServerAuth)), string(auth.ReasonCertificatePurpose)},
		"below a CA for servers":           {ca.Intermediate(t, "servers", usage(x509.ExtKeyUsageServerAuth)).Client(t, "app"), string(auth.ReasonCertificatePurpose)},
		"key for encryption":               {ca.Client(t, "app", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), string(auth.ReasonCertificatePurpose)},
		"outside name constraints":         {constrained.Client(t, "app", dns("evil.example")), string(auth.ReasonCertificateUntrusted)},
		"50 deep":                          {deep.Client(t, "app"), string(auth.ReasonCertificateTooLarge)},
		"a ring":                           {ring.Client(t, "app"), string(auth.ReasonCertificateUntrusted)},
		"of 100 KiB":                       {ca.Client(t, "app", huge(100<<10)), string(auth.ReasonCertificateTooLarge)},
		"of 1 MiB":                         {ca.Client(t, "app", huge(1<<20)), reasonTLS},
		"MD5":                              {weak.Weaken(t, weak.Client(t, "app"), crypto.MD5), string(auth.ReasonCertificateWeak)},
		"SHA-1":                            {weak.Weaken(t, weak.Client(t, "app"), crypto.SHA1), string(auth.ReasonCertificateWeak)},
		"somebody else's, without its key": {mismatch, reasonTLS},
		"unknown critical extension": {ca.Client(t, "app", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte("x")}}
		}), string(auth.ReasonCertificateUntrusted)},
		"nobody":              {ca.Client(t, "", func(c *x509.Certificate) { c.DNSNames = []string{"app"} }), string(auth.ReasonCertificateUnmapped)},
		"everybody":           {ca.Client(t, "*"), string(auth.ReasonCertificateUnmapped)},
		"a line feed":         {ca.Client(t, "app\nadmin"), string(auth.ReasonCertificateUnmapped)},
		"a name of 250 bytes": {ca.Client(t, strings.Repeat("x", 250)), string(auth.ReasonCertificateUnmapped)},
	}
}

// TestCertificateAttacks shows each to the instance several times. The connection
// ends with a reason, and nobody gets in, not even by an instance of another CA.
func TestCertificateAttacks(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(c *Config) { c.Registry = reg })
	ca, other := certs.NewCA(t, "acme"), certs.NewCA(t, "other")
	weak := certs.NewRSACA(t, "rsa", 2048)
	r.trust("a", ca, "")
	_, rev, err := r.store.PutClientCA(t.Context(), "i-a", clientCA("rsa", weak))
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	r.trust("b", other, "")
	tried, in := 0, 0
	for what, a := range attacks(t, ca, weak, other) {
		for range 5 {
			tried++
			before := closedFor(t, reg, a.reason)
			c, err := r.show("a", &a.cert)
			if err == nil {
				if err = ask(c); err == nil {
					in++
					t.Errorf("%s: got in", what)
				}
				c.Close()
			}
			eventually(t, what+" ends with "+a.reason, func() bool { return closedFor(t, reg, a.reason) > before })
		}
	}
	app := ca.Client(t, "app")
	if c, err := r.show("b", &app); err == nil && ask(c) == nil {
		t.Error("a's certificate gets into b")
	}
	c := r.mustShow("a", &app) // and who is right still gets in
	if err := ask(c); err != nil {
		t.Error(err)
	}
	t.Logf("%d attempts, %d successes", tried, in)
}

// closedFor is how many connections have ended for a reason.
func closedFor(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "weir_connections_closed_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// A name that the rules do not look at makes nobody.
func TestCertificateSaysTwoUsers(t *testing.T) {
	r := newRig(t)
	ca := certs.NewCA(t, "acme")
	uri := func(u string) certs.Change {
		return func(c *x509.Certificate) {
			parsed, err := url.Parse(u)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = []*url.URL{parsed}
		}
	}
	rules := clientCA("main", ca)
	rules.Rules = ruleOf("uri", `spiffe://acme/(\w+)`, "$1")
	_, rev, err := r.store.PutClientCA(t.Context(), "i-a", rules)
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	for what, test := range map[string]struct {
		cert tls.Certificate
		user string
	}{
		"CN says admin":     {ca.Client(t, "admin", uri("spiffe://acme/app")), "app"},
		"no URI":            {ca.Client(t, "admin"), ""},
		"another's domain":  {ca.Client(t, "admin", uri("spiffe://evil/app")), ""},
		"more than matches": {ca.Client(t, "admin", uri("spiffe://acme/app/admin")), ""},
		"domain within":     {ca.Client(t, "admin", uri("spiffe://evil/spiffe://acme/app")), ""},
	} {
		c, err := r.show("a", &test.cert)
		if err == nil {
			err = ask(c)
		}
		if (err == nil) != (test.user != "") {
			t.Errorf("%s: %v", what, err)
		}
		if test.user != "" {
			found := ""
			r.srv.conns.ofInstance("i-a", func(c *conn) { found = c.principal.User })
			if found != test.user {
				t.Errorf("%s: it is %q", what, found)
			}
		}
	}
}
