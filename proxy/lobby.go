package proxy

import (
	"net/netip"
	"sync"
	"time"
)

// lobbyPatience is how long a connection that is not authenticated yet keeps its
// place against a newcomer from as crowded an address. A login takes five round
// trips.
const lobbyPatience = 2 * time.Second

// lobby bounds the connections that are not authenticated yet. When it is full,
// a newcomer takes the place of the oldest one from the address that has most of
// them: who opens connections and says nothing, or slowly, keeps only himself
// out. Between equals the older one stays until lobbyPatience is over.
//
// Who comes through a load balancer is counted by the balancer's address until its
// PROXY header has said the client's. There good and bad look alike, so nobody has
// a right to stay: a header comes at once, and who sends none is the oldest soon.
// Any goroutine.
type lobby struct {
	most int // immutable

	mu      sync.Mutex
	waiting map[*conn]guest
	from    map[origin]int
}

// origin is what a lobby counts by.
type origin struct {
	addr     netip.Addr // as network has it
	balancer bool       // addr is a load balancer's, and there was no header yet
}

// guest is one connection in a lobby.
type guest struct {
	origin
	since time.Time
}

func newLobby(most int) *lobby {
	return &lobby{most: most, waiting: make(map[*conn]guest), from: make(map[origin]int)}
}

// enter admits c, in place of out unless that is nil; ok is false if there is no place.
func (l *lobby) enter(c *conn, at origin, now time.Time) (out *conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) >= l.most {
		crowd, oldest := l.oldest()
		crowded := l.from[crowd] > l.from[at]+1 || crowd.balancer
		if !crowded && now.Sub(l.waiting[oldest].since) < lobbyPatience {
			return nil, false
		}
		out = oldest
		l.remove(oldest)
	}
	l.waiting[c] = guest{at, now}
	l.from[at]++
	return out, true
}

// move counts c by another origin, if it still has its place.
func (l *lobby) move(c *conn, to origin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.waiting[c]
	if !ok {
		return
	}
	l.remove(c)
	g.origin = to
	l.waiting[c] = g
	l.from[to]++
}

// leave gives up c's place, if it still has it.
func (l *lobby) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

// oldest is the connection that has waited longest of those from the origin with
// most of them, rather of those of which nothing is known. mu is held.
func (l *lobby) oldest() (crowd origin, c *conn) {
	for at, n := range l.from {
		if n > l.from[crowd] || n == l.from[crowd] && at.balancer {
			crowd = at
		}
	}
	for w, g := range l.waiting {
		if g.origin == crowd && (c == nil || g.since.Before(l.waiting[c].since)) {
			c = w
		}
	}
	return crowd, c
}

func (l *lobby) remove(c *conn) {
	g, ok := l.waiting[c]
	if !ok {
		return
	}
	delete(l.waiting, c)
	if l.from[g.origin]--; l.from[g.origin] == 0 {
		delete(l.from, g.origin)
	}
}

// network is by what the lobby counts: an IPv4 address, or the /64 that one IPv6
// subscriber has at least (RFC 6177).
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func (l *lobby) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}
