package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Source addresses of tests: all of 127.0.0.0/8 is loopback on Linux.
const (
	balancerAddr = "127.0.0.2"
	strangerAddr = "127.0.0.3"
)

func behind(required bool) *Balancers {
	return &Balancers{
		From: []netip.Prefix{netip.MustParsePrefix(balancerAddr + "/32")}, Required: required,
		Endpoint: &EndpointTLV{Cloud: "otc", Type: tlvTest},
	}
}

// newBalancedRig has a listener without balancers (0), with required ones (4) and
// with allowed ones (5), and one in plaintext with required ones (6).
func newBalancedRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	return newRig(t, append(change, func(c *Config) {
		c.Registry = prometheus.NewRegistry()
		for _, b := range []*Balancers{behind(true), behind(false), behind(true)} {
			l := c.Listeners[0]
			l.Address, l.Balancers = "127.0.0.1:0", b
			c.Listeners = append(c.Listeners, l)
		}
		c.Listeners[6].TLS, c.Listeners[6].SNI = nil, nil
	})...)
}

// dialFrom opens a TCP connection from an address, and sends a PROXY header.
func (r *rig) dialFrom(listener int, src, header string) net.Conn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(src)}}
	c, err := d.DialContext(r.t.Context(), "tcp", r.srv.Addrs()[listener])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, header)
	return c
}

// overTLS starts TLS on a connection.
func (r *rig) overTLS(c net.Conn, serverName string) net.Conn {
	cfg := r.tls()
	cfg.ServerName = serverName
	return tls.Client(c, cfg)
}

// fromOf waits for the connection of a user and returns where it comes from.
func (r *rig) fromOf(id tenancy.InstanceID) (from tenancy.From, balancer netip.Addr) {
	r.t.Helper()
	eventually(r.t, "there is a session of "+string(id), func() bool {
		found := false
		r.srv.conns.ofInstance(id, func(c *conn) { from, balancer, found = c.from, c.balancer, true })
		return found
	})
	return from, balancer
}

func TestWhereClientsComeFrom(t *testing.T) {
	r := newBalancedRig(t)
	far := netip.MustParseAddr("203.0.113.7")
	for name, test := range map[string]struct {
		listener    int
		src, header string
		addr        netip.Addr
		endpoint    tenancy.Endpoint
		via         bool
	}{
		"directly":           {0, strangerAddr, "", netip.MustParseAddr(strangerAddr), tenancy.Endpoint{}, false},
		"v2":                 {4, balancerAddr, sealed(cmdProxy, famTCP4, addrs("203.0.113.7"), tlv(0xEA, "\x01vpce-1")), far, tenancy.Endpoint{Cloud: "aws", ID: "vpce-1"}, true},
		"v1":                 {4, balancerAddr, "PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\r\n", far, tenancy.Endpoint{}, true},
		"our own TLV":        {4, balancerAddr, proxyV2(tlv(tlvTest, "marker-7")), far, tenancy.Endpoint{Cloud: "otc", ID: "marker-7"}, true},
		"the balancer":       {4, balancerAddr, v2(cmdLocal, famUnspec), netip.MustParseAddr(balancerAddr), tenancy.Endpoint{}, true},
		"allowed":            {5, balancerAddr, proxyV2(), far, tenancy.Endpoint{}, true},
		"allowed, directly":  {5, strangerAddr, "", netip.MustParseAddr(strangerAddr), tenancy.Endpoint{}, false},
		"allowed, none sent": {5, balancerAddr, "", netip.MustParseAddr(balancerAddr), tenancy.Endpoint{}, false},
		"plaintext":          {6, balancerAddr, proxyV2(), far, tenancy.Endpoint{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dialFrom(test.listener, test.src, test.header)
			if test.listener != 6 {
				c = r.overTLS(c, "127.0.0.1")
			}
			if err := login(c, "u@i-a"); err != nil {
				t.Fatal(err)
			}
			from, balancer := r.fromOf("i-a")
			if want := (tenancy.From{Addr: test.addr, Endpoint: test.endpoint}); from != want || balancer.IsValid() != test.via {
				t.Errorf("from %+v by %s, want %+v", from, balancer, want)
			}
			_ = c.Close()
			eventually(t, "the session is over", func() bool { return r.srv.Connections() == 0 })
		})
	}
}

