package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"weir/admin/clientfiles"
)

// certified is a certificate for names, and its CA as PEM.
func certified(t *testing.T, ends time.Time, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir"}, DNSNames: names,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// What connection check says of a certificate that it cannot trust, and of a gateway
// that closes in the handshake.
func TestCheckTLS(t *testing.T) {
	for name, c := range map[string]struct {
		names []string
		ends  time.Duration
		cut   bool
		code  string
		text  string
	}{
		"right":   {[]string{"localhost"}, 61*24*time.Hour + time.Hour, false, "", "1.3, certificate localhost, 61 days left"},
		"name":    {[]string{"kafka.example.com"}, 25 * time.Hour, false, "certificate-name", "1.3, certificate kafka.example.com, 1 days left"},
		"expired": {[]string{"localhost"}, -time.Hour, false, "certificate-expired", "1.3, certificate localhost, 0 days left"},
		"cut":     {[]string{"localhost"}, time.Hour, true, "closed-in-tls", "closed during the handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, ca := certified(t, time.Now().Add(c.ends), c.names...)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				raw, err := ln.Accept()
				if err != nil {
					return
				}
				defer raw.Close()
				if c.cut {
					_, _ = raw.Read(make([]byte, 64<<10))
					return
				}
				s := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
				_ = s.HandshakeContext(t.Context())
			}()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			w := &walk{
				e: &env{out: &bytes.Buffer{}, globals: globals{Output: "table"}}, cmd: &connCheckCmd{},
				conn: clientfiles.Connection{TLS: true, CA: ca, Username: "u"}, host: "localhost", addr: "localhost:" + port, instance: ofInstance{Instance: "orders"},
			}
			text, err := w.tls(t.Context())
			_ = ln.Close()
			<-served
			var f *failure
			if got := errors.As(err, &f); got != (c.code != "") || got && f.code != c.code || text != c.text {
				t.Errorf("%q, %v; want %q, %s", text, err, c.text, c.code)
			}
			if c.cut && !strings.Contains(err.Error(), "usually the address is in none of the instance's networks") {
				t.Error(err)
			}
		})
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		id, than string
		want     bool
	}{
		{"1-1", "", true},
		{"2-0", "1-9", true},
		{"1-10", "1-9", true},
		{"10-0", "9-5", true},
		{"1-1", "1-1", false},
		{"1-10", "2-9", false},
		{"9-5", "10-0", false},
	} {
		if newer(c.id, c.than) != c.want {
			t.Errorf("newer(%s, %s) is not %v", c.id, c.than, c.want)
		}
	}
}

func TestInstanceOf(t *testing.T) {
	for _, c := range []struct{ user, host, want string }{
		{"alice@orders", "127.0.0.1", "orders"},
		{"alice", "orders.kafka.example.com", "orders"},
		{"alice", "127.0.0.1", ""},
		{"alice", "localhost", ""},
	} {
		if got := instanceOf(c.user, c.host); got != c.want {
			t.Errorf("%s at %s: %q, want %q", c.user, c.host, got, c.want)
		}
	}
}
