//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
)

// Where the private endpoints are, and from where the balancer connects to the
// gateway.
const (
	eastAddr     = "127.0.1.1"
	westAddr     = "127.0.1.2"
	balancerFrom = "127.0.2.1"
)

// newBalancedWorld is a world of which clients reach the gateway through a real
// HAProxy: two private endpoints, east and west, on one port each. As a cloud's
// balancer it says through which a client came (PP2_TYPE_UNIQUE_ID stands for the
// cloud's TLV: HAProxy 2.6 can set no others), with a checksum.
func newBalancedWorld(t *testing.T) (w *world, port int) {
	t.Helper()
	w, port = newWorld(t), parts.FreePorts(t, 1)
	w.sniPort = port
	w.listener = fmt.Sprintf("proxy_protocol: {from: [%s/32], mode: required, endpoint: {cloud: ours, type: 0x05}}", balancerFrom)
	var config strings.Builder
	fmt.Fprintf(&config, "global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n")
	for name, addr := range map[string]string{"east": eastAddr, "west": westAddr} {
		fmt.Fprintf(&config, "listen %s\n  bind %s:%d\n  unique-id-format endpoint-%s\n  source %s\n  server weir 127.0.0.1:%d send-proxy-v2 "+
			"proxy-v2-options crc32c,unique-id check check-send-proxy inter 200ms\n", name, addr, port, name, balancerFrom, w.port)
	}
	parts.StartHAProxy(t, config.String(), fmt.Sprintf("%s:%d", eastAddr, port), fmt.Sprintf("%s:%d", westAddr, port))
	return w, port
}

// through is a client of an instance inside a network where all of its names lead
// to one private endpoint, and whose own address is src.
func (w *world) through(in instance, endpoint, src string, port int, more ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	user, _, _ := strings.Cut(in.user, "@")
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		d := tls.Dialer{
			NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(src)}},
			Config:    &tls.Config{RootCAs: w.roots, ServerName: host, MinVersion: tls.VersionTLS12},
		}
		return d.DialContext(ctx, network, net.JoinHostPort(endpoint, port))
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(fmt.Sprintf("%s.kafka.localhost:%d", in.id, port)), kgo.Dialer(dial),
		kgo.SASL(scram.Auth{User: user, Pass: in.password}.AsSha512Mechanism()), kgo.DefaultProduceTopic("t"),
	}, more...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// reaches says whether a client gets an answer within limit: who is refused tries
// until then.
func reaches(t *testing.T, cl *kgo.Client, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return cl.Ping(ctx)
}

// forwards reports whether a balancer has somebody behind it: otherwise it hangs up.
func forwards(addr string, port int) bool {
	c, err := net.Dial("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// TestBehindHAProxy: stock clients work through a real balancer; the endpoint that
// it names decides who gets in, on open connections too; the address that it names
// is the client's; and nobody but it is believed.
func TestBehindHAProxy(t *testing.T) {
	w, port := newBalancedWorld(t)
	g := w.start("g")
	for _, addr := range []string{eastAddr, westAddr} {
		parts.Await(t, "the balancer at "+addr+" has seen the gateway", 10*time.Second, func() bool { return forwards(addr, port) })
	}
	a, b := w.create(g, "i-east"), w.create(g, "i-west")
	allow := func(in instance, body string) {
		t.Helper()
		w.call(g, http.MethodPost, "/v1/instances/"+in.id+"/networks", `{"allow":[`+body+`]}`, http.StatusOK, nil)
	}
	allow(a, `{"cloud":"ours","endpoint":"endpoint-east"}`)
	allow(b, `{"cloud":"ours","endpoint":"endpoint-west","cidr":"127.0.3.0/24"}`)

	lost := make(disconnects, 100)
	good := w.through(a, eastAddr, "127.0.3.1", port, kgo.ConsumeTopics("t"), kgo.WithHooks(lost))
	w.createTopic(good, "t", 3)
	for i := range 100 {
		if err := good.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; n < 100; {
		fetches := good.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}

	for _, test := range []struct {
		what          string
		in            instance
		endpoint, src string
		ok            bool
	}{
		{"east from east", a, eastAddr, "127.0.3.2", true},
		{"east from west, right password", a, westAddr, "127.0.3.1", false},
		{"west from west, its address", b, westAddr, "127.0.3.1", true},
		{"west from west, another address", b, westAddr, "127.0.4.1", false},
		{"west from east, right password", b, eastAddr, "127.0.3.1", false},
	} {
		limit := 2 * time.Second
		if test.ok {
			limit = 20 * time.Second
		}
		if err := reaches(t, w.through(test.in, test.endpoint, test.src, port), limit); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.what, err)
		}
	}
	w.closesOpenConnections(g, good, lost, a)
	w.believesNobodyElse(g, a)
}

// disconnects tells of each connection that a client loses. One that fetches
// always waits for an answer, and sees it at once.
type disconnects chan struct{}

func (d disconnects) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	select {
	case d <- struct{}{}:
	default:
	}
}

// closesOpenConnections takes away the network that a consumer is in.
func (w *world) closesOpenConnections(g *gateway, cl *kgo.Client, lost disconnects, in instance) {
	w.t.Helper()
	if err := reaches(w.t, cl, 20*time.Second); err != nil {
		w.t.Fatal(err)
	}
	w.call(g, http.MethodPost, "/v1/instances/"+in.id+"/networks", `{"allow":[{"cidr":"127.0.3.0/24"}]}`, http.StatusOK, nil)
	for len(lost) > 0 {
		<-lost
	}
	begin := time.Now()
	w.call(g, http.MethodDelete, "/v1/instances/"+in.id+"/networks?cloud=ours&endpoint=endpoint-east", "", http.StatusOK, nil)
	answered := time.Since(begin)
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		w.t.Fatal("the consumer keeps its connections")
	}
	w.t.Logf("an endpoint was removed, answered after %s; its consumer saw a connection end after %s",
		answered.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	if err := reaches(w.t, cl, 2*time.Second); err == nil {
		w.t.Error("the range lets in who comes through an endpoint: everybody has addresses like that")
	}
}

// believesNobodyElse sends the balancer's own header from elsewhere, and connects
// past the balancer.
func (w *world) believesNobodyElse(g *gateway, in instance) {
	w.t.Helper()
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x1c\x7f\x00\x03\x01\x7f\x00\x00\x01\x9c\x40\x23\x84\x05\x00\x0dendpoint-east"
	for _, test := range []struct{ what, send, reason string }{
		{"a header from elsewhere", header, "proxy-header-spoofed"},
		{"no header", "\x16\x03\x01\x00\x05hello", "proxy-header-missing"},
	} {
		c, err := net.Dial("tcp", w.bootstrap())
		if err != nil {
			w.t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = c.Write([]byte(test.send))
		if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			w.t.Errorf("%s: %d bytes, %v", test.what, n, err)
		}
		_ = c.Close()
		parts.Await(w.t, test.what+" is refused", 5*time.Second, func() bool { return g.logged("reason=" + test.reason) })
	}
	if g.logged("reason=balancer-check") { // at debug only: a check every 200 ms
		w.t.Error("health checks are reported")
	}
}

// logged reports whether a line of the gateway's log has all these words.
func (g *gateway) logged(words string) bool {
	text, _ := os.ReadFile(g.log)
	for line := range strings.Lines(string(text)) {
		all := true
		for word := range strings.FieldsSeq(words) {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}