func TestHeadersAreRefusedByReason(t *testing.T) {
	r := newBalancedRig(t, func(c *Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	const v1 = "PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\r\n"
	for name, test := range map[string]struct {
		listener    int
		src, header string
		reason      string
	}{
		"spoofed v2":          {4, strangerAddr, proxyV2(), reasonHeaderSpoofed},
		"spoofed v1":          {4, strangerAddr, v1, reasonHeaderSpoofed},
		"spoofed, allowed":    {5, strangerAddr, proxyV2(), reasonHeaderSpoofed},
		"spoofed LOCAL":       {5, strangerAddr, v2(cmdLocal, famUnspec), reasonHeaderSpoofed},
		"nobody reads v2":     {0, balancerAddr, proxyV2(), reasonHeaderNotHere},
		"nobody reads v1":     {1, balancerAddr, v1, reasonHeaderNotHere},
		"missing":             {4, balancerAddr, "\x16\x03\x01", reasonHeaderMissing},
		"missing, directly":   {4, strangerAddr, "\x16\x03\x01", reasonHeaderMissing},
		"missing, http":       {4, balancerAddr, "PUT / HTTP/1.1\r\n", reasonHeaderMissing},
		"missing, plaintext":  {6, balancerAddr, "\x00\x00\x00\x10\x00\x12\x00\x03", reasonHeaderMissing},
		"malformed":           {4, balancerAddr, proxyV2("\x00"), reasonHeaderBad},
		"malformed, allowed":  {5, balancerAddr, "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", reasonHeaderBad},
		"not whole":           {4, balancerAddr, proxyV2()[:20], reasonHeaderBad},
		"a second header":     {4, balancerAddr, proxyV2() + v1, reasonHTTP}, // 'P' is what HTTP begins with too
		"header, then Kafka":  {4, balancerAddr, proxyV2() + "\x00\x00\x00\x10", reasonPlaintextOnTLS},
		"half a sign, direct": {5, strangerAddr, "PROXY", reasonHTTP},
		"check, stays":        {4, balancerAddr, v2(cmdLocal, famUnspec), reasonHealthCheck},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.closed(test.reason)
			c := r.dialFrom(test.listener, test.src, test.header)
			closedWithout(t, c)
			eventually(t, "one more "+test.reason, func() bool { return r.closed(test.reason) == before+1 })
		})
	}
}

// A balancer's health check connects, perhaps says LOCAL, and goes: no refusal.
func TestHealthChecksAreNoRefusals(t *testing.T) {
	r := newBalancedRig(t)
	for _, header := range []string{v2(cmdLocal, famUnspec), sealed(cmdLocal, famUnspec), "PROXY UNKNOWN\r\n", ""} {
		_ = r.dialFrom(4, balancerAddr, header).Close()
	}
	eventually(t, "four checks are over", func() bool { return r.closed(reasonHealthCheck) == 3 && r.closed(reasonClientGone) == 1 })
	if log := r.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("a check is reported:\n%s", log)
	}
}

// closed is how many connections were closed for a reason.
func (r *rig) closed(reason string) int {
	r.t.Helper()
	return int(counted(r.t, r.srv.cfg.Registry.(*prometheus.Registry), "weir_connections_closed_total", reason))
}

