package proxy

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
)

// drained begins the drain and waits until every open connection knows.
func (r *rig) drained() {
	r.t.Helper()
	r.stop()
	eventually(r.t, "the drain has reached every connection", func() bool {
		all := true
		r.srv.conns.each(func(c *conn) { all = all && c.leaveBy.Load() != 0 })
		return all
	})
}

func (r *rig) connected(n int) {
	r.t.Helper()
	eventually(r.t, "the gateway knows the connection", func() bool { return r.srv.Connections() == n })
}

// TestDrainLetsHandshakesFinish: to a client, an end during the handshake means
// bad credentials or a wrong protocol.
func TestDrainLetsHandshakesFinish(t *testing.T) {
	for name, begin := range map[string]func(*rig) net.Conn{
		"before TLS": func(r *rig) net.Conn {
			c, err := net.Dial("tcp", r.srv.Addrs()[0])
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"before SASL": func(r *rig) net.Conn { return r.dial(0, "") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := begin(r)
			defer c.Close()
			r.connected(1)
			r.drained()
			if name == "before TLS" {
				c = r.secure(c)
			}
			if err := login(c, "u@i-a"); err != nil {
				t.Fatalf("logging in while the gateway drains: %v", err)
			}
			closedWithout(t, c)
			r.logs(reasonDrained)
		})
	}
}

// TestDrainAnswersWhatComesBeforeAQuietMoment: a request that arrives behind one
// in flight is served.
func TestDrainAnswersWhatComesBeforeAQuietMoment(t *testing.T) {
	r := newRig(t)
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	poll := kmsg.NewPtrFetchRequest()
	poll.SetVersion(12)
	poll.MaxWaitMillis, poll.MinBytes, poll.SessionEpoch = 300, 1, -1
	if _, err := c.Write(frame(poll.Key(), 12, poll.AppendTo(nil))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the poll is under way", func() bool { return r.links() == 1 })
	r.drained()
	next := kmsg.NewPtrListGroupsRequest()
	next.SetVersion(4)
	if _, err := c.Write(frame(next.Key(), 4, next.AppendTo(nil))); err != nil {
		t.Fatal(err)
	}
	in := wire.NewReader(c)
	for _, what := range []string{"fetch", "list groups"} {
		if _, err := in.Next(1 << 20); err != nil {
			t.Fatalf("answer to %s: %v", what, err)
		}
	}
	closedWithout(t, c)
	r.logs(reasonDrained)
}

// TestDrainEndsBusyConnections: a client that always has something in flight
// never gives a quiet moment.
func TestDrainEndsBusyConnections(t *testing.T) {
	r := newRig(t)
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	r.drained()
	begin := time.Now()
	for {
		if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
			break
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("closed after %s, want about %s", took, quietWithin)
	}
	r.logs(reasonDrained)
}

// secure shakes hands on a connection that is open already.
func (r *rig) secure(c net.Conn) net.Conn {
	r.t.Helper()
	cfg := r.tls()
	cfg.ServerName = "127.0.0.1"
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(r.t.Context()); err != nil {
		r.t.Fatalf("TLS while the gateway drains: %v", err)
	}
	_ = t.SetDeadline(time.Now().Add(20 * time.Second))
	return t
}
