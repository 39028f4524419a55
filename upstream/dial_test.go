package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const password = "s3cret-p4ss"

func mechanisms(pass string) map[string]sasl.Mechanism {
	return map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: "weir", Pass: pass}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: "weir", Pass: pass}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: "weir", Pass: pass}.AsSha512Mechanism(),
	}
}

func TestDialSASL(t *testing.T) {
	for name, mech := range mechanisms(password) {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(name, "weir", password),
				kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "60000"}))
			createTopic(t, c, "a.t")
			p := runPool(t, Config{Bootstrap: c.ListenAddrs(), SASL: mech})
			before := time.Now()
			conn, err := p.Dial(t.Context(), AnyNode, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if left := conn.Expires.Sub(before); left < 55*time.Second || left > 61*time.Second {
				t.Errorf("expires in %s, want about 60s", left)
			}
			first := conn.Expires
			if err := conn.Reauthenticate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !conn.Expires.After(first) {
				t.Errorf("re-authentication left Expires at %s", conn.Expires)
			}
			versionsOver(t, conn)
			if names, err := p.ListTopics(t.Context(), "a."); err != nil || len(names) != 1 {
				t.Errorf("control requests do not authenticate: %v, %v", names, err)
			}
		})
	}
}

func TestDialSASLRefused(t *testing.T) {
	for name, mech := range mechanisms("wrong-" + password) {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(name, "weir", password))
			p := startPool(t, Config{Bootstrap: c.ListenAddrs(), SASL: mech})
			_, err := p.connect(within20s(t), c.ListenAddrs()[0], nil)
			if err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("connect: %v, want an error without the password", err)
			}
		})
	}
}

func TestDialMechanismNotOffered(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1))
	c.ControlKey(int16(kmsg.SASLHandshake), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
		resp.ErrorCode, resp.SupportedMechanisms = kerr.UnsupportedSaslMechanism.Code, []string{"GSSAPI"}
		return resp, nil, true
	})
	p := startPool(t, Config{Bootstrap: c.ListenAddrs(), SASL: mechanisms(password)["PLAIN"]})
	_, err := p.connect(within20s(t), c.ListenAddrs()[0], nil)
	if !errors.Is(err, kerr.UnsupportedSaslMechanism) || !strings.Contains(err.Error(), "GSSAPI") {
		t.Errorf("connect: %v, want what the broker offers", err)
	}
}

// certificate is self-signed, for one host name or address.
func certificate(t *testing.T, names []string, ips []net.IP) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IPAddresses: ips, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestDialTLS(t *testing.T) {
	cert, roots := certificate(t, nil, []net.IP{net.IPv4(127, 0, 0, 1)})
	c := kafka(t, kfake.NumBrokers(2), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	createTopic(t, c, "a.t")
	p := runPool(t, Config{Bootstrap: c.ListenAddrs(), TLS: &tls.Config{RootCAs: roots}})
	conn, err := p.Dial(t.Context(), AnyNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	versionsOver(t, conn)
	if names, err := p.ListTopics(t.Context(), "a."); err != nil || len(names) != 1 {
		t.Errorf("control requests do not speak TLS: %v, %v", names, err)
	}
}

// S14: the name and the CA of a broker are verified, for dials and for control requests.
func TestDialTLSRefusesStrangers(t *testing.T) {
	wrong, wrongRoots := certificate(t, []string{"somebody.else"}, nil)
	right, _ := certificate(t, nil, []net.IP{net.IPv4(127, 0, 0, 1)})
	_, noRoots := certificate(t, nil, nil)
	tests := map[string]struct {
		cert  tls.Certificate
		roots *x509.CertPool
	}{
		"wrong name": {wrong, wrongRoots},
		"unknown CA": {right, noRoots},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{tt.cert}}))
			p := startPool(t, Config{Bootstrap: c.ListenAddrs(), TLS: &tls.Config{RootCAs: tt.roots}})
			if conn, err := p.connect(within20s(t), c.ListenAddrs()[0], nil); err == nil {
				conn.Close()
				t.Error("connected")
			} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("connect: %v, want a verification error", err)
			}
			if conn, err := p.dialControl(within20s(t), "tcp", c.ListenAddrs()[0]); err == nil {
				conn.Close()
				t.Error("the control client connected")
			}
		})
	}
}

