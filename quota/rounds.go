package quota

import (
	"context"
	"slices"
	"time"

	"weir/tenancy"
)

// rounds is what a Limiter does in the background: every roundEvery, as long as some
// bucket is hot, it asks for leases for all of them at once. Its methods are called by
// one goroutine.
type rounds struct {
	limiter *Limiter
	epoch   int64
	seq     int64

	hot      []*bucket
	beaten   time.Time // the newest beat; zero: never
	alive    []string  // gateways, by the newest answer; nil: not known
	answered time.Time // when that came
	resumed  time.Time // the newest time that somebody answered again
	since    time.Time // since when nobody answers; zero: somebody does
	troubled time.Time // since when not all is answered; zero: all is
	warned   bool      // of that

	placing []*account // whose connections are not settled
	checked time.Time  // all connections were reported
}

// gatherFor is how long gateways have to be heard of again, after Redis was away.
const gatherFor = time.Duration(2 * seenSeconds * float64(time.Second))

// plan makes the next round; nil if there is nothing to ask for.
func (r *rounds) plan(now time.Time) *Round {
	l := r.limiter
	r.hot = append(r.hot, l.hurried()...)
	round := &Round{Gateway: l.cfg.Gateway, Epoch: r.epoch, Beat: r.beatDue(now)}
	asks, late := map[tenancy.InstanceID]*InstanceAsk{}, false
	ask := func(a *account) *InstanceAsk {
		in := asks[a.id]
		if in == nil {
			in = &InstanceAsk{Instance: a.id, account: a}
			asks[a.id] = in
			round.Asks = append(round.Asks, in)
		}
		return in
	}
	r.hot = slices.DeleteFunc(r.hot, func(b *bucket) bool {
		if b.idle(now) && b.rest() {
			l.cooled(b)
			return true
		}
		b.fill(now, l.gateways.Load())
		if b.due(now) {
			in := ask(b.account)
			if b.key.isSub() && in.subs == maxSubAsks {
				late = true
				return false
			} else if b.key.isSub() {
				in.subs++
			}
			if l.frozen.Load() {
				b.fail(now, r.since)
			}
			in.Buckets = append(in.Buckets, b.look(now, !b.lease.failing.IsZero()))
			in.buckets = append(in.buckets, b)
		}
		return false
	})
	if late { // in the next round it is their turn
		slices.SortStableFunc(r.hot, func(a, b *bucket) int { return a.lease.at.Compare(b.lease.at) })
	}
	r.planPlaces(now, ask)
	if len(round.Asks) == 0 && !round.Beat {
		return nil
	}
	r.seq++
	round.Seq = r.seq
	return round
}

// beatDue reports whether it is time to say that this gateway lives.
func (r *rounds) beatDue(now time.Time) bool {
	if now.Sub(r.beaten) < beatEvery-slack || !r.limiter.limits() {
		return false
	}
	r.beaten = now
	return true
}

// apply puts the answers of a round to use.
func (r *rounds) apply(now time.Time, round *Round, err error) {
	l := r.limiter
	r.state(now, round, err)
	if round.Beat && round.Alive != nil {
		r.alive, r.answered = round.Alive, now
		if n := int64(len(round.Alive)); now.Sub(r.resumed) > gatherFor || n > l.gateways.Load() {
			l.gateways.Store(max(n, 1))
		}
		if round.Forgot {
			r.checked = time.Time{} // Redis has lost what it knew, or this is the first beat
		}
	}
	since := r.since
	if since.IsZero() {
		since = now // others have an answer
	}
	for _, in := range round.Asks {
		if !in.Settled {
			for _, b := range in.buckets {
				b.fail(now, since)
			}
			if in.Places != nil {
				in.account.placesFailed()
			}
			continue
		}
		for i, b := range in.buckets {
			b.lent(now, in.Buckets[i], in.Lent[i])
			l.metrics.lent(in.Buckets[i], in.Lent[i])
		}
		if in.Places != nil {
			in.account.placed(*in.Places, in.Placed)
		}
	}
}

// settle asks, and applies the answers.
func (r *rounds) settle(ctx context.Context, round *Round) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	return r.limiter.lender.Settle(ctx, round)
}

// leave hands back what was lent: the gateway stops.
func (r *rounds) leave(ctx context.Context, now time.Time) {
	round := &Round{Gateway: r.limiter.cfg.Gateway, Epoch: r.epoch, Beat: !r.beaten.IsZero(), Leaves: true}
	asks := map[*account]*InstanceAsk{}
	for _, b := range append(r.hot, r.limiter.hurried()...) {
		in := asks[b.account]
		if in == nil {
			in = &InstanceAsk{Instance: b.account.id, account: b.account}
			asks[b.account] = in
			round.Asks = append(round.Asks, in)
		}
		a := b.look(now, true)
		a.Want, a.Demand, a.Admitted, a.Leave = 0, 0, 0, true
		if b.lease.failing.IsZero() { // else it is what the gateway allowed itself
			a.Back = float64(max(b.left(), 0)) / scale
		}
		in.Buckets = append(in.Buckets, a)
	}
	r.leavePlaces(round, asks)
	if len(round.Asks) == 0 && !round.Beat {
		return
	}
	r.seq++
	round.Seq = r.seq
	_ = r.settle(ctx, round) // it lapses by itself
}
