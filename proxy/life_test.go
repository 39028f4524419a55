package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

func (r *rig) links() int {
	n := 0
	r.srv.conns.each(func(c *conn) {
		c.mu.Lock()
		if c.link != nil {
			n++
		}
		c.mu.Unlock()
	})
	return n
}

func TestBrokerConnectionIsOpenedAtFirstUseAndClosedWhenIdle(t *testing.T) {
	r := newRig(t, func(c *Config) { c.UpstreamIdle = 20 * time.Millisecond })
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	if n := r.links(); n != 0 {
		t.Errorf("%d broker connections before the first request", n)
	}
	for range 2 { // and again after it was closed
		req := kmsg.NewPtrListGroupsRequest()
		if _, err := send(c, req, 4); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the idle broker connection is closed", func() bool { return r.links() == 0 })
	}
	if n := r.srv.Connections(); n != 1 {
		t.Errorf("%d client connections, want the one that stays", n)
	}
}

func TestRevocationClosesAtOnce(t *testing.T) {
	for name, revoke := range map[string]func(*rig) (tenancy.Revision, error){
		"user deleted": func(r *rig) (tenancy.Revision, error) { return r.store.DeleteUser(r.t.Context(), "i-a", "u") },
		"user disabled": func(r *rig) (tenancy.Revision, error) {
			u, err := r.store.User(r.t.Context(), "i-a", "u")
			if err != nil {
				return 0, err
			}
			u.Disabled = true
			_, rev, err := r.store.PutUser(r.t.Context(), "i-a", u)
			return rev, err
		},
		"instance suspended": func(r *rig) (tenancy.Revision, error) {
			_, rev, err := r.store.UpdateInstance(r.t.Context(), "i-a", func(in *tenancy.Instance) error {
				in.State = tenancy.StateSuspended
				return nil
			})
			return rev, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a, b := r.dial(0, ""), r.dial(0, "")
			if err := errors.Join(login(a, "u@i-a"), login(b, "u@i-b")); err != nil {
				t.Fatal(err)
			}
			rev, err := revoke(r)
			if err != nil {
				t.Fatal(err)
			}
			r.inForce(rev)
			closedWithout(t, a)
			r.logs(reasonRevoked)
			if _, err := send(b, kmsg.NewPtrMetadataRequest(), 9); err != nil {
				t.Errorf("the other instance's connection: %v", err)
			}
			if err := login(r.dial(0, ""), "u@i-a"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("logging in again: %v", err)
			}
		})
	}
}

func TestReauthentication(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReauth = time.Hour })
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Fatal(err)
	}
	if err := login(c, "u@i-a"); err != nil {
		t.Errorf("the same principal again: %v", err)
	}
	if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Error(err)
	}
	if err := login(c, "u@i-b"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("another instance's credentials: %v", err)
	}
	closedWithout(t, c)
}

func TestSessionEnds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReauth = 30 * time.Millisecond })
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a request after the session's end is refused", func() bool {
		_, err := send(c, kmsg.NewPtrMetadataRequest(), 9)
		return err != nil
	})
	r.logs(reasonExpired)
}

func TestLateHandshakeWithoutLifetime(t *testing.T) {
	r := newRig(t)
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = "PLAIN"
	resp, err := send(c, h, 1)
	if err != nil || resp.(*kmsg.SASLHandshakeResponse).ErrorCode != kerr.IllegalSaslState.Code {
		t.Errorf("%+v, %v", resp, err)
	}
	if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Error(err)
	}
}

