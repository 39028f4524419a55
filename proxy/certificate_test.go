package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/internal/certs"
	"weir/tenancy"
)

// trust lets an instance's clients prove themselves by certificates of a CA; the
// user is the common name.
func (r *rig) trust(id string, ca *certs.CA, crls string) {
	r.t.Helper()
	of := clientCA("main", ca)
	of.CRLs = crls
	_, rev, err := r.store.PutClientCA(r.t.Context(), tenancy.InstanceID("i-"+id), of)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

func clientCA(name string, ca *certs.CA) tenancy.ClientCA {
	return tenancy.ClientCA{Name: name, Certificates: ca.PEM(), CreatedAt: time.Now(), Rules: ruleOf("common-name", "", "")}
}

func ruleOf(from, pattern, user string) []tenancy.CertificateRule {
	return []tenancy.CertificateRule{{From: from, Pattern: pattern, User: user}}
}

func (r *rig) policy(id string, a tenancy.Authentication) {
	r.t.Helper()
	rev, err := r.store.PutAuthentication(r.t.Context(), tenancy.InstanceID("i-"+id), a)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

// show connects to an instance's host name with certificates. TLS 1.3 tells a client
// of a refusal at its first read only.
func (r *rig) show(id string, cert *tls.Certificate) (net.Conn, error) {
	r.t.Helper()
	cfg := r.tls()
	if cfg.ServerName = "i-" + id + ".kafka.localhost"; id == "" {
		cfg.ServerName = "localhost"
	}
	if cert != nil {
		// Whatever the server asks for.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	d := tls.Dialer{Config: cfg}
	c, err := d.DialContext(r.t.Context(), "tcp", r.srv.Addrs()[0])
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, nil
}

// ask sends a request that is answered to those only who have proved themselves.
func ask(c net.Conn) error {
	_, err := send(c, kmsg.NewPtrMetadataRequest(), 9)
	return err
}

func (r *rig) mustShow(id string, cert *tls.Certificate) net.Conn {
	r.t.Helper()
	c, err := r.show(id, cert)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func TestCertificateAlone(t *testing.T) {
	r := newRig(t)
	ca := certs.NewCA(t, "acme")
	r.trust("a", ca, "")
	app := ca.Intermediate(t, "acme clients").Client(t, "app")

	c := r.mustShow("a", &app)
	if _, err := send(c, kmsg.NewPtrApiVersionsRequest(), 2); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first begins the session
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.srv.conns.owned["i-a"]); n != 1 {
		t.Errorf("instance a has %d connections", n)
	}
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = auth.Plain
	if resp, err := send(c, h, 1); err != nil || resp.(*kmsg.SASLHandshakeResponse).ErrorCode != kerr.IllegalSaslState.Code {
		t.Errorf("SaslHandshake on the session: %+v, %v", resp, err)
	}

	// SASL instead: it decides who the client is.
	c = r.mustShow("a", &app)
	if err := errors.Join(login(c, "u"), ask(c)); err != nil {
		t.Errorf("SASL beside the certificate: %v", err)
	}
	// Nobody: no certificate, one for an instance without client CAs, one where the
	// host name does not say the instance.
	for what, c := range map[string]net.Conn{
		"no certificate": r.mustShow("a", nil), "another instance": r.mustShow("b", &app),
		"no host name": r.mustShow("", &app), "no instance": r.mustShow("none", &app),
	} {
		if _, err := send(c, kmsg.NewPtrApiVersionsRequest(), 2); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := ask(c); err == nil {
			t.Errorf("%s: got in", what)
		}
	}
	r.logs(reasonSASLFirst)
	for what, c := range map[string]net.Conn{"another instance": r.mustShow("b", &app), "no host name": r.mustShow("", &app)} {
		if err := login(c, map[string]string{"another instance": "u", "no host name": "u@i-a"}[what]); err != nil {
			t.Errorf("%s, by SASL: %v", what, err)
		}
	}
	// SaslAuthenticate out of its turn begins nothing.
	c = r.mustShow("a", &app)
	if _, err := send(c, kmsg.NewPtrSASLAuthenticateRequest(), 2); err == nil {
		t.Error("SaslAuthenticate was answered")
	}
}

// named dials a host name of the gateway, wherever that is, showing a certificate.
func (r *rig) named(cert tls.Certificate) kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		cfg := r.tls()
		cfg.ServerName, _, _ = net.SplitHostPort(host)
		cfg.Certificates = []tls.Certificate{cert}
		d := tls.Dialer{Config: cfg}
		return d.DialContext(ctx, network, r.srv.Addrs()[0])
	})
}

// A stock client without SASL; its first request to a broker is larger than what
// strangers may send.
func TestCertificateClient(t *testing.T) {
	r := newRig(t)
	ca := certs.NewCA(t, "acme")
	r.trust("a", ca, "")
	cl, err := kgo.NewClient(kgo.SeedBrokers("i-a.kafka.localhost:9092"), r.named(ca.Client(t, "app")),
		kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("in"), kgo.ConsumeTopics("in"),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(2), kgo.RecordDeliveryTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	value := bytes.Repeat([]byte("x"), 10*preAuthFrame)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	cl.PollFetches(t.Context()).EachRecord(func(rec *kgo.Record) { got = rec.Value })
	if !bytes.Equal(got, value) {
		t.Errorf("%d bytes came back", len(got))
	}
}

// A client that has proved itself may wait before its first request; a stranger may not.
func TestCertificateIdle(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HandshakeTimeout = 500 * time.Millisecond })
	ca := certs.NewCA(t, "acme")
	r.trust("a", ca, "")
	app := ca.Client(t, "app")
	c, stranger := r.mustShow("a", &app), r.mustShow("a", nil)
	for _, c := range []net.Conn{c, stranger} {
		if _, err := send(c, kmsg.NewPtrApiVersionsRequest(), 2); err != nil {
			t.Fatal(err)
		}
	}
	closedWithout(t, stranger)
	r.logs(reasonHandshakeSlow)
	eventually(t, "the session begins", func() bool {
		n := 0
		r.srv.conns.ofInstance("i-a", func(*conn) { n++ })
		return n == 1
	})
	if err := ask(c); err != nil {
		t.Error(err)
	}
}
