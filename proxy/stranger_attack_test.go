package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/internal/certs"
	"weir/tenancy"
)

// A secret that goes between its check in a re-authentication and the moment in which
// the session hangs on it: the next request is not answered.
func TestKeyGoesDuringReauthentication(t *testing.T) {
	m := &meddler{}
	r := newRig(t, func(c *Config) {
		m.Lookup, c.MaxReauth = c.Directory, time.Hour
		c.Auth = auth.New(auth.Config{Directory: m, Pepper: []byte("pepper")})
	})
	looks := 0
	for ; ; looks++ {
		key, secret := r.giveKey("i-a", "u")
		c := r.dial(0, "")
		if err := loginAs(c, "u@i-a", password); err != nil {
			t.Fatal(err)
		}
		var gone atomic.Bool
		m.arm(looks+1, func() {
			rev, err := r.store.DeleteKey(t.Context(), "i-a", key.ID)
			if err != nil {
				t.Error(err)
				return
			}
			r.inForce(rev)
			gone.Store(true)
		})
		err := loginAs(c, key.ID+"@i-a", secret)
		before := gone.Load()
		if err == nil {
			_, err = send(c, kmsg.NewPtrMetadataRequest(), 9)
		}
		if err == nil && before {
			t.Errorf("gone at look %d: the session goes on", looks+1)
		}
		if err == nil && !gone.Load() {
			break // there are no more looks
		}
		eventually(t, "the key is gone", gone.Load)
		_ = c.Close()
	}
	m.arm(0, nil)
	if looks < 3 {
		t.Errorf("a re-authentication looks %d times", looks)
	}
}

// One client of one address that makes up mechanisms gets one entry, not one for each.
func TestMadeUpMechanismsAreOneRefusal(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Refusals, c.Gateway = c.Store.(RefusalKeeper), "gw" })
	const tries = 20
	for i := range tries {
		h := kmsg.NewPtrSASLHandshakeRequest()
		h.Mechanism = fmt.Sprint("MECHANISM-", i)
		_, _ = send(r.dial(0, "i-a.kafka.localhost"), h, 1)
	}
	r.connected(0)
	var page []tenancy.Refusal
	eventually(t, "all are counted", func() bool {
		var err error
		if page, _, err = r.store.Refusals(t.Context(), "i-a", time.Time{}, "", 0); err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for _, e := range page {
			n += e.Count
		}
		return n == tries
	})
	if len(page) > 5 { // it is written once a second
		t.Errorf("%d entries for %d connections", len(page), tries)
	}
}

// Who has a believed certificate may begin with a large request, but not if the
// session would not begin anyway.
func TestLargeFirstRequestOfWhoMayNotBegin(t *testing.T) {
	r := newRig(t)
	ca := certs.NewCA(t, "acme")
	r.trust("a", ca, "")
	r.changeUser(func(u *tenancy.User) { u.Disabled = true })
	eventually(t, "u is disabled", func() bool {
		v, ok := r.dir.View("i-a")
		return ok && v.Users["u"].Disabled
	})
	cert := ca.Client(t, "u")
	c, err := r.show("a", &cert)
	if err != nil {
		t.Fatal(err)
	}
	begin := binary.BigEndian.AppendUint32(nil, 50<<20)
	if _, err := c.Write(append(begin, 0, 0, 0, 9, 0, 0, 0, 1)); err != nil { // Produce
		t.Fatal(err)
	}
	closedWithout(t, c)
	r.logs(reasonFrameSize)
}

// stingy sends so many bytes and keeps the rest.
type stingy struct {
	net.Conn
	left int
}

func (s *stingy) Write(p []byte) (int, error) {
	n := min(s.left, len(p))
	s.left -= n
	if _, err := s.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A client that sends a chain of 256 KiB and stops just before its end costs no more
// than handshakeBytes.
func TestHalfAChainIsBounded(t *testing.T) {
	r := newRig(t)
	large := certs.NewCA(t, "acme").Client(t, "app", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: bytes.Repeat([]byte("x"), 250<<10)}}
	})
	const conns = 20
	for range conns {
		raw, err := net.Dial("tcp", r.srv.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = raw.Close() })
		cfg := r.tls()
		cfg.ServerName = "i-a.kafka.localhost"
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &large, nil }
		_ = tls.Client(&stingy{raw, 240 << 10}, cfg).HandshakeContext(t.Context())
	}
	r.logs(string(auth.ReasonCertificateTooLarge))
	r.connected(0)
}
