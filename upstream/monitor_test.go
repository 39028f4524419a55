package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// network is a virtual one whose addresses can be cut off: refused, or silent.
type network struct {
	kfake.VirtualNetwork
	mu      sync.Mutex
	refused map[string]bool
	silent  map[string]bool
	dials   atomic.Int64
}

func newNetwork() *network {
	return &network{refused: map[string]bool{}, silent: map[string]bool{}}
}

func (n *network) set(m map[string]bool, addr string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m[addr] = on
}

func (n *network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.dials.Add(1)
	n.mu.Lock()
	refused, silent := n.refused[addr], n.silent[addr]
	n.mu.Unlock()
	switch {
	case refused:
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("refused")}
	case silent:
		near, far := net.Pipe() // nobody reads
		context.AfterFunc(ctx, func() { far.Close() })
		return near, nil
	}
	return n.VirtualNetwork.DialContext(ctx, network, addr)
}

func virtualKafka(t *testing.T, n *network, brokers int) *kfake.Cluster {
	t.Helper()
	var ports []int
	for i := range brokers {
		ports = append(ports, 9092+i)
	}
	return kafka(t, kfake.NumBrokers(brokers), kfake.Ports(ports...), kfake.ListenFn(n.Listen))
}

// A broker that restarts is found within maxBackoff, and a dead one costs no
// more than one probe in that time.
func TestDeadBrokerIsProbedSparingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 2)
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext, MetadataMaxAge: time.Hour})
		b := p.Brokers()[0]
		n.set(n.refused, b.addr(), true)
		if _, err := p.Dial(t.Context(), b.Node, nil); err == nil {
			t.Fatal("dialed")
		}
		n.dials.Store(0)
		time.Sleep(time.Minute) // virtual
		if got := n.dials.Load(); got < 15 || got > 30 {
			t.Errorf("%d probes of a dead broker in a minute, want about one in %s", got, maxBackoff)
		}
		n.set(n.refused, b.addr(), false)
		time.Sleep(maxBackoff) // virtual
		synctest.Wait()
		conn, err := p.Dial(t.Context(), b.Node, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

// In a plaintext pool a connection proves nothing: a broker that accepts and
// never answers is found by the regular probe, and stays down while it connects.
func TestSilentPlaintextBrokerIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 3)
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext})
		b := p.Brokers()[1]
		n.set(n.silent, b.addr(), true)
		time.Sleep(30*time.Second + 10*time.Second + time.Second) // virtual: MetadataMaxAge, DialTimeout
		for range 100 {
			if _, err := p.Dial(t.Context(), b.Node, nil); err == nil {
				t.Fatal("dialed a broker that never answers")
			}
			time.Sleep(time.Second)
		}
		if up := p.candidates(); len(up) != 2 {
			t.Errorf("%d brokers are up, want 2", len(up))
		}
		n.set(n.silent, b.addr(), false)
		time.Sleep(10*time.Second + maxBackoff)
		synctest.Wait()
		conn, err := p.Dial(t.Context(), b.Node, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

// A pool may come up after the gateway, and may go away as a whole and return elsewhere.
func TestPoolComesLaterAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		p := startPool(t, Config{Bootstrap: []string{"localhost:9092", "localhost:9093"}, Dial: n.DialContext})
		time.Sleep(time.Minute) // virtual
		select {
		case <-p.Ready():
			t.Fatal("ready without a broker")
		default:
		}
		if _, ok := p.Versions(3); ok || p.Brokers() != nil || p.Controller() != -1 || p.ClusterID() != "" {
			t.Error("it knows what nobody told")
		}
		start := time.Now()
		if _, err := p.Dial(t.Context(), AnyNode, nil); err == nil || time.Since(start) > 10*time.Second {
			t.Errorf("Dial: %v after %s, want an error within DialTimeout", err, time.Since(start))
		}
		c := virtualKafka(t, n, 2)
		await(t, p.Ready())
		for _, addr := range c.ListenAddrs() {
			n.set(n.refused, addr, true)
		}
		eventuallyVirtual(t, "both are down", func() bool { return len(p.candidates()) == 0 })
		if _, err := p.Dial(t.Context(), AnyNode, nil); err == nil {
			t.Error("dialed")
		}
		for _, addr := range c.ListenAddrs() {
			n.set(n.refused, addr, false)
		}
		eventuallyVirtual(t, "both are up", func() bool { return len(p.candidates()) == 2 })
	})
}

func eventuallyVirtual(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 120 {
		if cond() {
			return
		}
		time.Sleep(time.Second)
		synctest.Wait()
	}
	t.Fatalf("not in two minutes: %s", what)
}