// An ACL for a host means the client, not the balancer.
func TestACLHostThroughABalancer(t *testing.T) {
	r := newBalancedRig(t)
	allow := aclOf("t", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow)
	allow.Host = "203.0.113.7"
	rev, err := r.store.ChangeACLs(t.Context(), "i-a", []tenancy.ACL{allow}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	for client, denied := range map[string]bool{"203.0.113.7": false, "203.0.113.8": true, balancerAddr: true} {
		c := r.overTLS(r.dialFrom(4, balancerAddr, v2(cmdProxy, famTCP4, addrs(client))), "127.0.0.1")
		if err := login(c, "u@i-a"); err != nil {
			t.Fatal(err)
		}
		if got := produceCode(t, c, "t"); (got == kerr.TopicAuthorizationFailed.Code) != denied {
			t.Errorf("from %s: code %d, want denied %t", client, got, denied)
		}
	}
}

// meeting is a connection of a balancer in a bubble of virtual time, and the
// balancer's side of it.
func meeting(t *testing.T) (c *conn, theirs net.Conn) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	c = &conn{srv: &Server{lobby: newLobby(1)}, lst: &listener{Listener: Listener{Balancers: behind(true)}}, raw: &transport{Conn: ours}}
	c.from.Addr = netip.MustParseAddr(balancerAddr)
	c.srv.lobby.enter(c, origin{addr: c.from.Addr, balancer: true}, time.Now())
	return c, theirs
}

// A header has two seconds from its first byte on, and never longer than the
// handshake; before it and behind it the handshake's time holds.
func TestTimeForAHeader(t *testing.T) {
	for name, test := range map[string]struct {
		pause, whole time.Duration // until the first byte, and for the handshake
		sent         string
		reason       string
		took         time.Duration
	}{
		"half of it":       {3 * time.Second, 10 * time.Second, proxyV2()[:20], reasonHeaderBad, 5 * time.Second},
		"half of a line":   {0, 10 * time.Second, "PROXY TCP4 203.0", reasonHeaderBad, 2 * time.Second},
		"handshake's end":  {3 * time.Second, 4 * time.Second, proxyV2()[:20], reasonHeaderBad, 4 * time.Second},
		"half of its sign": {0, 10 * time.Second, signV2[:5], reasonHeaderMissing, 2 * time.Second},
		"nothing":          {0, 10 * time.Second, "", reasonHandshakeSlow, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, theirs := meeting(t)
				begin := time.Now()
				by := begin.Add(test.whole)
				_ = c.raw.SetDeadline(by)
				go func() {
					time.Sleep(test.pause) // virtual
					_, _ = io.WriteString(theirs, test.sent)
				}()
				reason, _ := reasonOf(c.meet(by))
				if took := time.Since(begin); reason != test.reason || took != test.took {
					t.Errorf("%s after %s, want %s after %s", reason, took, test.reason, test.took)
				}
				_ = c.raw.Close()
			})
		})
	}
}

// Behind the header a client may take its time, and is counted by its own address.
func TestBehindTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, theirs := meeting(t)
		by := time.Now().Add(10 * time.Second)
		_ = c.raw.SetDeadline(by)
		go func() {
			_, _ = io.WriteString(theirs, proxyV2())
			time.Sleep(9 * time.Second) // virtual
			_, _ = io.WriteString(theirs, "hello")
		}()
		if err := c.meet(by); err != nil {
			t.Fatal(err)
		}
		if at := c.srv.lobby.waiting[c].origin; at != originOf("203.0.113.7") {
			t.Errorf("counted by %+v", at)
		}
		text := make([]byte, 5)
		if _, err := io.ReadFull(c.raw, text); err != nil || string(text) != "hello" {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := c.raw.Read(text); !isTimeout(err) || time.Now() != by {
			t.Errorf("at %s: %v, want a timeout when the handshake's time is over", time.Now(), err)
		}
	})
}

// While a lobby is full of silent connections through one balancer, those who
// come through the same one with a header get in.
func TestSilentConnectionsThroughABalancer(t *testing.T) {
	r := newBalancedRig(t, func(c *Config) { c.MaxHandshakes = 8 })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(balancerAddr)}}
		for wait(ctx, 5*time.Millisecond) {
			if c, err := d.DialContext(ctx, "tcp", r.srv.Addrs()[4]); err == nil {
				defer c.Close()
			}
		}
	}()
	eventually(t, "the lobby is full", func() bool { return r.closed(reasonFull) > 8 })
	failed := 0
	for range 20 {
		c := r.overTLS(r.dialFrom(4, balancerAddr, proxyV2()), "127.0.0.1")
		if err := login(c, "u@i-a"); err != nil {
			failed++
		}
	}
	stop()
	<-done
	if failed > 0 {
		t.Errorf("%d of 20 good clients were kept out", failed)
	}
}
