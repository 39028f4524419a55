package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"weir/internal/certs"
	"weir/tenancy"
)

// trusting is a fixture whose instance "one" has client CAs, and what it logs. at
// moves its clock.
func trusting(tb testing.TB, at *time.Time, cas ...tenancy.ClientCA) (*fixture, *bytes.Buffer) {
	tb.Helper()
	f := newFixture(tb)
	var log bytes.Buffer
	f.Authenticator = New(Config{
		Directory: f.dir, Pepper: []byte("pepper"), Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { return *at },
	})
	f.access(&tenancy.Access{ClientCAs: cas})
	return f, &log
}

// access replaces that of instance "one".
func (f *fixture) access(a *tenancy.Access) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	v := *f.dir.views["one"]
	v.Access = a
	f.dir.views["one"] = &v
}

func shows(tb testing.TB, id tenancy.InstanceID, c tls.Certificate) Peer {
	tb.Helper()
	peer := at("192.0.2.1", id)
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			tb.Fatal(err)
		}
		peer.Chain = append(peer.Chain, cert)
	}
	return peer
}

// byName is a client CA whose users are the common names.
func byName(name string, ca *certs.CA) tenancy.ClientCA {
	return tenancy.ClientCA{Name: name, Certificates: ca.PEM(), Rules: []tenancy.CertificateRule{{From: tenancy.FromCommonName}}}
}

func TestCertify(t *testing.T) {
	now := time.Now()
	ca := certs.NewCA(t, "acme")
	f, _ := trusting(t, &now, tenancy.ClientCA{Name: "main", Certificates: ca.PEM()})
	app := ca.Client(t, "app", func(c *x509.Certificate) { c.Subject.Organization = []string{"Acme, Inc."} })
	p, proof, err := f.Certify(shows(t, "one", app))
	if want := (Principal{"one", `CN=app,O=Acme\, Inc.`}); p != want || err != nil {
		t.Errorf("%v, %v; want %v", p, err, want)
	}
	if !proof.Until.Equal(app.Leaf.NotAfter) || proof.Mechanism != Certificate {
		t.Errorf("%+v", proof)
	}
	if why := f.Check(p, proof, shows(t, "one", app)); why != "" {
		t.Errorf("Check says %q", why)
	}
	// Where it proves nothing it harms nothing.
	for what, peer := range map[string]Peer{
		"no client CAs": shows(t, "two", app), "no instance": shows(t, "nobody", app), "not said": shows(t, "", app), "none shown": at("192.0.2.1", "one"),
	} {
		if p, proof, err := f.Certify(peer); p != (Principal{}) || proof.certificate != nil || err != nil {
			t.Errorf("%s: %v, %v, %v", what, p, proof, err)
		}
	}
	// It ends with the first of its chain.
	short := ca.Intermediate(t, "short", func(c *x509.Certificate) { c.NotAfter = now.Add(time.Minute) })
	below := shows(t, "one", short.Client(t, "app"))
	p, proof, err = f.Certify(below)
	if err != nil || !proof.Until.Equal(short.Cert.NotAfter) {
		t.Fatalf("%v, %v", proof.Until, err)
	}
	now = short.Cert.NotAfter
	if why := f.Check(p, proof, below); why != ReasonExpired {
		t.Errorf("at its end Check says %q", why)
	}
}

// Whoever connects may have a chain looked at, so that is done in slots, of which one
// instance has half: with none left nothing is looked at.
func TestCertifyTakesASlot(t *testing.T) {
	now := time.Now()
	ca := certs.NewCA(t, "acme")
	f, _ := trusting(t, &now, tenancy.ClientCA{Name: "main", Certificates: ca.PEM()})
	f.chainSlots = newSlots(0, 0)
	if p, _, err := f.Certify(shows(t, "one", ca.Client(t, "app"))); p != (Principal{}) || reason(t, err) != ReasonBusy {
		t.Errorf("%v, %v", p, err)
	}
	if p, _, err := f.Certify(shows(t, "two", ca.Client(t, "app"))); p != (Principal{}) || err != nil {
		t.Errorf("without client CAs: %v, %v", p, err)
	}
}

// Of two ways up, one that is revoked or gone leaves the other.
func TestCertificateWithTwoWays(t *testing.T) {
	now := time.Now()
	root := certs.NewCA(t, "root")
	sub := root.Intermediate(t, "sub")
	app := sub.Client(t, "app")
	both := []tenancy.ClientCA{byName("root", root), byName("sub", sub)}
	f, _ := trusting(t, &now, both...)
	peer := shows(t, "one", app)
	p, proof, err := f.Certify(peer)
	if err != nil || len(proof.certificate.paths) != 2 {
		t.Fatalf("%v, %v", err, proof.certificate)
	}
	crl := func(of *certs.CA, revoked *x509.Certificate) tenancy.ClientCA {
		c := byName("root", of)
		c.CRLs = of.CRL(t, revoked)
		return c
	}
	other := byName("root", root)
	other.Rules[0].User = "other"
	other.Rules[0].Pattern = ".*"
	for what, test := range map[string]struct {
		cas  []tenancy.ClientCA
		want Reason
	}{
		"both":                        {both, ""},
		"the root":                    {both[:1], ""},
		"the intermediate":            {both[1:], ""},
		"neither":                     {[]tenancy.ClientCA{byName("x", certs.NewCA(t, "root"))}, ReasonCertificateUntrusted},
		"none at all":                 {nil, ReasonCertificateUntrusted},
		"the intermediate is revoked": {[]tenancy.ClientCA{crl(root, sub.Cert), both[1]}, ReasonCertificateRevoked},
		"the root makes another":      {[]tenancy.ClientCA{other, both[1]}, ""},
		"only another":                {[]tenancy.ClientCA{other}, ReasonCertificateUnmapped},
	} {
		f.access(&tenancy.Access{ClientCAs: test.cas})
		if why := f.Check(p, proof, peer); why != test.want {
			t.Errorf("%s: Check says %q, want %q", what, why, test.want)
		}
		if _, _, err := f.Certify(peer); (err == nil) != (test.want == "" || what == "only another" || what == "none at all") {
			t.Errorf("%s: Certify says %v", what, err)
		}
	}
}

