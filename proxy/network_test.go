package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/proxy/wire"
	"weir/tenancy"
)

// The two places that tests come from: Linux has all of 127.0.0.0/8.
const (
	inside  = "127.0.1.1"
	outside = "127.0.2.1"
)

func ranges(cidrs ...string) (all []tenancy.Network) {
	for _, c := range cidrs {
		all = append(all, tenancy.Network{CIDR: netip.MustParsePrefix(c)})
	}
	return all
}

// allow replaces an instance's networks; in force when it returns.
func (r *rig) allow(id string, cidrs ...string) {
	r.t.Helper()
	rev, _, err := r.store.ReplaceNetworks(r.t.Context(), tenancy.InstanceID("i-"+id), ranges(cidrs...), "")
	if err != nil {
		r.t.Error(err)
		return
	}
	r.inForce(rev)
}

// heard counts what a connection has been sent, below TLS.
type heard struct {
	net.Conn
	bytes atomic.Int64
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.bytes.Add(int64(n))
	return n, err
}

// knock begins TLS from a local address, with the host name if it is not "".
func (r *rig) knock(from, address, serverName string) (*tls.Conn, *heard, error) {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(r.t.Context(), "tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	h := &heard{Conn: c}
	cfg := r.tls()
	if cfg.ServerName = serverName; serverName == "" {
		cfg.ServerName = "127.0.0.1"
	}
	t := tls.Client(h, cfg)
	return t, h, t.HandshakeContext(r.t.Context())
}

// enter is a session of user u from a local address.
func (r *rig) enter(from, id string) net.Conn {
	r.t.Helper()
	c, _, err := r.knock(from, r.srv.Addrs()[0], "i-"+id+".kafka.localhost")
	if err == nil {
		err = login(c, "u")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// denying says that plans with these names let nobody in by themselves; "" is the default.
func denying(plans ...string) func(*Config) {
	return func(c *Config) {
		c.Auth = auth.New(auth.Config{
			Directory: c.Directory, Pepper: []byte("pepper"),
			Defaults: func(plan string) auth.Defaults { return auth.Defaults{DenyNetworks: slices.Contains(plans, plan)} },
		})
	}
}

func bothFamilies(c *Config) {
	l := c.Listeners[0]
	l.Address = "[::]:0" // shows IPv4 clients as ::ffff:127.0.0.1
	c.Listeners = append(c.Listeners, l)
}

// By the host name of the handshake: who may not come gets a closed connection and
// not one byte, and so does a name of no instance where instances are closed.
func TestNetworksAtClientHello(t *testing.T) {
	for _, tc := range []struct {
		what     string
		plans    []string // that deny
		networks []string
		from     string
		name     string
		refused  bool
	}{
		{what: "no networks", from: outside, name: "i-a"},
		{what: "no networks, a plan that denies", plans: []string{"dev"}, from: outside, name: "i-a", refused: true},
		{what: "inside", networks: []string{"127.0.1.0/24"}, from: inside, name: "i-a"},
		{what: "inside, a plan that denies", plans: []string{"", "dev"}, networks: []string{"127.0.1.0/24"}, from: inside, name: "i-a"},
		{what: "outside", networks: []string{"127.0.1.0/24", "::/0"}, from: outside, name: "i-a", refused: true},
		{what: "outside, at a broker's name", networks: []string{"127.0.1.0/24"}, from: outside, name: "b1-i-a", refused: true},
		{what: "another instance's networks", networks: []string{"127.0.1.0/24"}, from: outside, name: "i-b"},
		{what: "no such instance", from: outside, name: "i-none"},
		{what: "no such instance, a default that denies", plans: []string{""}, from: outside, name: "i-none", refused: true},
		{what: "no such instance's broker, a default that denies", plans: []string{""}, from: outside, name: "b1-i-none", refused: true},
	} {
		t.Run(tc.what, func(t *testing.T) {
			r := newRig(t, bothFamilies, denying(tc.plans...))
			r.allow("a", tc.networks...)
			for i, listener := range []string{"127.0.0.1", "[::]"} {
				addr := r.srv.Addrs()[i*4]
				if i == 1 {
					_, port, _ := net.SplitHostPort(addr)
					addr = net.JoinHostPort("127.0.0.1", port)
				}
				c, h, err := r.knock(tc.from, addr, tc.name+".kafka.localhost")
				if (err != nil) != tc.refused {
					t.Fatalf("%s: TLS says %v", listener, err)
				}
				if tc.refused {
					if h.bytes.Load() != 0 || isTimeout(err) {
						t.Errorf("%s: the refused client got %d bytes, %v", listener, h.bytes.Load(), err)
					}
					r.logs(reasonNetwork)
				} else if err := login(c, "u"); (err == nil) != (tc.name != "i-none") {
					t.Errorf("%s: login: %v", listener, err)
				}
			}
		})
	}
}

// A suspended instance: from its networks a login fails as ever, from elsewhere it
// does not begin.
func TestNetworksOfASuspendedInstance(t *testing.T) {
	r := newRig(t)
	r.allow("a", "127.0.1.0/24")
	_, rev, err := r.store.UpdateInstance(t.Context(), "i-a", func(in *tenancy.Instance) error {
		in.State = tenancy.StateSuspended
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	if c, _, err := r.knock(inside, r.srv.Addrs()[0], "i-a.kafka.localhost"); err != nil || login(c, "u") == nil {
		t.Errorf("from inside: %v", err)
	}
	if _, h, err := r.knock(outside, r.srv.Addrs()[0], "i-a.kafka.localhost"); err == nil || h.bytes.Load() != 0 {
		t.Errorf("from outside: %v after %d bytes", err, h.bytes.Load())
	}
}

// saslAnswers are all bytes that a PLAIN login is answered, with SaslHandshake v0
// or v1, until the connection is closed or the client may go on.
func saslAnswers(t *testing.T, c net.Conn, version int16, user, secret string) []byte {
	t.Helper()
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = "PLAIN"
	if _, err := send(c, h, version); err != nil {
		t.Fatal(err)
	}
	token := []byte("\x00" + user + "\x00" + secret)
	if version == 0 {
		if _, err := c.Write(append([]byte{0, 0, 0, byte(len(token))}, token...)); err != nil {
			t.Fatal(err)
		}
	} else {
		a := kmsg.NewPtrSASLAuthenticateRequest()
		a.SASLAuthBytes = token
		a.SetVersion(2)
		body := a.AppendTo(nil)
		if _, err := c.Write(append(wire.AppendRequest(nil, wire.RequestHeader{Key: 36, Version: 2, Correlation: 7}, len(body)), body...)); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	all, err := io.ReadAll(c)
	if isTimeout(err) {
		t.Errorf("%s is let in, or left waiting: %x", user, all)
	}
	return all
}

// Where the host name does not say the instance, who comes from elsewhere is told
// what a wrong password is told, byte by byte.
func TestRefusedWithoutSNILooksLikeAWrongPassword(t *testing.T) {
	r := newRig(t)
	r.allow("a", "127.0.1.0/24")
	for _, version := range []int16{0, 1} {
		answers := map[string][]byte{}
		for what, who := range map[string]struct{ from, user, secret string }{
			"right password, outside": {outside, "u@i-a", password},
			"wrong password, outside": {outside, "u@i-a", "wrong"},
			"wrong password, inside":  {inside, "u@i-a", "wrong"},
			"unknown user, outside":   {outside, "nobody@i-a", password},
			"unknown instance":        {outside, "u@i-none", password},
		} {
			c, _, err := r.knock(who.from, r.srv.Addrs()[0], "")
			if err != nil {
				t.Fatal(err)
			}
			answers[what] = saslAnswers(t, c, version, who.user, who.secret)
		}
		want := answers["wrong password, inside"]
		for what, got := range answers {
			if !bytes.Equal(got, want) || version == 1 && !bytes.Contains(got, []byte(auth.ClientText)) {
				t.Errorf("%s is answered %x, a wrong password %x", what, got, want)
			}
		}
	}
	r.logs(reasonAuth)
	if c, _, err := r.knock(inside, r.srv.Addrs()[0], ""); err != nil || login(c, "u@i-a") != nil {
		t.Errorf("from inside: %v", err)
	}
}

// askOn sends a Metadata request every 10 ms until stop, and returns how many were answered.
func askOn(c net.Conn, stop <-chan struct{}) (answered int, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return answered, nil
		case <-tick.C:
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
				return answered, err
			}
			answered++
		}
	}
}

// A network is taken away: who came from there is closed within 100 ms, whoever
// may stay, in that instance or another, notices nothing. Run with -v for the times.
func TestRemovedNetworkClosesLiveConnections(t *testing.T) {
	r := newRig(t)
	const others = 8
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	r.allow("a", "127.0.1.0/24", "127.0.2.0/24")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked, failed atomic.Int64
	for i := range others {
		c := r.enter(outside, []string{"a", "b"}[i%2])
		wg.Go(func() {
			n, err := askOn(c, stop)
			asked.Add(int64(n))
			if err != nil {
				failed.Add(1)
				t.Errorf("one that may stay: %v", err)
			}
		})
	}
	var took, afterWrite []time.Duration
	for range rounds {
		c := r.enter(inside, "a")
		if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := r.store.ChangeNetworks(t.Context(), "i-a", nil, ranges("127.0.1.0/24")); err != nil {
			t.Fatal(err)
		}
		written := time.Now()
		closedWithout(t, c)
		took, afterWrite = append(took, time.Since(begin)), append(afterWrite, time.Since(written))
		if _, h, err := r.knock(inside, r.srv.Addrs()[0], "i-a.kafka.localhost"); err == nil || h.bytes.Load() != 0 {
			t.Errorf("it may come again: %v after %d bytes", err, h.bytes.Load())
		}
		r.allow("a", "127.0.1.0/24", "127.0.2.0/24")
	}
	close(stop)
	wg.Wait()
	r.logs(reasonNetwork)
	slices.Sort(took)
	slices.Sort(afterWrite)
	at := func(d []time.Duration, percent int) time.Duration { return d[(len(d)-1)*percent/100] }
	t.Logf("%d removals under load: closed after p50 %s, p99 %s of the call's begin (p50 %s, p99 %s after its return); %d requests of %d others answered, %d failed",
		rounds, at(took, 50), at(took, 99), at(afterWrite, 50), at(afterWrite, 99), asked.Load(), others, failed.Load())
	if at(took, 50) > 100*time.Millisecond {
		t.Errorf("half of the removals took longer than %s", at(took, 50))
	}
	if asked.Load() == 0 {
		t.Error("nobody else was there")
	}
}

// meddler changes something right after a look at an instance.
type meddler struct {
	auth.Lookup
	mu   sync.Mutex
	left int // looks until then
	then func()
}

func (m *meddler) View(id tenancy.InstanceID) (*tenancy.View, bool) {
	v, ok := m.Lookup.View(id)
	if id == "i-a" {
		m.mu.Lock()
		m.left--
		now, then := m.left == 0, m.then
		m.mu.Unlock()
		if now {
			then()
		}
	}
	return v, ok
}

func (m *meddler) arm(look int, then func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.then = look, then
}

// Whenever between two looks of a login, or right after its first request, the
// network goes: nobody stays, not even who was found right by the last look before
// the session began.
func TestNetworkGoesDuringALogin(t *testing.T) {
	m := &meddler{}
	r := newRig(t, func(c *Config) {
		m.Lookup = c.Directory
		c.Auth = auth.New(auth.Config{Directory: m, Pepper: []byte("pepper")})
	})
	for _, serverName := range []string{"i-a.kafka.localhost", ""} {
		looks := 0
		for ; ; looks++ {
			r.allow("a", "127.0.1.0/24")
			var gone atomic.Bool
			m.arm(looks+1, func() { r.allow("a", "10.0.0.0/8"); gone.Store(true) })
			c, _, err := r.knock(inside, r.srv.Addrs()[0], serverName)
			if err == nil {
				err = login(c, "u@i-a")
			}
			if err == nil {
				before := gone.Load()
				if _, err = send(c, kmsg.NewPtrMetadataRequest(), 9); err == nil && before {
					t.Errorf("%q, after look %d: a session begins", serverName, looks+1)
				}
			}
			if err == nil && !gone.Load() {
				_ = c.Close()
				break // there are no more looks
			}
			if err == nil {
				_, err = io.ReadAll(c)
			}
			if isTimeout(err) {
				t.Fatalf("%q, after look %d: it stays", serverName, looks+1)
			}
			eventually(t, "the change is made", gone.Load)
			r.connected(0)
		}
		if r.connected(0); looks < 4 {
			t.Errorf("%q: a login with a request looks %d times", serverName, looks)
		}
	}
}

// Sessions begin while the list changes to and fro: at the end exactly those are
// there that may be.
func TestNetworksChangeWhileManyLogIn(t *testing.T) {
	r := newRig(t)
	r.allow("a", "127.0.1.0/24", "127.0.2.0/24")
	var wg sync.WaitGroup
	var stayed atomic.Int64
	for i := range 40 {
		from := fmt.Sprintf("127.0.%d.%d", 1+i%2, 1+i)
		wg.Go(func() {
			c, _, err := r.knock(from, r.srv.Addrs()[0], "i-a.kafka.localhost")
			if err == nil {
				err = login(c, "u")
			}
			if err == nil && strings.HasPrefix(from, "127.0.2.") {
				stayed.Add(1)
			}
		})
	}
	for range 10 {
		r.allow("a", "127.0.2.0/24")
		r.allow("a", "127.0.1.0/24", "127.0.2.0/24")
	}
	r.allow("a", "127.0.2.0/24")
	wg.Wait()
	if stayed.Load() != 20 {
		t.Errorf("%d of 20 that may always be there got in", stayed.Load())
	}
	r.connected(20)
}
