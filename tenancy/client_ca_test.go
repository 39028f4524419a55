package tenancy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"weir/internal/certs"
)

func TestCertificateRules(t *testing.T) {
	rule := func(pattern, user, change string) CertificateRule {
		return CertificateRule{From: FromDNS, Pattern: pattern, User: user, Case: change}
	}
	for name, test := range map[string]struct {
		rule       CertificateRule
		name, user string // no user: no match
	}{
		"the name":                  {rule("", "", ""), "app", "app"},
		"lower":                     {rule("", "", "lower"), "APP-É", "app-é"},
		"upper":                     {rule("", "x-$1", "upper"), "", ""},
		"group":                     {rule(`(.*)\.acme`, "$1", ""), "app.acme", "app"},
		"group before letters":      {rule(`(a)(b)`, "$2x$1y", ""), "ab", "bxay"},
		"the whole of it, begin":    {rule(`app`, "", ""), "xapp", ""},
		"the whole of it, end":      {rule(`app`, "", ""), "appx", ""},
		"the whole of it, line":     {rule(`app`, "", ""), "app\nx", ""},
		"alternatives stay inside":  {rule(`app|ops`, "", ""), "opsx", ""},
		"multi-line mode no escape": {rule(`(?m)^app$`, "", ""), "app\nx", ""},
		"a group that is not there": {rule(`(a)|(b)`, "$2u", ""), "a", "u"},
		"a group that is empty":     {rule(`(a*)b`, "$1", ""), "b", ""},
		"everybody":                 {rule("", "", ""), "*", ""},
		"everybody made":            {rule(`(.)`, "$1", ""), "*", ""},
		"control":                   {rule("", "", ""), "a\x00b", ""},
		"next line":                 {rule("", "", ""), "a\u0085b", ""},
		"right to left":             {rule("", "", ""), "a\u202eb", ""},
		"not UTF-8":                 {rule("", "", ""), "a\xff", ""},
		"longest":                   {rule("", "", ""), strings.Repeat("x", 249), strings.Repeat("x", 249)},
		"too long":                  {rule("", "", ""), strings.Repeat("x", 250), ""},
	} {
		compiled, err := test.rule.Compile()
		if name == "upper" {
			if err == nil {
				t.Error("$1 without a group")
			}
			continue
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if got, ok := compiled.User(test.name); ok != (test.user != "") || ok && got != test.user {
			t.Errorf("%s: %q, %v; want %q", name, got, ok, test.user)
		}
	}
	for name, bad := range map[string]CertificateRule{
		"from": {From: "serial"}, "no from": {}, "case": {From: FromDNS, Case: "title"}, "pattern": {From: FromDNS, Pattern: "("},
		"out of the parentheses": {From: FromDNS, Pattern: "a)|(?:b"}, "no group": {From: FromDNS, Pattern: "a", User: "$1"},
		"whole match": {From: FromDNS, Pattern: "(a)", User: "$0"}, "named": {From: FromDNS, Pattern: "(a)", User: "${1}"}, "end": {From: FromDNS, User: "a$"},
		"back reference": {From: FromDNS, Pattern: `(a)\1`}, "long": {From: FromDNS, Pattern: strings.Repeat("a", 513)},
		"large": {From: FromDNS, Pattern: "((a{1000}){1000}){1000}"},
	} {
		if _, err := bad.Compile(); err == nil {
			t.Errorf("%s: no mistake", name)
		}
	}
}

func TestClientCAMistakes(t *testing.T) {
	ca, other := certs.NewCA(t, "acme"), certs.NewCA(t, "other")
	below := ca.Intermediate(t, "below")
	twin := certs.NewCA(t, "acme")
	extension := func(oid ...int) []pkix.Extension {
		return []pkix.Extension{{Id: oid, Critical: true, Value: []byte{0x30, 0}}}
	}
	list := func(of *certs.CA, fn func(*x509.RevocationList)) string {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Minute)}
		fn(l)
		return of.List(t, l)
	}
	entry := x509.RevocationListEntry{SerialNumber: big.NewInt(7), RevocationTime: time.Now(), ExtraExtensions: extension(2, 5, 29, 29)}
	many := strings.Repeat(ca.PEM(), maxAnchors+1)
	for name, test := range map[string]struct{ text, crls, want string }{
		"right":                   {ca.PEM() + below.PEM(), ca.CRL(t) + below.CRL(t), ""},
		"part of a list":          {ca.PEM(), list(ca, func(l *x509.RevocationList) { l.ExtraExtensions = extension(2, 5, 29, 28) }), ""},
		"nothing":                 {"", "", "no certificate"},
		"damaged":                 {strings.Replace(ca.PEM(), "END", "ENDE", 1), "", "damaged"},
		"damaged base64":          {ca.PEM()[:100] + "!!!" + ca.PEM()[103:], "", "damaged"},
		"not a certificate":       {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "certificate 1"},
		"a request":               {strings.ReplaceAll(ca.PEM(), "CERTIFICATE", "CERTIFICATE REQUEST"), "", "PEM block"},
		"a key":                   {certs.KeyPEM(t, ca.Client(t, "x")), "", "private key"},
		"too many":                {many, "", "more than 16"},
		"too long":                {strings.Repeat("x", MaxClientCAText+1), "", "at most"},
		"a client":                {certs.PEM(ca.Client(t, "x").Certificate[0]), "", "not of an authority"},
		"may not sign":            {certs.NewCA(t, "x", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }).PEM(), "", "keyCertSign"},
		"a weak key":              {certs.NewRSACA(t, "weak", 1024).PEM(), "", "1024 bits"},
		"a key that takes long":   {rsaAuthority(t, 16384, 65537), "", "16384 bits"},
		"an exponent that does":   {rsaAuthority(t, 8192, 1<<31-1), "", "exponent 2147483647"},
		"the largest":             {rsaAuthority(t, 8192, 65537), "", ""},
		"list of another":         {ca.PEM(), other.CRL(t), "signed by none"},
		"list of the same name":   {ca.PEM(), twin.CRL(t), "signed by none"},
		"list of one not shown":   {ca.PEM(), below.CRL(t), "signed by none"},
		"delta":                   {ca.PEM(), list(ca, func(l *x509.RevocationList) { l.ExtraExtensions = extension(2, 5, 29, 27) }), "complete list"},
		"indirect":                {ca.PEM(), list(ca, func(l *x509.RevocationList) { l.RevokedCertificateEntries = []x509.RevocationListEntry{entry} }), "direct list"},
		"a certificate as a list": {ca.PEM(), ca.PEM(), "PEM block"},
	} {
		_, _, err := ClientCA{Name: "n", Certificates: test.text, CRLs: test.crls}.Parse()
		switch {
		case test.want == "" && err != nil, test.want != "" && (!errors.Is(err, ErrClientCA) || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %q has several lines", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a/b", "ä", strings.Repeat("x", 65)} {
		if _, _, err := (ClientCA{Name: name, Certificates: ca.PEM()}).Parse(); !errors.Is(err, ErrClientCA) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestClientCAsInTheStore(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("i-a"))
	ca := certs.NewCA(t, "acme")
	if all, err := s.ClientCAs(t.Context(), "i-a"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	of := ClientCA{Name: "b", Certificates: "a comment\n" + ca.PEM(), CreatedAt: time.Now()}
	g := run(t, s, "g").waitReady()
	_, rev, err := s.PutClientCA(t.Context(), "i-a", of)
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	before, _ := g.View("i-a")
	if len(before.Access.ClientCAs) != 1 || before.Access.ClientCAs[0].Certificates != ca.PEM() {
		t.Errorf("the view has %+v", before.Access.ClientCAs)
	}
	of.Name = "a"
	if _, _, err := s.PutClientCA(t.Context(), "i-a", of); err != nil {
		t.Fatal(err)
	}
	if all, err := s.ClientCAs(t.Context(), "i-a"); err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Errorf("%v, %v", all, err)
	}
	_, _, err = s.PutClientCA(t.Context(), "i-none", of)
	wantErr(t, "no instance", err, ErrNotFound)
	_, _, err = s.PutClientCA(t.Context(), "i-a", ClientCA{Name: "c"})
	wantErr(t, "no certificate", err, ErrClientCA)
	for i := range MaxClientCAs - 2 {
		of.Name = "more-" + string(rune('a'+i))
		if _, _, err := s.PutClientCA(t.Context(), "i-a", of); err != nil {
			t.Fatal(err)
		}
	}
	of.Name = "one-more"
	_, _, err = s.PutClientCA(t.Context(), "i-a", of)
	wantErr(t, "one more", err, ErrFull)
	if _, err := s.DeleteClientCA(t.Context(), "i-a", "a"); err != nil {
		t.Fatal(err)
	}
	_, err = s.DeleteClientCA(t.Context(), "i-a", "a")
	wantErr(t, "again", err, ErrNotFound)
}

func TestAuthenticationInTheStore(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("i-a"))
	want := Authentication{Mechanisms: []string{"PLAIN"}, RequireCertificate: true}
	for _, a := range []Authentication{{RequireSASL: true}, want} {
		if _, err := s.PutAuthentication(t.Context(), "i-a", a); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Authentication(t.Context(), "i-a")
	if err != nil || got.RequireSASL || !got.RequireCertificate || !got.Allows("PLAIN") || got.Allows("SCRAM-SHA-256") {
		t.Errorf("%+v, %v", got, err)
	}
	if fields, _ := s.settings(t.Context(), "i-a", settingsAuthentication); len(fields) != 1 {
		t.Errorf("there are %d policies", len(fields))
	}
	_, err = s.PutAuthentication(t.Context(), "i-a", Authentication{Mechanisms: []string{"PLAIN", "PLAIN"}})
	wantErr(t, "twice", err, ErrAuthentication)
	_, err = s.PutAuthentication(t.Context(), "i-none", want)
	wantErr(t, "no instance", err, ErrNotFound)
	_, err = s.Authentication(t.Context(), "i-none")
	wantErr(t, "no instance", err, ErrNotFound)
	if !(Authentication{}).Allows("anything") {
		t.Error("the zero policy asks something")
	}
}

// FuzzRule: whatever a rule says, its user can be one, and comes of the whole name.
func FuzzRule(f *testing.F) {
	f.Add("(.*)@(.*)", "$2-$1", "a@b")
	f.Add("", "", "*")
	f.Fuzz(func(t *testing.T, pattern, user, name string) {
		rule, err := CertificateRule{From: FromDNS, Pattern: pattern, User: user}.Compile()
		if err != nil {
			return
		}
		if got, ok := rule.User(name); ok && CheckProvedUser(got) != nil {
			t.Errorf("user %q", got)
		}
	})
}

// rsaAuthority is a CA with a key of that size, of which nobody has the private half:
// the first thing that comes to who wants us to calculate.
func rsaAuthority(t *testing.T, bits, exponent int) string {
	t.Helper()
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	signer := certs.NewCA(t, "signer")
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "large"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, signer.Cert, &rsa.PublicKey{N: n, E: exponent}, signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certs.PEM(der)
}