// TestAnswersKeepOrder sends a long poll and, behind it, requests that the
// gateway answers by itself: they must wait.
func TestAnswersKeepOrder(t *testing.T) {
	r := newRig(t)
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	var out []byte
	add := func(corr int32, req kmsg.Request, v int16) {
		req.SetVersion(v)
		body := req.AppendTo(nil)
		f := frame(req.Key(), v, body)
		f[11] = byte(corr)
		out = append(out, f...)
	}
	poll := kmsg.NewPtrFetchRequest()
	poll.MaxWaitMillis, poll.MinBytes, poll.SessionEpoch = 200, 1, -1
	add(1, poll, 12)
	for corr := range int32(5) {
		add(2+corr, kmsg.NewPtrApiVersionsRequest(), 2)
	}
	add(7, kmsg.NewPtrListGroupsRequest(), 4)
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	var head [8]byte
	for want := byte(1); want <= 7; want++ {
		if _, err := readFull(c, head[:]); err != nil {
			t.Fatal(err)
		}
		if head[7] != want {
			t.Fatalf("answer %d came, want %d", head[7], want)
		}
		rest := make([]byte, int(head[2])<<8+int(head[3])-4)
		if _, err := readFull(c, rest); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRollingDrain produces and consumes while one of two gateways that share
// their ports drains: the clients must not notice.
func TestRollingDrain(t *testing.T) {
	share := func(c *Config) {
		for i := range c.Listeners {
			c.Listeners[i].ReusePort = true
		}
		c.DrainGrace, c.DrainSpread = 10*time.Millisecond, 100*time.Millisecond
	}
	r := newRig(t, share)
	second, err := New(r.srv.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- second.Serve(ctx, nil) }()

	cl := r.client("a", kgo.ConsumeTopics("rolled"), kgo.DefaultProduceTopic("rolled"))
	var sent, failed atomic.Int64
	run, stop := context.WithCancel(t.Context())
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for run.Err() == nil {
			rec := kgo.StringRecord(fmt.Sprint(sent.Add(1)))
			if err := cl.ProduceSync(context.Background(), rec).FirstErr(); err != nil {
				failed.Add(1)
				t.Errorf("produce: %v", err)
			}
		}
	}()
	eventually(t, "both gateways have connections", func() bool {
		extra := r.client("a")
		defer extra.Close()
		_ = extra.Ping(t.Context())
		return second.Connections() > 0 && r.srv.Connections() > 0
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := second.Connections(); n != 0 {
		t.Errorf("%d connections outlive the drain", n)
	}
	at := sent.Load()
	eventually(t, "producing goes on", func() bool { return sent.Load() > at+100 })
	stop()
	<-produced
	seen := map[string]bool{}
	for int64(len(seen)) < sent.Load() {
		cl.PollFetches(t.Context()).EachRecord(func(rec *kgo.Record) {
			if seen[string(rec.Value)] {
				t.Errorf("%s twice", rec.Value)
			}
			seen[string(rec.Value)] = true
		})
	}
	if failed.Load() > 0 {
		t.Errorf("%d of %d failed", failed.Load(), sent.Load())
	}
}

// TestLostBroker: a broker connection that dies under a request closes the
// client's connection (the gateway never repeats a request); one that dies
// while nothing waits for it does not.
func TestLostBroker(t *testing.T) {
	r := newRig(t)
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
		t.Fatal(err)
	}
	r.closeLinks()
	eventually(t, "the link is gone", func() bool { return r.links() == 0 })
	if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
		t.Errorf("after an idle loss: %v", err)
	}
	r.kafka.ControlKey(int16(kmsg.ListGroups), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("the broker dies"), true
	})
	if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err == nil {
		t.Error("a request that was lost was answered")
	}
	r.logs(reasonUpstreamLost)
}

func (r *rig) closeLinks() {
	r.srv.conns.each(func(c *conn) {
		c.mu.Lock()
		if c.link != nil {
			_ = c.link.conn.Conn.Close() // as if the broker had
		}
		c.mu.Unlock()
	})
}

func readFull(c net.Conn, p []byte) (int, error) { return io.ReadFull(c, p) }

// TestLinkIsRenewed: a broker that demands re-authentication gets a new
// connection in time, between exchanges, and the client notices nothing.
func TestLinkIsRenewed(t *testing.T) {
	r := newRig(t)
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	var used []*link
	for range 3 {
		if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
			t.Fatal(err)
		}
		r.srv.conns.each(func(c *conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			used = append(used, c.link)
			c.link.renew = time.Now()
		})
	}
	if used[0] == used[1] || used[1] == used[2] || r.links() != 1 {
		t.Errorf("links %p %p %p, %d open; want a new one each time and one open", used[0], used[1], used[2], r.links())
	}
}

// TestBootstrapKeepsItsBroker: fetch session ids mean something on the broker
// that issued them only, so a connection that was given a broker stays with it.
func TestBootstrapKeepsItsBroker(t *testing.T) {
	r := newRig(t)
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	nodes := map[int32]int{}
	for range 6 {
		if _, err := send(c, kmsg.NewPtrListGroupsRequest(), 4); err != nil {
			t.Fatal(err)
		}
		r.srv.conns.each(func(c *conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			nodes[c.link.conn.Node]++
			c.link.renew = time.Now()
		})
	}
	if len(nodes) != 1 {
		t.Errorf("one connection used brokers %v", nodes)
	}
}
