package proxy

import (
	"net/netip"
	"testing"
	"time"
)

// lobbyTest is a full lobby of three: two guests from the crowd, one from elsewhere.
type lobbyTest struct {
	*lobby
	start                time.Time
	first, second, other *conn
}

func newLobbyTest(t *testing.T) lobbyTest {
	t.Helper()
	l := lobbyTest{lobby: newLobby(3), start: time.Now(), first: &conn{}, second: &conn{}, other: &conn{}}
	for i, c := range []*conn{l.first, l.second, l.other} {
		from := crowdOrigin()
		if c == l.other {
			from = originOf("192.0.2.2")
		}
		if out, ok := l.enter(c, from, l.start.Add(time.Duration(i)*time.Millisecond)); !ok || out != nil {
			t.Fatalf("guest %d: out %p, %v", i, out, ok)
		}
	}
	return l
}

func crowdOrigin() origin { return originOf("192.0.2.1") }

func originOf(addr string) origin { return origin{addr: netip.MustParseAddr(addr)} }

func TestLobbyMakesRoomForStrangers(t *testing.T) {
	l := newLobbyTest(t)
	if out, ok := l.enter(&conn{}, originOf("192.0.2.3"), l.start.Add(time.Second)); !ok || out != l.first {
		t.Errorf("out %p, %v, want %p", out, ok, l.first)
	}
}

func TestLobbyTurnsTheCrowdAway(t *testing.T) {
	l := newLobbyTest(t)
	if out, ok := l.enter(&conn{}, crowdOrigin(), l.start.Add(lobbyPatience/2)); ok || out != nil {
		t.Errorf("out %p, %v", out, ok)
	}
	if out, ok := l.enter(&conn{}, crowdOrigin(), l.start.Add(lobbyPatience)); !ok || out != l.first {
		t.Errorf("after lobbyPatience: out %p, %v, want %p", out, ok, l.first)
	}
}

func TestLobbyForgets(t *testing.T) {
	l := newLobbyTest(t)
	for _, c := range []*conn{l.first, l.first, l.second, l.other} { // twice does no harm
		l.leave(c)
	}
	if len(l.waiting) != 0 || len(l.from) != 0 {
		t.Errorf("%d guests from %d addresses are left", len(l.waiting), len(l.from))
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1:2": "2001:db8::", "fe80::1%lo": "fe80::",
	} {
		ip := netip.MustParseAddr(addr).Unmap().WithZone("") // as addrOf does
		if got := network(ip); got.String() != want {
			t.Errorf("%s is counted as %s, want %s", addr, got, want)
		}
	}
}

// Behind a balancer nobody is known until the header has come: who came first has
// no right against who comes last.
func TestLobbyHasNoPatienceBehindABalancer(t *testing.T) {
	l, now := newLobby(2), time.Now()
	unknown := originOf("10.0.8.1")
	unknown.balancer = true
	named, silent := &conn{}, &conn{}
	for _, c := range []*conn{named, silent} {
		if out, ok := l.enter(c, unknown, now); out != nil || !ok {
			t.Fatalf("out %p, %v", out, ok)
		}
	}
	l.move(named, originOf("203.0.113.7"))
	if out, ok := l.enter(&conn{}, unknown, now); !ok || out != silent {
		t.Errorf("out %p, %v, want the silent one %p", out, ok, silent)
	}
	// Two that are named, from one address: that is the crowd, and its own matter.
	l.move(silent, originOf("203.0.113.7")) // has lost its place: nothing happens
	if len(l.from) != 2 || l.from[originOf("203.0.113.7")] != 1 || l.from[unknown] != 1 {
		t.Errorf("counted by %v", l.from)
	}
}

// A client that moves to its own address is counted there, and forgotten there.
func TestLobbyForgetsWhoMoved(t *testing.T) {
	l, c, now := newLobby(2), &conn{}, time.Now()
	if _, ok := l.enter(c, origin{addr: crowdOrigin().addr, balancer: true}, now); !ok {
		t.Fatal("no place")
	}
	l.move(c, crowdOrigin())
	if g := l.waiting[c]; g.origin != crowdOrigin() || !g.since.Equal(now) {
		t.Errorf("%+v; moving makes nobody younger", g)
	}
	l.leave(c)
	if l.len() != 0 || len(l.from) != 0 {
		t.Errorf("%d guests, counted by %v", l.len(), l.from)
	}
}
