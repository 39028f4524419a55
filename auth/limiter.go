package auth

import (
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"weir/tenancy"
)

// maxTracked bounds each of the limiter's two tables, in entries of some 250
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
	stranger, friend allowance // immutable

	mu        sync.Mutex
	strangers *lru[stranger, bucket]
	friends   *lru[attempt, bucket]
}

func newLimiter(limit int) *limiter {
	return &limiter{
		stranger:  strangerAllowance(),
		friend:    friendAllowance(),
		strangers: newLRU[stranger, bucket](limit),
		friends:   newLRU[attempt, bucket](limit),
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
