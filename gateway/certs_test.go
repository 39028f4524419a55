package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"
)

func TestDevCerts(t *testing.T) {
	d := devCerts{dir: t.TempDir()}
	start := time.Now()
	hosts := certHosts("127.0.0.1")
	ensure := func(now time.Time, hosts []string) (ca, leaf []byte) {
		t.Helper()
		ca, err := d.ensure(now, hosts)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(d.serverFile(), d.serverKey())
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		for _, name := range []string{"127.0.0.1", "::1", "localhost", "demo.kafka.localhost", "b0-demo.kafka.localhost"} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
				t.Errorf("%s at %s: %v", name, now, err)
			}
		}
		return ca, pair.Certificate[0]
	}
	ca1, leaf1 := ensure(start, hosts)
	ca2, leaf2 := ensure(start.Add(time.Hour), hosts)
	if !bytes.Equal(ca1, ca2) || !bytes.Equal(leaf1, leaf2) {
		t.Error("made anew though good")
	}
	ca3, leaf3 := ensure(start.AddDate(0, 0, serverDays-29), hosts)
	if !bytes.Equal(ca1, ca3) || bytes.Equal(leaf1, leaf3) {
		t.Error("29 days before its end the certificate must be renewed, and the CA kept")
	}
	_, leaf4 := ensure(start, certHosts("10.1.2.3"))
	if bytes.Equal(leaf3, leaf4) {
		t.Error("a new host needs a new certificate")
	}
	if err := os.WriteFile(d.serverKey(), []byte("half"), 0o600); err != nil { // killed between two files
		t.Fatal(err)
	}
	_, leaf5 := ensure(start, certHosts("10.1.2.3"))
	if bytes.Equal(leaf4, leaf5) {
		t.Error("a certificate without its key was kept")
	}
	if ca, _ := ensure(start.AddDate(caYears, 0, 1), hosts); bytes.Equal(ca, ca1) {
		t.Error("a CA that is over was kept")
	}
	for _, file := range []string{d.caFile(), d.caKeyFile(), d.serverFile(), d.serverKey()} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, want mode 0600", file, info.Mode())
		}
	}
	if err := os.WriteFile(d.caKeyFile(), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ensure(start, hosts); err == nil {
		t.Error("a damaged CA was replaced: every client would stop trusting us without a word")
	}
}
