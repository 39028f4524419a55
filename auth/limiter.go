package auth

import (
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"weir/tenancy"
)

// maxTracked bounds each of the limiter's tables, in entries of some 250
// bytes. Whoever fills one from many networks makes it forget the oldest.
const maxTracked = 100_000

// allowance is a token bucket: a failure costs one token.
type allowance struct {
	burst int           // failures at once
	every time.Duration // until a token comes back
}

// Failures allowed. The figures are ours: sqlproxy, from which the idea is,
// throttles by a back-off of its own. 12 fit a misconfigured client's first
// tries over three brokers; at one in 3 s a guesser has 10 million guesses a
// year, of the 2^47 that even eight random letters and digits make.
func strangerAllowance() allowance { return allowance{burst: 12, every: 3 * time.Second} }

// Someone who has logged in from there before: an old password in a few pods
// of a fleet must not lock out the others, while the password is rolled.
func friendAllowance() allowance { return allowance{burst: 120, every: 500 * time.Millisecond} }

// Handshakes of one address that may be under way, or have come to nothing: each
// costs half a millisecond of processor time, a hundred times what looking at its
// first message does. A login gives its handshake back, so that any number of good
// clients may start behind one address as long as no more than this many are at it
// at once: twice as many as a gateway lets in before they log in (proxy's
// MaxHandshakes). Who never logs in has 50 a second, a fortieth of a processor.
func handshakeAllowance() allowance { return allowance{burst: 2000, every: 20 * time.Millisecond} }

// strangerSlots is over how many buckets the instances that strangers of one address
// name are spread.
const strangerSlots = 256

// attempt is by what attempts are counted.
type attempt struct {
	addr     netip.Addr
	instance tenancy.InstanceID // as the client names it, there or not
	user     string             // "" if there is no such user
}

// stranger is by what a stranger's attempts are counted. That it has no
// instance but a slot is so that one which there is not has a bucket as if
// there were: from when a bucket is empty nobody can tell which instances there
// are, and names that are made up take no room without bound.
type stranger struct {
	addr netip.Addr
	slot uint32
}

func (a attempt) stranger() stranger {
	h := fnv.New32a()
	_, _ = h.Write([]byte(a.instance))
	return stranger{addr: a.addr, slot: h.Sum32() % strangerSlots}
}

// bucket is the state of an allowance: the moment it is full again (GCRA).
type bucket struct{ full time.Time }

// limiter bounds failed attempts. An attempt is free; its failure costs a
// token, so that any number of clients may start at once behind one address.
//
// Strangers share a bucket per (address, slot of the instance). A user who has logged in
// from an address is a friend there and has a bucket of its own, which failures
// of others behind the same address do not touch. The tables are separate, so
// that strangers cannot push friends out.
//
// Callers ask allow at the start of an attempt and again right before they check
// a proof, so that of many attempts begun together no more are checked than
// tokens and processors. Any goroutine.
type limiter struct {
	stranger, friend, handshake allowance // immutable

	mu         sync.Mutex
	strangers  *lru[stranger, bucket]
	friends    *lru[attempt, bucket]
	handshakes *lru[netip.Addr, bucket]
	known      *lru[attempt, struct{}] // without user: from where somebody has logged in; without instance: to any
}

func newLimiter(limit int) *limiter {
	return &limiter{
		stranger:   strangerAllowance(),
		friend:     friendAllowance(),
		handshake:  handshakeAllowance(),
		strangers:  newLRU[stranger, bucket](limit),
		friends:    newLRU[attempt, bucket](limit),
		handshakes: newLRU[netip.Addr, bucket](limit),
		known:      newLRU[attempt, struct{}](limit),
	}
}

// newAttempt counts IPv6 by /64, which is what one subscriber has at least
// (RFC 6177), and an IPv4 address the same however the socket shows it.
func newAttempt(addr netip.Addr, id tenancy.InstanceID, user string) attempt {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}
	return attempt{addr: addr, instance: id, user: user}
}

// allow reports whether there is a token left; it takes none.
func (l *limiter) allow(now time.Time, a attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.friends.peek(a); ok {
		return l.friend.left(now, b)
	}
	b, _ := l.strangers.peek(a.stranger())
	return l.stranger.left(now, b)
}

// failed takes a token.
func (l *limiter) failed(now time.Time, a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.friends.peek(a); ok {
		l.friends.put(a, l.friend.spend(now, b))
		return
	}
	b, _ := l.strangers.peek(a.stranger())
	l.strangers.put(a.stranger(), l.stranger.spend(now, b))
}

// succeeded makes a friend. It gives no token back: a guesser with an account
// of its own must not buy guesses at others' by logging in between.
func (l *limiter) succeeded(a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, _ := l.friends.peek(a)
	l.friends.put(a, b)
}

// enter says whether a client may begin a handshake at the instance that its host
// name says, "" for none. Where somebody has logged in from there before it always
// may. Otherwise it is charged, paid, unless there is nothing left for logins, so
// that it would be refused at the end anyway.
func (l *limiter) enter(now time.Time, addr netip.Addr, id tenancy.InstanceID) (paid bool, why Reason) {
	a := newAttempt(addr, id, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.known.peek(a); ok {
		return false, ""
	}
	if b, _ := l.strangers.peek(a.stranger()); id != "" && !l.stranger.left(now, b) {
		return false, ReasonRateLimited
	}
	b, _ := l.handshakes.peek(a.addr)
	if !l.handshake.left(now, b) {
		return false, ReasonHandshakes
	}
	l.handshakes.put(a.addr, l.handshake.spend(now, b))
	return true, ""
}

// entered is for a client that has proved who it is; paid is what enter said.
func (l *limiter) entered(addr netip.Addr, id tenancy.InstanceID, paid bool) {
	a := newAttempt(addr, id, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known.put(a, struct{}{})
	l.known.put(attempt{addr: a.addr}, struct{}{})
	if b, ok := l.handshakes.peek(a.addr); ok && paid {
		l.handshakes.put(a.addr, bucket{full: b.full.Add(-l.handshake.every)})
	}
}

// left reports whether one more failure fits.
func (al allowance) left(now time.Time, b bucket) bool {
	return b.full.Sub(now) <= al.window()-al.every
}

// spend takes a token.
func (al allowance) spend(now time.Time, b bucket) bucket {
	if b.full.Before(now) {
		b.full = now
	}
	return bucket{full: b.full.Add(al.every)}
}

// window is how long an empty bucket takes to fill.
func (al allowance) window() time.Duration { return time.Duration(al.burst) * al.every }
