package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// tcp opens a connection to the bootstrap address and writes text.
func (r *rig) tcp(text string) net.Conn {
	r.t.Helper()
	c, err := new(net.Dialer).DialContext(r.t.Context(), "tcp", r.srv.Addrs()[0])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// kept are the refusals of an instance, newest last, one line each.
func (r *rig) kept(id tenancy.InstanceID) []string {
	r.t.Helper()
	page, _, err := r.store.Refusals(r.t.Context(), id, time.Time{}, "", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, e := range page {
		lines = append(lines, fmt.Sprintf("%s user=%s mechanism=%s host=%s", e.Reason, e.User, e.Mechanism, e.Host))
		if e.Address.String() != "127.0.0.1/32" || e.Endpoint != r.srv.Addrs()[0] || e.Gateway != "gw" || e.Count < 1 || e.Last.Before(e.First) {
			r.t.Errorf("%+v", e)
		}
	}
	return lines
}

// Every way to be refused is kept with what is known, and never with what a
// client made up.
func TestRefusedConnectionsAreKept(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Refusals, c.Gateway = c.Store.(RefusalKeeper), "gw" })
	sni := "i-a.kafka.localhost"
	loginAs := func(c net.Conn, user, pass string) {
		h := kmsg.NewPtrSASLHandshakeRequest()
		h.Mechanism = "PLAIN"
		_, _ = send(c, h, 1)
		a := kmsg.NewPtrSASLAuthenticateRequest()
		a.SASLAuthBytes = []byte("\x00" + user + "\x00" + pass)
		_, _ = send(c, a, 2)
	}
	for _, c := range []struct {
		name     string
		do       func()
		instance tenancy.InstanceID
		want     string
	}{
		{"http", func() { r.tcp("GET / HTTP/1.1\r\n\r\n") }, "", "http-on-kafka-port user= mechanism= host="},
		{"plaintext", func() { r.tcp("\x00\x00\x00\x2a") }, "", "plaintext-on-tls-port user= mechanism= host="},
		{"no TLS", func() { r.tcp("\x16\x03\x01\xff\xff") }, "", "tls-failed user= mechanism= host="},
		{"wrong CA", func() {
			_ = tls.Client(r.tcp(""), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: sni}).HandshakeContext(t.Context())
		}, "i-a", "certificate-refused user= mechanism= host=" + sni},
		{"unknown instance", func() { _, _ = send(r.dial(0, "none.kafka.localhost"), kmsg.NewPtrMetadataRequest(), 1) }, "", "not-authenticated user= mechanism= host=none.kafka.localhost"},
		{"wrong password", func() { loginAs(r.dial(0, sni), "u", "hunter2") }, "i-a", "password-wrong user=u mechanism=PLAIN host=" + sni},
		{"unknown user", func() { loginAs(r.dial(0, sni), "hunter2", "x") }, "i-a", "user-unknown user= mechanism=PLAIN host=" + sni},
		{"by user name", func() { loginAs(r.dial(0, ""), "u@i-b", "hunter2") }, "i-b", "password-wrong user=u mechanism=PLAIN host="},
		{"of another", func() { loginAs(r.dial(0, "i-b.kafka.localhost"), "u@i-a", password) }, "i-b", "instance-mismatch user= mechanism=PLAIN host=i-b.kafka.localhost"},
		{"no such instance", func() { loginAs(r.dial(0, ""), "u@hunter2", "x") }, "", "instance-unknown user= mechanism=PLAIN host="},
		{"mechanism", func() {
			h := kmsg.NewPtrSASLHandshakeRequest()
			h.Mechanism = "GSSAPI"
			_, _ = send(r.dial(0, sni), h, 1)
		}, "i-a", "sasl-mechanism user= mechanism=GSSAPI host=" + sni},
		{"left in TLS", func() { _ = r.tcp("\x16\x03\x01").Close() }, "", "tls-failed user= mechanism= host="},
		{"left in the login", func() {
			conn := r.dial(0, sni)
			h := kmsg.NewPtrSASLHandshakeRequest()
			h.Mechanism = "SCRAM-SHA-256"
			_, _ = send(conn, h, 1)
			_ = conn.Close()
		}, "i-a", "client-gone user= mechanism=SCRAM-SHA-256 host=" + sni},
		{"bad request", func() {
			conn := r.dial(0, sni)
			if err := login(conn, "u"); err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(frame(99, 0, nil))
		}, "i-a", "request-unsupported user=u mechanism=PLAIN host=" + sni},
	} {
		c.do()
		eventually(t, c.name, func() bool { return strings.Contains(strings.Join(r.kept(c.instance), "\n")+"\n", c.want+"\n") })
	}
	for _, id := range []tenancy.InstanceID{"", "i-a", "i-b"} {
		if all := strings.Join(r.kept(id), "\n"); strings.Contains(all, "hunter2") || strings.Contains(all, "user=u@") {
			t.Errorf("of %s: what a client made up is kept:\n%s", cmp.Or(id, "none"), all)
		}
	}
}

// Health checks and orderly ends are no refusals.
func TestOrderlyEndsAreNotKept(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Refusals, c.Gateway = c.Store.(RefusalKeeper), "gw" })
	_ = r.tcp("").Close()
	_ = r.dial(0, "i-a.kafka.localhost").Close() // a check that knows TLS
	gone := r.dial(0, "i-a.kafka.localhost")
	if err := login(gone, "u"); err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	stays := r.dial(0, "i-a.kafka.localhost")
	if err := login(stays, "u"); err != nil {
		t.Fatal(err)
	}
	half := r.dial(0, "i-b.kafka.localhost") // says nothing until the gateway stops
	r.connected(2)
	r.stop()
	_, _ = io.ReadAll(stays)
	_ = half.Close()
	eventually(t, "drained", func() bool { return r.srv.Connections() == 0 })
	r.srv.refusals.flush(t.Context(), time.Now(), true)
	if got := append(r.kept(""), r.kept("i-a")...); len(got) != 0 {
		t.Error(got)
	}
}

// Ten thousand refused connections are a handful of lines and of entries.
func TestManyRefusedConnections(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Refusals, c.Gateway = c.Store.(RefusalKeeper), "gw" })
	before := strings.Count(r.log.String(), "\n")
	const many = 10_000
	for range many {
		_, _ = io.ReadAll(r.tcp("GET / HTTP/1.1\r\n\r\n"))
	}
	sum := func() (entries int, count int64) {
		page, _, err := r.store.Refusals(t.Context(), "", time.Time{}, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			count += e.Count
		}
		return len(page), count
	}
	eventually(t, "the last end", func() bool { return r.srv.Connections() == 0 })
	r.srv.refusals.flush(t.Context(), time.Now(), true)
	entries, count := sum()
	lines := strings.Count(r.log.String(), "\n") - before
	t.Logf("%d connections: %d log lines, %d entries", many, lines, entries)
	if lines > 5 || entries > 10 || count != many {
		t.Errorf("%d lines, %d entries of %d connections", lines, entries, count)
	}
}
