package proxy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/tenancy"
)

const ownHost = "kafka.acme.example"

func hostSealer() *tenancy.Sealer {
	s, err := tenancy.NewSealer(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		panic(err)
	}
	return s
}

func sealing(c *Config) { c.Sealer = hostSealer() }

// setHost gives an instance a host name with a fresh certificate, which the rig's
// clients trust. In force when it returns; the serial number tells which it is.
func (r *rig) setHost(id, name string) (serial string) {
	r.t.Helper()
	h, leaf := newHost(r.t, id, name)
	r.roots.AddCert(leaf)
	_, rev, err := r.store.PutHost(r.t.Context(), h.of, h.Host)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
	return leaf.SerialNumber.String()
}

type hostOf struct {
	tenancy.Host
	of tenancy.InstanceID
}

func newHost(t *testing.T, id, name string) (hostOf, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{name, "*." + name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	of := tenancy.InstanceID("i-" + id)
	h, err := tenancy.NewHost(hostSealer(), of, name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return hostOf{h, of}, leaf
}

func (r *rig) deleteHost(id, name string) tenancy.Revision {
	r.t.Helper()
	rev, err := r.store.DeleteHost(r.t.Context(), tenancy.InstanceID("i-"+id), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return rev
}

// shown is the serial number of the certificate that a name is shown, whatever it is for.
func (r *rig) shown(listener int, name string) string {
	r.t.Helper()
	d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	c, err := d.DialContext(r.t.Context(), "tcp", r.srv.Addrs()[listener])
	if err != nil {
		r.t.Fatalf("%q: %v", name, err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// resolving dials every host name at the gateway.
func (r *rig) resolving() kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		cfg := r.tls()
		cfg.ServerName = host
		d := tls.Dialer{Config: cfg}
		return d.DialContext(ctx, network, "127.0.0.1:"+port)
	})
}

// port of the bootstrap listener.
func (r *rig) port() string {
	_, port, _ := net.SplitHostPort(r.srv.Addrs()[0])
	return port
}

func TestHostRoutes(t *testing.T) {
	r := newRig(t, sealing)
	r.setHost("a", ownHost)
	r.setHost("b", "bus.example")
	l := r.srv.listeners[1] // of node 0
	port := route{node: l.Node, pool: l.Pool}
	atHost := func(id string, node int32, host string) route {
		return route{instance: tenancy.InstanceID("i-" + id), node: node, host: host}
	}
	for name, want := range map[string]route{
		ownHost:                                  atHost("a", AnyNode, ownHost),
		"KAFKA.acme.EXAMPLE":                     atHost("a", AnyNode, ownHost),
		ownHost + ".":                            atHost("a", AnyNode, ownHost),
		"b0." + ownHost:                          atHost("a", 0, ownHost),
		"B7." + ownHost + ".":                    atHost("a", 7, ownHost),
		"bus.example":                            atHost("b", AnyNode, "bus.example"),
		"b2.bus.example":                         atHost("b", 2, "bus.example"),
		"i-a.kafka.localhost":                    {instance: "i-a", node: AnyNode, sni: true},
		"B1-I-A.Kafka.Localhost.":                {instance: "i-a", node: 1, sni: true},
		"i-nobody.kafka.localhost":               {instance: "i-nobody", node: AnyNode, sni: true},
		"":                                       port,
		".":                                      port,
		"127.0.0.1":                              port,
		"::1":                                    port,
		"unknown.example":                        port,
		"kafka.localhost":                        port,
		"x." + ownHost:                           port,
		"b0.b0." + ownHost:                       port,
		"b." + ownHost:                           port,
		"b-1." + ownHost:                         port,
		"b4294967296." + ownHost:                 port,
		ownHost + "..":                           port,
		ownHost + "\x00":                         port,
		ownHost + "\x00.evil.example":            port,
		"\x00" + ownHost:                         port,
		" " + ownHost:                            port,
		"\u212aafka.acme.example":                port, // the Kelvin sign, a k in lower case
		"i-a.\u212aafka.localhost":               port,
		strings.Repeat("a", 255):                 port,
		strings.Repeat("a.", 127) + ownHost:      port,
		strings.Repeat("a", 1<<16):               port,
		"b" + strings.Repeat("0", 300) + ownHost: port,
		strings.Repeat("b0.", 80) + "bus.example.": port,
	} {
		if diff := cmp.Diff(want, l.route(name), cmp.AllowUnexported(route{})); diff != "" {
			t.Errorf("%.80q (-want +got):\n%s", name, diff)
		}
	}
	plain := &listener{Listener: Listener{Node: AnyNode}, hosts: l.hosts}
	if got := plain.route(ownHost); got != (route{node: AnyNode}) {
		t.Errorf("on a listener that does not route by names: %+v", got)
	}
}

// A client that knows nothing but the host name reaches everything, by names under it.
func TestHostEndToEnd(t *testing.T) {
	r := newRig(t, sealing)
	r.setHost("a", ownHost)
	cl := r.client("a", kgo.SeedBrokers(net.JoinHostPort(ownHost, r.port())), kgo.DialTLSConfig(nil), r.resolving(),
		kgo.SASL(plain.Auth{User: "u", Pass: password}.AsMechanism()), kgo.DefaultProduceTopic("bills"), kgo.ConsumeTopics("bills"))
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("one")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := cl.PollFetches(t.Context()).Records(); len(got) != 1 || string(got[0].Value) != "one" {
		t.Fatalf("%v", got)
	}
	meta, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for _, b := range meta.Brokers {
		addrs = append(addrs, net.JoinHostPort(b.Host, fmt.Sprint(b.Port)))
	}
	slices.Sort(addrs)
	want := []string{"b0." + ownHost + ":" + r.port(), "b1." + ownHost + ":" + r.port(), "b2." + ownHost + ":" + r.port()}
	if diff := cmp.Diff(want, addrs); diff != "" {
		t.Errorf("brokers (-want +got):\n%s", diff)
	}
}

// Whatever is shown to a name follows the store: set, replaced, broken, removed.
func TestHostCertificates(t *testing.T) {
	r := newRig(t, sealing)
	wildcard := r.shown(0, "i-a.kafka.localhost")
	if got := r.shown(0, ownHost); got != wildcard {
		t.Errorf("an unknown name is shown %s", got)
	}
	first := r.setHost("a", ownHost)
	for _, name := range []string{ownHost, "b0." + ownHost, "B12." + strings.ToUpper(ownHost)} {
		for listener := range 2 {
			if got := r.shown(listener, name); got != first {
				t.Errorf("%s is shown %s on listener %d", name, got, listener)
			}
		}
	}
	for _, name := range []string{"", "x." + ownHost, "i-a.kafka.localhost", "unknown.example", "127.0.0.1"} {
		if got := r.shown(0, name); got != wildcard {
			t.Errorf("%q is shown %s", name, got)
		}
	}
	c := r.dial(0, ownHost)
	if err := login(c, "u"); err != nil {
		t.Fatal(err)
	}
	if second := r.setHost("a", ownHost); second == first || r.shown(0, ownHost) != second {
		t.Error("the new certificate is not shown")
	}
	if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
		t.Errorf("the connection from before did not survive: %v", err)
	}

	// One that was sealed elsewhere: the listener's own, logged once.
	h, _ := newHost(t, "b", ownHost)
	_, rev, err := r.store.PutHost(t.Context(), "i-a", h.Host)
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	for range 3 {
		if got := r.shown(0, ownHost); got != wildcard {
			t.Errorf("a broken one: %s is shown", got)
		}
	}
	if n := strings.Count(r.log.String(), "cannot use the certificate of a host name"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if got := r.setHost("a", ownHost); r.shown(0, ownHost) != got {
		t.Error("the repaired one is not shown")
	}
	r.inForce(r.deleteHost("a", ownHost))
	if got := r.shown(0, ownHost); got != wildcard {
		t.Errorf("after the removal: %s", got)
	}
}

// A session ends with the host name that it came by, and only that one does.
func TestHostRemoved(t *testing.T) {
	r := newRig(t, sealing)
	open := func(name, user string) net.Conn {
		t.Helper()
		c := r.dial(0, name)
		if err := login(c, user); err != nil {
			t.Fatal(err)
		}
		return c
	}
	r.setHost("a", ownHost)
	r.setHost("a", "second.example")
	r.setHost("b", "bus.example")
	others := map[string]net.Conn{
		"by the wildcard": open("i-a.kafka.localhost", "u"), "by another host": open("second.example", "u"),
		"of another instance": open("bus.example", "u"), "by the port": open("", "u@i-a"),
	}
	gone := []net.Conn{open(ownHost, "u"), open("b1."+ownHost, "u@i-a")}
	midway := r.dial(0, ownHost) // has shaken hands, not logged in
	r.inForce(r.deleteHost("a", ownHost))
	for i, c := range gone {
		closedWithout(t, c)
		r.logs(reasonHost)
		_ = i
	}
	if err := login(midway, "u"); err == nil {
		if _, err := send(midway, kmsg.NewPtrListGroupsRequest(), 4); err == nil {
			t.Error("who logs in just after the removal stays")
		}
	}
	for what, c := range others {
		if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// With its instance, too.
	if _, rev, err := r.store.UpdateInstance(t.Context(), "i-b", func(in *tenancy.Instance) error {
		in.State = tenancy.StateDeleted
		return nil
	}); err != nil {
		t.Fatal(err)
	} else {
		r.inForce(rev)
	}
	closedWithout(t, others["of another instance"])
	if got := r.srv.listeners[0].route("bus.example"); got.instance != "" {
		t.Errorf("the name of a deleted instance leads to %s", got.instance)
	}
}