// A plaintext pool at a TLS port, and the reverse, fails with words that help.
func TestDialWrongSecurity(t *testing.T) {
	cert, roots := certificate(t, nil, []net.IP{net.IPv4(127, 0, 0, 1)})
	secure := kafka(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	open := kafka(t, kfake.NumBrokers(1))
	p := startPool(t, Config{Bootstrap: secure.ListenAddrs(), DialTimeout: time.Second})
	if _, _, err := p.question(within20s(t), secure.ListenAddrs()[0]); err == nil {
		t.Error("plaintext to a TLS port: no error")
	}
	p = startPool(t, Config{Bootstrap: open.ListenAddrs(), TLS: &tls.Config{RootCAs: roots}, DialTimeout: time.Second})
	if _, _, err := p.question(within20s(t), open.ListenAddrs()[0]); err == nil || !strings.Contains(err.Error(), "tls") {
		t.Errorf("TLS to a plaintext port: %v", err)
	}
}

// silent accepts and never answers.
func silent(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		var conns sync.WaitGroup
		defer conns.Wait() // each ends with its other side
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, c)
			})
		}
	}()
	return ln.Addr().String()
}

// swap replaces the address of one node by another on the way to the network,
// so that a listed broker is what a test wants it to be.
type swap struct {
	from, to atomic.Pointer[string]
}

func (s *swap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if from := s.from.Load(); from != nil && *from == addr {
		addr = *s.to.Load()
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func (s *swap) set(from, to string) {
	s.to.Store(&to)
	s.from.Store(&from)
}

// A broker that accepts and never answers costs one DialTimeout; after that it
// is refused at once, AnyNode goes elsewhere, control requests too, and when it
// answers again it is found by the probe.
func TestSilentBrokerStallsNobody(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3), kfake.EnableSASL(), kfake.Superuser("PLAIN", "weir", password))
	createTopic(t, c, "a.t")
	dead := silent(t)
	var s swap
	p := runPool(t, Config{
		Bootstrap: c.ListenAddrs(), Dial: s.dial, SASL: mechanisms(password)["PLAIN"],
		DialTimeout: 500 * time.Millisecond, MetadataMaxAge: time.Hour,
	})
	b := p.Brokers()[1]
	s.set(b.addr(), dead)
	start := time.Now()
	if _, err := p.Dial(t.Context(), b.Node, nil); err == nil {
		t.Fatal("dialed a silent broker")
	}
	if took := time.Since(start); took < 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("the first dial took %s, want about DialTimeout", took)
	}
	start = time.Now()
	for range 50 {
		if _, err := p.Dial(t.Context(), b.Node, nil); err == nil {
			t.Fatal("dialed a silent broker")
		}
		conn, err := p.Dial(t.Context(), AnyNode, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if conn.Node == b.Node {
			t.Error("AnyNode chose a broker that is down")
		}
	}
	for range 6 {
		if _, err := p.ListTopics(t.Context(), "a."); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("50 dials of a broker that is down, 50 of others and 6 listings took %s", took)
	}
	s.set("", "")
	eventually(t, p, "the broker is up again", func() bool { return p.health.down(b.Node) == nil })
	conn, err := p.Dial(t.Context(), b.Node, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestClosedPortIsDownAtOnce(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(2))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	var s swap
	p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: s.dial, MetadataMaxAge: time.Hour})
	b := p.Brokers()[0]
	s.set(b.addr(), closed)
	for range 4 { // the first of AnyNode may find it; it goes on with the other
		conn, err := p.Dial(t.Context(), AnyNode, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if _, err := p.Dial(t.Context(), b.Node, nil); err == nil {
		t.Fatal("dialed a closed port")
	}
	h := p.Health()[0]
	if h.Up || h.Err == nil || h.Node != b.Node {
		t.Errorf("health %+v, want down", h)
	}
}

// Nobody is blamed for the impatience of a caller.
func TestCallerGivesUp(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "weir", password))
	dead := silent(t)
	var s swap
	p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: s.dial, SASL: mechanisms(password)["PLAIN"], MetadataMaxAge: time.Hour})
	b := p.Brokers()[0]
	s.set(b.addr(), dead)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Dial(ctx, b.Node, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v", err)
	}
	if err := p.health.down(b.Node); err != nil {
		t.Errorf("the broker was blamed: %v", err)
	}
}

// TestOwnFaultsBlameNoBroker: a gateway that is out of descriptors must not take
// the pool for dead.
func TestOwnFaultsBlameNoBroker(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	if !ours(fmt.Errorf("broker 1: %w", dial)) {
		t.Error("EMFILE is the broker's fault")
	}
	if ours(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}) {
		t.Error("a refused connection is our own fault")
	}
}