// However many ask for nodes that do not exist, the brokers are asked once a second.
func TestRefreshIsRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 1)
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext, MetadataMaxAge: time.Hour})
		n.dials.Store(0)
		start := time.Now()
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				for time.Since(start) < 10*time.Second {
					if _, err := p.Dial(t.Context(), 99, nil); !errors.Is(err, ErrNoBroker) {
						t.Errorf("Dial: %v", err)
					}
				}
			})
		}
		callers.Wait()
		if got := n.dials.Load(); got < 5 || got > 12 {
			t.Errorf("%d refreshes in 10 s, want one a second", got)
		}
	})
}

// Brokers are asked again after MetadataMaxAge, so that an upgrade shows.
func TestVersionsAreRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 2)
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext})
		c.ControlKey(int16(kmsg.ApiVersions), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
			resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{key(3, 0, 9), key(18, 0, 4)}
			return resp, nil, true
		})
		time.Sleep(31 * time.Second) // virtual
		synctest.Wait()
		if v, _ := p.Versions(3); v != (VersionRange{0, 9}) {
			t.Errorf("Metadata %v after MetadataMaxAge", v)
		}
	})
}

// A broker that moves to another address begins anew.
func TestBrokerMoves(t *testing.T) {
	m := newMonitor(&Pool{cfg: Config{Log: nopLog()}, ready: make(chan struct{})})
	now := time.Unix(0, 0)
	meta := func(port int32, nodes ...int32) answer {
		resp := new(kmsg.MetadataResponse)
		for _, node := range nodes {
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: node, Host: "h", Port: port})
		}
		return answer{node: bootstrap, meta: resp}
	}
	m.seedsOpen = 1
	m.apply(meta(1, 1, 2), now)
	m.p.health.failed(1, now, errors.New("x"))
	m.brokers[1].probing = true
	m.apply(meta(2, 1), now)
	if got := m.p.Brokers(); len(got) != 1 || got[0].addr() != "h:2" {
		t.Errorf("brokers %+v", got)
	}
	if err := m.p.health.down(1); err != nil || m.brokers[1].probing {
		t.Errorf("its past followed it: %v", err)
	}
	m.apply(answer{node: 1, addr: "h:1", err: errors.New("late")}, now) // of the old address
	if err := m.p.health.down(1); err != nil || m.brokers[1].tried {
		t.Errorf("a late answer of the old address counted: %v", err)
	}
	nodes := slices.Collect(func(yield func(int32) bool) {
		for _, h := range m.p.Health() {
			if !yield(h.Node) {
				return
			}
		}
	})
	if !slices.Equal(nodes, []int32{1}) {
		t.Errorf("health of %v, want of node 1 alone", nodes)
	}
}

// A probe that was under way when somebody asked for news is repeated.
func TestProbeUnderWayIsRepeated(t *testing.T) {
	m := newMonitor(&Pool{cfg: Config{Log: nopLog(), MetadataMaxAge: time.Hour}, ready: make(chan struct{})})
	now := time.Unix(0, 0)
	meta := &kmsg.MetadataResponse{Brokers: []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "h", Port: 1}}}
	m.apply(answer{node: bootstrap, meta: meta}, now)
	m.round = 1
	waiter := make(chan struct{})
	m.waiting = append(m.waiting, waiter)
	a := answer{node: 1, addr: "h:1", meta: meta, api: api()}
	m.apply(a, now)
	if due := m.brokers[1].due; !due.Equal(now) || len(m.waiting) != 1 {
		t.Errorf("due %s, %d wait: the old answer counted as news", due, len(m.waiting))
	}
	a.round = 1
	m.apply(a, now)
	await(t, waiter)
	if due := m.brokers[1].due; !due.Equal(now.Add(time.Hour)) {
		t.Errorf("due %s", due)
	}
}

// A pool is not ready before every broker had its chance to say what it speaks.
func TestReadyWaitsForEveryBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 2)
		n.set(n.silent, "localhost:9093", true)
		start := time.Now()
		p := runPool(t, Config{Bootstrap: c.ListenAddrs()[:1], Dial: n.DialContext})
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("ready after %s, want DialTimeout", took)
		}
		if up := p.candidates(); len(up) != 1 {
			t.Errorf("%d brokers are up, want 1", len(up))
		}
	})
}

// Control requests do not wait for a broker that is known to be down.
func TestControlDialRefusesDownBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := virtualKafka(t, n, 2)
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext, MetadataMaxAge: time.Hour})
		b := p.Brokers()[0]
		n.set(n.silent, b.addr(), true)
		if _, err := p.Dial(t.Context(), AnyNode, nil); err != nil {
			t.Fatal(err)
		}
		p.blame(b.Node, errors.New("silent"))
		n.dials.Store(0)
		if _, err := p.dialControl(t.Context(), "tcp", b.addr()); !errors.Is(err, errDial) || n.dials.Load() != 0 {
			t.Errorf("dialControl: %v after %d dials, want a refusal at once", err, n.dials.Load())
		}
	})
}
