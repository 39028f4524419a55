package proxy

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A lie is one connection of an attack: what it sends first, and what has to be
// made of it; reason "" is anything but a session.
type lie struct {
	listener    int
	src, header string
	reason      string
}

// attackHeaders are right headers, from which lies are made.
func attackHeaders() []string {
	return []string{
		"PROXY TCP4 203.0.113.7 192.0.2.250 40000 9092\r\n", "PROXY TCP6 2001:db8::7 2001:db8::fa 40000 9092\r\n",
		proxyV2(), proxyV2(tlv(0xEA, "\x01vpce-0a1b")), v2(cmdProxy, famTCP6, addrs("2001:db8::7"), tlv(0xE0, "12345678")),
		sealed(cmdProxy, famTCP4, addrs("203.0.113.7"), tlv(tlvTest, "marker-7")), v2(cmdLocal, famUnspec),
	}
}

// lieOf draws a lie. Headers are followed by what a client would send.
func lieOf(rng *rand.Rand) lie {
	headers := attackHeaders()
	h := headers[rng.IntN(len(headers))]
	const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	src := []string{strangerAddr, "127.0.0.1", "127.0.0.4"}[rng.IntN(3)]
	switch rng.IntN(8) {
	case 0:
		return lie{4 + rng.IntN(3), src, h + hello, reasonHeaderSpoofed}
	case 1:
		return lie{rng.IntN(4), balancerAddr, h + hello, reasonHeaderNotHere}
	case 2:
		return lie{4, balancerAddr, hello, reasonHeaderMissing}
	case 3: // version 2 whose checksum is that of another header
		b := []byte(sealed(cmdProxy, famTCP4, addrs("203.0.113.7"), tlv(0xEA, "\x01vpce-0a1b")))
		b[fixedV2+rng.IntN(len(b)-fixedV2-7)] ^= 1 << rng.IntN(8)
		return lie{4, balancerAddr, string(b), reasonHeaderBad}
	case 4: // two endpoints
		return lie{5, balancerAddr, proxyV2(tlv(0xEA, "\x01vpce-a"), tlv(0xEE, "\x01\x02\x00\x00\x10")) + hello, reasonHeaderBad}
	case 5: // cut behind the sign
		if h == headers[6] {
			h = headers[3]
		}
		return lie{4, balancerAddr, h[:12+rng.IntN(len(h)-12)], reasonHeaderBad}
	case 6: // a few bytes changed
		b := []byte(h)
		for range 1 + rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		return lie{4 + rng.IntN(3), balancerAddr, string(b), ""}
	}
	b := []byte(signV2) // noise behind a right sign
	for range rng.IntN(300) {
		b = append(b, byte(rng.Uint32()))
	}
	return lie{4 + rng.IntN(3), balancerAddr, string(b), ""}
}

// tell says a lie and waits until it is over; said is what was answered.
func (l lie) tell(addr string) (said []byte, err error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(l.src)}, Timeout: 20 * time.Second}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0) // thousands of ports would wait for a minute
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, l.header)
	_ = c.(*net.TCPConn).CloseWrite()
	said, err = io.ReadAll(c)
	if isTimeout(err) {
		return said, err
	}
	return said, nil // a reset is an end too
}

// TestTenThousandLies: headers that are spoofed, mutated, cut or noise, from the
// balancer's address and others. None makes a session, none is answered, each is
// counted by its reason, and clients behind the balancer notice nothing.
func TestTenThousandLies(t *testing.T) {
	r := newBalancedRig(t)
	_ = r.dialFrom(0, strangerAddr, "").Close() // skips where there is no such address
	lies, workers := 10_000, 8
	if testing.Short() {
		lies = 800
	}
	ctx, stop := context.WithCancel(t.Context())
	good, goodDone := 0, make(chan struct{})
	go func() { // one after another, each with a login
		defer close(goodDone)
		for ctx.Err() == nil {
			c := r.overTLS(r.dialFrom(4, balancerAddr, proxyV2(tlv(0xEA, "\x01vpce-good"))), "127.0.0.1")
			if err := login(c, "u@i-a"); err != nil {
				t.Errorf("good client %d: %v", good, err)
			}
			good++
			_ = c.Close()
		}
	}()

	var mu sync.Mutex
	want := map[string]int{}
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(w)))
			for range lies / workers {
				l := lieOf(rng)
				said, err := l.tell(r.srv.Addrs()[l.listener])
				if len(said) > 0 || err != nil {
					t.Errorf("%q from %s to listener %d is answered %q, %v", l.header, l.src, l.listener, said, err)
				}
				mu.Lock()
				want[l.reason]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	stop()
	<-goodDone
	eventually(t, "every connection is over", func() bool { return r.srv.Connections() == 0 })
	t.Logf("%d lies in %s beside %d good clients", lies, took.Round(time.Millisecond), good)
	r.checkLies(want, lies, good)
}

// checkLies compares what was counted with what was sent.
func (r *rig) checkLies(want map[string]int, lies, good int) {
	r.t.Helper()
	sum := 0
	for _, reason := range []string{
		reasonHeaderSpoofed, reasonHeaderNotHere, reasonHeaderMissing, reasonHeaderBad,
		reasonHealthCheck, reasonHTTP, reasonPlaintextOnTLS, reasonTLSOnPlaintext, reasonFrameSize, reasonTLS, reasonMalformed, reasonClientGone,
	} {
		n := r.closed(reason)
		r.t.Logf("%-24s %5d, of which %d had to be", reason, n, want[reason])
		sum += n
		if n < want[reason] {
			r.t.Errorf("%s: %d, want %d at least", reason, n, want[reason])
		}
	}
	for _, exact := range []string{reasonHeaderSpoofed, reasonHeaderNotHere} { // nothing else looks like these
		if n := r.closed(exact); n != want[exact] {
			r.t.Errorf("%s: %d, want %d", exact, n, want[exact])
		}
	}
	// The good clients and the first, empty connection end as client-gone as well.
	if sum != lies+good+1 {
		r.t.Errorf("%d connections have a reason, there were %d", sum, lies+good+1)
	}
	if n := r.sessions(); n != good {
		r.t.Errorf("%d sessions, %d of good clients: a lie was believed", n, good)
	}
}

// sessions is how many connections have authenticated.
func (r *rig) sessions() int {
	r.t.Helper()
	families, err := r.srv.cfg.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "weir_sessions_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return -1
}
