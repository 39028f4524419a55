package quota

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/tenancy"
)

// ThrottleKind is what a limit did to work that was beyond it.
type ThrottleKind string

// Kinds of throttles.
const (
	Throttled ThrottleKind = "throttled" // the work was held, or its client told to wait: it was done, later
	Refused   ThrottleKind = "refused"   // the work was not done: a hard limit
)

// throttlePause is how long nothing must have waited for a throttle to have ended: a
// client that works at the edge of its limit waits every few seconds.
const throttlePause = 10 * time.Second

// maxThrottleName bounds what is kept of a user's name or a client id, in bytes. A
// client may send 32 KiB of it.
const maxThrottleName = 255

// throttleKey is which limit, of whom, slowed whom. Comparable.
type throttleKey struct {
	limit tenancy.LimitName
	kind  ThrottleKind
	of    entityKey
	// user and client are who was throttled, as they may be kept; not of other.
	user, client string
	other        bool // all whom there was no place for
}

// entityKey is a tenancy.QuotaEntity that can be compared; the zero one is the instance.
type entityKey struct {
	user, client       string
	hasUser, hasClient bool
}

func keyOfEntity(e tenancy.QuotaEntity) (k entityKey) {
	if e.User != nil {
		k.user, k.hasUser = *e.User, true
	}
	if e.ClientID != nil {
		k.client, k.hasClient = *e.ClientID, true
	}
	return k
}

func (k entityKey) entity() (e tenancy.QuotaEntity) {
	if k.hasUser {
		e.User = &k.user
	}
	if k.hasClient {
		e.ClientID = &k.client
	}
	return e
}

// Told notes that a client of the scope was told to wait, from now on, as d demands.
// What was decided is no throttle yet: of several decisions the longest counts, and
// some are never put in force. Called for the one that is; wait is how long the client
// was told to wait indeed. It takes a short mutex, and allocates for who is new in a
// minute. Nothing of a zero d.
func (s *Scope) Told(d Decision, wait time.Duration) {
	if d.by == nil || wait <= 0 {
		return
	}
	now := time.Now()
	s.account.limiter.throttles.note(s.account.id, d.by.throttleKey(s),
		throttleEvent{at: now, from: now, to: now.Add(wait), over: d.by.over()}, &s.waits)
}

// held notes that b has kept work of s waiting until now.
func (a *account) held(b *bucket, s *Scope, wait time.Duration) {
	now := time.Now()
	a.limiter.throttles.note(a.id, b.throttleKey(s), throttleEvent{at: now, from: now.Add(-wait), to: now, held: true, over: b.over()}, &s.waits)
}

// Refused notes that an instance's own limit, one that bounds what is there (or how
// many connections may come), has refused work of a user and client id; "" if not
// known. Any goroutine; it does not block.
func (l *Limiter) Refused(id tenancy.InstanceID, limit tenancy.LimitName, user, client string) {
	now := time.Now()
	key := throttleKey{limit: limit, kind: Refused, user: keptName(user), client: keptName(client)}
	l.throttles.note(id, key, throttleEvent{at: now, from: now, to: now}, nil)
}

func (b *bucket) throttleKey(s *Scope) throttleKey {
	return throttleKey{limit: b.key.dim.Limit(), kind: Throttled, of: b.whose(), user: keptName(s.user), client: keptName(s.client)}
}

// whose is the entity that a bucket's limit is of.
func (b *bucket) whose() entityKey { return b.key.of }

// over is how much is asked of this gateway, in parts of the limit, which is that of
// all gateways together; 0 if not known.
func (b *bucket) over() float64 { return float64(b.asked.Load()) / float64(max(b.rate.Load(), 1)) }

// keptName is what may be kept of a name that a client says.
func keptName(name string) string {
	if len(name) <= maxThrottleName && strings.IndexFunc(name, unprintable) < 0 {
		return name
	}
	if n := maxThrottleName; len(name) > n {
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n]
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, strings.Clone(strings.ToValidUTF8(name, "?")))
}

func unprintable(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) }
