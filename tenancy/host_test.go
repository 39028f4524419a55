package tenancy

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseHostName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + ".examples"
	for in, want := range map[string]string{
		"kafka.acme.example":  "kafka.acme.example",
		"KAFKA.Acme.Example.": "kafka.acme.example",
		"a.b":                 "a.b",
		"1.2.3.4.example":     "1.2.3.4.example",
		"bus.example":         "bus.example", // not a broker: no digits
		"b1x.example":         "b1x.example",
		"b-1.example":         "b-1.example",
		"xn--bcher-kva.ex":    "xn--bcher-kva.ex",
		long:                  long, // 200 bytes

		long + "s":                           "",
		"":                                   "",
		".":                                  "",
		"localhost":                          "",
		"a..b":                               "",
		".a.b":                               "",
		"a.b..":                              "",
		"-a.b":                               "",
		"a-.b":                               "",
		"a_b.c":                              "",
		"*.acme.example":                     "",
		"kafka.acme.example:9092":            "",
		"käfka.example":                      "",
		"\u212aafka.example":                 "", // the Kelvin sign, a k in lower case
		"a\x00.example":                      "",
		"a b.example":                        "",
		"192.0.2.1":                          "",
		"a.192":                              "",
		"2001:db8::1":                        "",
		"b0.acme.example":                    "",
		"B12.acme.example":                   "",
		"b.c":                                "b.c",
		strings.Repeat("a", 64) + ".example": "",
	} {
		got, err := ParseHostName(in)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrHost) {
			t.Errorf("%.80q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestBrokerHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"b0.acme.example":          "0 acme.example",
		"b2147483647.acme.example": "2147483647 acme.example",
		"b2147483648.acme.example": "",
		"b.acme.example":           "",
		"b+1.acme.example":         "",
		"b-1.acme.example":         "",
		"b1":                       "",
		"xb1.acme.example":         "",
		"":                         "",
	} {
		got := ""
		if node, host, is := BrokerHost(in); is {
			got = fmt.Sprint(node, " ", host)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := (Host{Name: "acme.example"}).BrokerName(7); got != "b7.acme.example" {
		t.Error(got)
	}
}

// issue makes a certificate, signed by parent's key or by itself.
func issue(t *testing.T, template, parent *x509.Certificate, key, parentKey crypto.Signer) (*x509.Certificate, string) {
	t.Helper()
	if parent == nil {
		parent, parentKey = template, key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func keyPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newECKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSAKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leafOf is a template for a day's certificate for names.
func leafOf(names ...string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func testSealer(t *testing.T) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// someHost is a host with a self-signed certificate.
func someHost(t *testing.T, id InstanceID, name string) Host {
	t.Helper()
	key := newECKey(t, elliptic.P256())
	_, chain := issue(t, leafOf(name, "*."+name), nil, key, nil)
	h, err := NewHost(testSealer(t), id, name, chain, keyPEM(t, key), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNewHost(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	const name = "kafka.acme.example"
	ec := newECKey(t, elliptic.P256())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	both := func() *x509.Certificate { return leafOf(name, "*."+name) }
	change := func(change func(*x509.Certificate)) *x509.Certificate { c := both(); change(c); return c }
	self := func(template *x509.Certificate, key crypto.Signer) string {
		_, chain := issue(t, template, nil, key, nil)
		return chain
	}
	caKey := newECKey(t, elliptic.P384())
	ca, caPEM := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}, nil, caKey, nil)
	_, leaf := issue(t, both(), ca, ec, caKey)
	good := self(both(), ec)

	for what, test := range map[string]struct {
		chain, key string
		want       string // part of the error; "": accepted
	}{
		"self-signed, P-256":    {good, keyPEM(t, ec), ""},
		"with its issuer":       {leaf + caPEM, keyPEM(t, ec), ""},
		"without its issuer":    {leaf, keyPEM(t, ec), ""},
		"Ed25519":               {self(both(), ed), keyPEM(t, ed), ""},
		"RSA of 2048 bits":      {"", "rsa 2048", ""},
		"RSA of 1024 bits":      {"", "rsa 1024", "1024 bits"},
		"P-224":                 {"", "p224", "P-224"},
		"issuer first":          {caPEM + leaf, keyPEM(t, ec), "does not match"},
		"a stranger behind":     {leaf + good, keyPEM(t, ec), "certificate 2 of the chain has not signed"},
		"another key":           {good, keyPEM(t, caKey), "does not match"},
		"no wildcard":           {self(leafOf(name), ec), keyPEM(t, ec), "not for both"},
		"brokers of today":      {self(leafOf(name, "b0."+name, "b1."+name), ec), keyPEM(t, ec), "not for both"},
		"wildcard only":         {self(leafOf("*."+name), ec), keyPEM(t, ec), "not for both"},
		"the domain's wildcard": {self(leafOf("*.acme.example"), ec), keyPEM(t, ec), "not for both"},
		"another name":          {self(leafOf("other.example", "*.other.example"), ec), keyPEM(t, ec), "not for both"},
		"common name only":      {self(change(func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, name }), ec), keyPEM(t, ec), "not for both"},
		"expired":               {self(change(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), ec), keyPEM(t, ec), "expired"},
		"not yet valid":         {self(change(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), ec), keyPEM(t, ec), "not valid before"},
		"a client's": {self(change(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), ec), keyPEM(t, ec), "extended key usage"},
		"no PEM":         {"hello", keyPEM(t, ec), "find any PEM data"},
		"a key as chain": {keyPEM(t, ec), keyPEM(t, ec), "find certificate PEM"},
		"no key":         {good, "hello", "find any PEM data"},
		"encrypted key":  {good, strings.ReplaceAll(keyPEM(t, ec), "PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"},
		"damaged DER":    {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), keyPEM(t, ec), "malformed"},
		"very long":      {good + strings.Repeat("\n", maxChain), keyPEM(t, ec), "are the most"},
		"many":           {strings.Repeat(good, 9), keyPEM(t, ec), "9 certificates"},
	} {
		switch test.key {
		case "rsa 2048":
			k := newRSAKey(t, 2048)
			test.chain, test.key = self(both(), k), keyPEM(t, k)
		case "rsa 1024":
			k := newRSAKey(t, 1024)
			test.chain, test.key = self(both(), k), keyPEM(t, k)
		case "p224":
			k := newECKey(t, elliptic.P224())
			test.chain, test.key = self(both(), k), keyPEM(t, k)
		}
		h, err := NewHost(testSealer(t), "i-a", "Kafka.Acme.Example", test.chain, test.key, time.Now())
		if test.want != "" {
			if !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", what, err, test.want)
			}
			continue
		}
		if err != nil || h.Name != name {
			t.Errorf("%s: %q, %v", what, h.Name, err)
			continue
		}
		if secret := strings.Split(test.key, "\n")[1]; strings.Contains(string(h.Key), secret) || strings.Contains(fmt.Sprintf("%v %+v %#v", h, h, h), secret) {
			t.Errorf("%s: the key can be read", what)
		}
		if pair, err := h.Certificate(testSealer(t), "i-a"); err != nil || pair.Leaf.VerifyHostname("b3."+name) != nil {
			t.Errorf("%s: opened: %v", what, err)
		}
		if _, err := h.Certificate(testSealer(t), "i-b"); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: another instance can open it: %v", what, err)
		}
		if _, err := h.Certificate(nil, "i-a"); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: without a sealer: %v", what, err)
		}
	}
}

func mustPutHost(t *testing.T, s *Store, id InstanceID, h Host) Revision {
	t.Helper()
	_, rev, err := s.PutHost(t.Context(), id, h)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// holds waits until the directory finds the instance by the name; "" for nobody.
func (g *gateway) holds(name string, want InstanceID) {
	g.t.Helper()
	g.until(fmt.Sprintf("%s is of %q", name, want), func() bool {
		v, h, ok := g.Host(name)
		if ok && (h.Name != name || v.Instance.ID == "") {
			g.t.Errorf("%s found %q of %q", name, h.Name, v.Instance.ID)
		}
		return ok == (want != "") && (!ok || v.Instance.ID == want)
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	g := run(t, s, "gw-1").waitReady()
	first, second := someHost(t, "orders", "kafka.acme.example"), someHost(t, "orders", "kafka.acme.example")
	mustPutHost(t, s, "orders", first)
	g.holds("kafka.acme.example", "orders")
	g.holds("b0.kafka.acme.example", "")

	// Nobody else gets it, not even once the claim is old.
	_, _, err := s.PutHost(t.Context(), "bills", someHost(t, "bills", "kafka.acme.example"))
	wantErr(t, "taken", err, ErrOwned)
	m.SetTime(time.Now().Add(time.Hour))
	_, _, err = s.PutHost(t.Context(), "bills", someHost(t, "bills", "kafka.acme.example"))
	wantErr(t, "taken for long", err, ErrOwned)

	// Replaced in place.
	second.CreatedAt = second.CreatedAt.Add(time.Hour)
	put, _, err := s.PutHost(t.Context(), "orders", second)
	if err != nil || !put.CreatedAt.Equal(first.CreatedAt) || put.Chain != second.Chain {
		t.Errorf("replaced: %v, made at %s, want %s", err, put.CreatedAt, first.CreatedAt)
	}
	g.until("the new certificate is there", func() bool {
		_, h, ok := g.Host("kafka.acme.example")
		return ok && h.Chain == second.Chain
	})
	if got, err := s.Hosts(t.Context(), "orders"); err != nil || cmp.Diff([]Host{put}, got) != "" {
		t.Errorf("%v: %v", got, err)
	}

	// Removed: free at once.
	_, err = s.DeleteHost(t.Context(), "bills", "kafka.acme.example")
	wantErr(t, "deleting another's", err, ErrNotFound)
	if _, err := s.DeleteHost(t.Context(), "orders", "kafka.acme.example"); err != nil {
		t.Fatal(err)
	}
	g.holds("kafka.acme.example", "")
	mustPutHost(t, s, "bills", someHost(t, "bills", "kafka.acme.example"))
	g.holds("kafka.acme.example", "bills")

	// With its instance: free at once too.
	mustUpdate(t, s, "bills", setState(StateDeleting))
	g.until("it is being deleted", func() bool { v, ok := g.View("bills"); return ok && v.Instance.State == StateDeleting })
	g.holds("kafka.acme.example", "bills")
	mustUpdate(t, s, "bills", setState(StateDeleted))
	g.holds("kafka.acme.example", "")
	mustPutHost(t, s, "orders", second)
	g.holds("kafka.acme.example", "orders")
	_, _, err = s.PutHost(t.Context(), "bills", someHost(t, "bills", "other.example"))
	wantErr(t, "no such instance", err, ErrNotFound)
}

func TestHostsLimit(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	h := someHost(t, "orders", "h0.example")
	for i := range MaxHosts {
		h.Name = fmt.Sprintf("h%d.example", i)
		mustPutHost(t, s, "orders", h)
	}
	mustPutHost(t, s, "orders", h) // replacing needs no room
	h.Name = "more.example"
	_, _, err := s.PutHost(t.Context(), "orders", h)
	wantErr(t, "one more", err, ErrFull)
	if raw := m.HGet(keyHosts, "more.example"); raw != "" {
		t.Errorf("what was refused is claimed: %s", raw)
	}
	for _, bad := range []Host{{}, {Name: "Upper.example", Chain: "x", Key: h.Key}, {Name: "a.example", Key: h.Key}, {Name: "a.example", Chain: "x"}} {
		_, _, err := s.PutHost(t.Context(), "orders", bad)
		wantErr(t, "incomplete", err, ErrHost)
	}
}

// A claim that its writer never used is taken over once it is old; one that is
// used late is refused.
func TestHostClaims(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	start := time.Now()
	m.SetTime(start)
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	at, err := s.claimHost(t.Context(), "orders", "kafka.acme.example")
	if err != nil {
		t.Fatal(err)
	}
	h := someHost(t, "bills", "kafka.acme.example")
	_, _, err = s.PutHost(t.Context(), "bills", h)
	wantErr(t, "a young claim", err, ErrOwned)
	m.SetTime(start.Add(claimValid + time.Second))
	_, err = s.change(t.Context(), "orders", settingsChange{
		kind: settingsHosts, most: MaxHosts, put: map[string]string{h.Name: "{}"}, when: whenBefore(at + claimValid.Milliseconds()),
	})
	wantErr(t, "written late", err, ErrConflict)
	m.SetTime(start.Add(claimStale + time.Second))
	mustPutHost(t, s, "bills", h)

	// Given back by a removal between claim and write: claimed again, or undone.
	m.HDel(keyHosts, h.Name)
	if err := s.confirmHost(t.Context(), "bills", h.Name); err != nil || !strings.HasPrefix(m.HGet(keyHosts, h.Name), "bills ") {
		t.Errorf("not claimed again: %v", err)
	}
}

// After a dump was restored two instances may have one name: the first one seen
// keeps it until it gives it up.
func TestHostConflict(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	for _, id := range []InstanceID{"orders", "bills", "carts"} {
		mustCreate(t, s, someInstance(id))
	}
	g := run(t, s, "gw-1").waitReady()
	const name = "kafka.acme.example"
	for _, id := range []InstanceID{"orders", "bills", "carts"} {
		m.HDel(keyHosts, name) // as if it had never been claimed
		mustPutHost(t, s, id, someHost(t, id, name))
		g.until("the directory has it", func() bool { v, ok := g.View(id); return ok && len(v.Access.Hosts) == 1 })
		g.holds(name, "orders")
	}
	mustPutHost(t, s, "carts", someHost(t, "carts", "other.example")) // another view of a rival
	g.holds("other.example", "carts")
	g.log.waitFor(t, "two instances have one host name", 2)
	if _, err := s.DeleteHost(t.Context(), "orders", name); err != nil {
		t.Fatal(err)
	}
	g.holds(name, "bills")
	mustUpdate(t, s, "bills", setState(StateDeleted))
	g.holds(name, "carts")
	if _, err := s.DeleteHost(t.Context(), "carts", name); err != nil {
		t.Fatal(err)
	}
	g.holds(name, "")
	if n := g.log.count("two instances have one host name"); n != 2 {
		t.Errorf("logged %d times, want once for each", n)
	}
	if len(g.hosts.rivals) != 0 {
		t.Errorf("left over: %v", g.hosts.rivals)
	}
}
