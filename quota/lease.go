package quota

import (
	"math"
	"time"
)

// lease is what a gateway remembers of a bucket from one round to the next.
type lease struct {
	use
	listed  bool      // in the Limiter's list
	at      time.Time // the newest look; zero: the bucket was cold
	granted time.Time // when the newest answer came
	seen    int64     // spent at the newest look
	failing time.Time // since when nobody answers; zero: somebody does
	filled  time.Time // while nobody answers: up to when it was filled
	part    float64   // of a token: what the newest grants were more than whole ones
}

const (
	refreshLow    = time.Duration(lowEvery * float64(time.Second))
	refreshActive = time.Duration(activeEvery * float64(time.Second))
	// lapseAfter is how long what was lent may lie unused; for so long a gateway
	// that cannot reach Redis lives on it.
	lapseAfter = time.Second
)

// due reports whether it is time to ask for a lease.
func (b *bucket) due(now time.Time) bool {
	l := &b.lease
	if l.at.IsZero() {
		return true
	}
	since := now.Sub(l.at)
	low := b.left() <= b.low.Load() || b.waiting.Load() > 0 || !l.failing.IsZero()
	return low && since >= refreshLow-slack || since >= refreshActive
}

// slack is by how much a round may come early: timers are not exact, and a refresh
// that is put off to the next round comes at half the rate.
const slack = refreshLow / 10

// idle reports whether a bucket may become cold: nothing was spent for as long as a
// lease lasts, nobody waits, and nothing is owed.
func (b *bucket) idle(now time.Time) bool {
	l := &b.lease
	return !l.at.IsZero() && now.Sub(l.at) >= lapseAfter && b.spent.Load() == l.seen && b.waiting.Load() == 0 && b.left() >= 0
}

// rest makes an idle bucket cold; false if it was used at this very moment.
func (b *bucket) rest() bool {
	b.hot.Store(false)
	if b.spent.Load() != b.lease.seen || b.waiting.Load() > 0 {
		b.hot.Store(true)
		return false
	}
	b.cool()
	b.asked.Store(0)
	b.pace.Store(b.rate.Load())
	b.lease = lease{}
	return true
}

// look takes note of what has happened since the last look, and says what to ask for.
func (b *bucket) look(now time.Time, away bool) Ask {
	l := &b.lease
	elapsed := lowEvery
	if !l.at.IsZero() {
		elapsed = now.Sub(l.at).Seconds()
	}
	b.settled()
	spent, held := b.spent.Load(), b.held.Load()
	admitted := float64(spent-l.seen) / scale
	if l.at.IsZero() {
		admitted = float64(max(1-b.left(), 0)) / scale // since it was cold
	}
	l.observe(elapsed, admitted+float64(held), admitted, away)
	l.at, l.seen = now, spent
	b.asked.Store(tokens(l.demand))
	left := float64(b.left()) / scale
	want := l.want(left, max(b.need(), 2.0/scale))    // more than nothing: what is lent is rounded down
	if want < 0 && now.Sub(l.granted) >= lapseAfter { // more than is used, and for as long as it may be kept
		b.credit.Add(int64(want * scale))
	}
	rate := float64(b.rate.Load()) / scale
	back := 0.0
	if away { // should there be an answer: what is older than a lease is forgotten, what is newer has been used
		back = -float64(b.pace.Load()) / scale * leaseSeconds
	}
	return Ask{
		Bucket: b.name, Back: back, Own: b.key.of == entityKey{} && !b.key.shared,
		Rate: rate, Burst: float64(b.burst.Load()) / scale,
		Demand: l.demand, Admitted: l.admitted, Want: max(want, 0),
	}
}

// lent puts a lease to use.
func (b *bucket) lent(now time.Time, a Ask, got Lent) {
	l := &b.lease
	l.granted, l.failing = now, time.Time{}
	b.fleet.Store(max(int64(got.Gateways), 1))
	exact := got.Grant*scale + l.part
	b.credit.Add(int64(exact))
	l.part = exact - math.Trunc(exact) // of small limits it is all that there is
	b.low.Store(tokens(l.demand*lowSeconds) + 1)
	room, pace := 0.0, a.Rate
	if got.Demand <= a.Rate {
		room = got.Left / float64(max(got.Gateways, 1))
	} else {
		pace = max(l.admitted, a.Rate*(0.9*a.Demand/got.Demand+0.1/float64(max(got.Gateways, 1))))
	}
	b.room.Store(tokens(room))
	b.pace.Store(tokens(min(pace, a.Rate)))
	b.wake()
}

// fail notes that nobody answered; since is since when that is so for all.
func (b *bucket) fail(now, since time.Time) {
	if b.lease.failing.IsZero() {
		b.lease.failing, b.lease.filled = since, since.Add(lapseAfter)
		if b.lease.filled.Before(now) {
			b.lease.filled = now
		}
	}
	b.room.Store(0)
}

// fill is what a gateway that is on its own does instead of leasing: it admits as
// much as it did before, and after a while an equal part of the limit. gateways are
// those of the fleet; 0 if this one has never met the others.
func (b *bucket) fill(now time.Time, gateways int64) {
	l := &b.lease
	away := now.Sub(l.failing) - lapseAfter
	if l.failing.IsZero() || away <= 0 {
		return
	}
	if gateways == 0 {
		gateways = 2
	}
	rate := float64(b.rate.Load()) / scale
	r := l.frozen(rate, away.Seconds(), int(gateways))
	b.pace.Store(tokens(max(r, 1.0/scale)))
	full := tokens(max(r*burstSeconds, 1, b.need()))
	add := min(tokens(r*now.Sub(l.filled).Seconds()), max(full-b.left(), 0))
	if add > 0 {
		b.credit.Add(add)
		l.filled = now
	} else if b.left() >= full {
		l.filled = now
	}
	b.wake()
}