// A list that nobody has replaced still counts, and is warned of once.
func TestOldCRL(t *testing.T) {
	now := time.Now()
	ca := certs.NewCA(t, "acme")
	gone, stays := ca.Client(t, "gone"), ca.Client(t, "stays")
	of := byName("main", ca)
	of.CRLs = ca.List(t, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: gone.Leaf.SerialNumber, RevocationTime: now.Add(-3 * time.Hour)}},
	})
	f, log := trusting(t, &now, of)
	for range 3 {
		if _, _, err := f.Certify(shows(t, "one", gone)); reason(t, err) != ReasonCertificateRevoked {
			t.Errorf("the revoked one: %v", err)
		}
		if _, _, err := f.Certify(shows(t, "one", stays)); err != nil {
			t.Errorf("the other one: %v", err)
		}
	}
	if n := strings.Count(log.String(), "crl of a client ca is out of date"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log)
	}
}

func TestJudgeCertificate(t *testing.T) {
	ca := certs.NewCA(t, "acme")
	rules := byName("b", ca)
	rules.Rules = []tenancy.CertificateRule{{From: tenancy.FromURI}, {From: tenancy.FromCommonName, Pattern: "app-(.*)", User: "$1"}}
	weak := certs.NewRSACA(t, "weak", 2048)
	chain := func(c tls.Certificate) []*x509.Certificate { return shows(t, "one", c).Chain }
	for what, test := range map[string]struct {
		cas   []tenancy.ClientCA
		shown []*x509.Certificate
		want  Verdict
	}{
		"by a rule":      {[]tenancy.ClientCA{rules}, chain(ca.Client(t, "app-x")), Verdict{User: "x", CA: "b", Rule: 2}},
		"by the subject": {[]tenancy.ClientCA{{Name: "a", Certificates: ca.PEM()}, rules}, chain(ca.Client(t, "app-x")), Verdict{User: "CN=app-x", CA: "a"}},
		"by no rule":     {[]tenancy.ClientCA{rules}, chain(ca.Client(t, "x")), Verdict{Why: ReasonCertificateUnmapped}},
		"none shown":     {[]tenancy.ClientCA{rules}, nil, Verdict{Why: ReasonCertificateMissing}},
		"no client CA":   {nil, chain(ca.Client(t, "app-x")), Verdict{Why: ReasonCertificateUntrusted}},
		"a broken one":   {[]tenancy.ClientCA{{Name: "a", Certificates: "?"}, rules}, chain(ca.Client(t, "app-x")), Verdict{User: "x", CA: "b", Rule: 2}},
		"a weak CA key":  {[]tenancy.ClientCA{byName("a", certs.NewRSACA(t, "short", 1024))}, chain(weak.Client(t, "x")), Verdict{Why: ReasonCertificateUntrusted}},
	} {
		got := JudgeCertificate(test.cas, test.shown, time.Now())
		if (got.Detail == "") != (got.Why == "") {
			t.Errorf("%s: %q, %q", what, got.Why, got.Detail)
		}
		if got.Detail = ""; got != test.want {
			t.Errorf("%s: %+v, want %+v", what, got, test.want)
		}
	}
}

// The check of a live session must not cost: it runs for each at every change.
func BenchmarkCheckCertificate(b *testing.B) {
	now := time.Now()
	ca := certs.NewCA(b, "acme")
	of := byName("main", ca)
	f, _ := trusting(b, &now, of)
	peer := shows(b, "one", ca.Client(b, "app"))
	p, proof, err := f.Certify(peer)
	if err != nil {
		b.Fatal(err)
	}
	accesses := []*tenancy.Access{{ClientCAs: []tenancy.ClientCA{of}}, {ClientCAs: []tenancy.ClientCA{of}}}
	for name, changed := range map[string]bool{"unchanged": false, "changed": true} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if changed {
					proof.certificate.checked.Store(accesses[i%2])
				}
				if why := f.Check(p, proof, peer); why != "" {
					b.Fatal(why)
				}
			}
		})
	}
}

func BenchmarkCertify(b *testing.B) {
	now := time.Now()
	ca := certs.NewCA(b, "acme")
	f, _ := trusting(b, &now, byName("main", ca))
	peer := shows(b, "one", ca.Intermediate(b, "sub").Client(b, "app"))
	for b.Loop() {
		if _, _, err := f.Certify(peer); err != nil {
			b.Fatal(err)
		}
	}
}
