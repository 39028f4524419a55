package proxy

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

const (
	// refusalsEvery is how often refused connections are handed over: one call of
	// the keeper at the most.
	refusalsEvery = time.Second
	// refusalsPatience is how long such a group waits at most that goes on and on; the
	// waits double from refusalsEvery. A client that tries again every second is
	// otherwise all that an instance keeps of a day.
	refusalsPatience = time.Minute
	// refusalGroups is how many groups there may be at once over all instances, and
	// refusalShare how many of one instance: what is beyond counts together. The
	// first of an instance always has room, for refusalInstances of them.
	refusalGroups    = 256
	refusalShare     = 32
	refusalInstances = 128

	// reasonOther stands for what had no room of its own.
	reasonOther = "other"
)

// RefusalKeeper keeps refused connections; *tenancy.Store provides it.
type RefusalKeeper interface {
	// AddRefusals keeps tenancy.MaxRefusals at most.
	AddRefusals(ctx context.Context, refusals []tenancy.Refusal, now time.Time) error
}

// refusals gathers connections that were refused, and hands them to the keeper
// from a goroutine of its own: nobody who is refused makes us wait for Redis,
// log without end, or hold more than some hundred groups. Any goroutine.
type refusals struct {
	keeper  RefusalKeeper // nil: counted only
	gateway string
	count   *prometheus.CounterVec // by reason
	dropped prometheus.Counter

	mu     sync.Mutex
	groups map[refusalGroup]*gathered
	share  map[tenancy.InstanceID]int // groups of each instance, without its other
}

// refusalGroup is what refusals are alike in.
type refusalGroup struct {
	instance                          tenancy.InstanceID
	address                           netip.Prefix
	endpoint, reason, user, mechanism string
	private                           tenancy.Endpoint
}

// gathered is one group.
type gathered struct {
	tenancy.Refusal               // of those that were not handed over yet
	due             time.Time     // when it may be handed over
	wait            time.Duration // until the next time after that
}

func newRefusals(keeper RefusalKeeper, gateway string, m *metrics) *refusals {
	return &refusals{
		keeper: keeper, gateway: gateway, count: m.refusals, dropped: m.refusalsDropped,
		groups: make(map[refusalGroup]*gathered), share: make(map[tenancy.InstanceID]int),
	}
}

// note takes one refused connection.
func (q *refusals) note(r tenancy.Refusal) {
	q.count.WithLabelValues(r.Reason).Inc()
	if q.keeper == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	g, ok := q.groups[groupOf(r)]
	if !ok {
		if !q.room(r.Instance) {
			r = tenancy.Refusal{Instance: r.Instance, First: r.First, Last: r.Last, Count: r.Count, Reason: reasonOther}
		}
		if g = q.group(r); g == nil {
			q.dropped.Add(float64(r.Count))
			return
		}
	}
	if g.Count == 0 {
		g.First = r.First
	}
	g.Last, g.Host = r.Last, r.Host
	g.Count += r.Count
}

func groupOf(r tenancy.Refusal) refusalGroup {
	return refusalGroup{
		instance: r.Instance, address: r.Address, endpoint: r.Endpoint, reason: r.Reason, user: r.User, mechanism: r.Mechanism,
		private: tenancy.Endpoint{Cloud: r.Cloud, ID: r.EndpointID},
	}
}

// room reports whether the instance may have one more group of its own. mu is held.
func (q *refusals) room(id tenancy.InstanceID) bool {
	own, known := q.share[id]
	if !known {
		return true
	}
	return own < refusalShare && len(q.groups) < refusalGroups
}

// group is the one that r is of, made if need be; nil if there is no room even for
// its instance. mu is held.
func (q *refusals) group(r tenancy.Refusal) *gathered {
	key := groupOf(r)
	if g, ok := q.groups[key]; ok {
		return g
	}
	if _, known := q.share[r.Instance]; !known && len(q.share) >= refusalInstances {
		return nil
	}
	if r.Reason != reasonOther {
		q.share[r.Instance]++
	}
	g := &gathered{Refusal: r, wait: refusalsEvery}
	g.Count, g.Gateway = 0, q.gateway
	q.groups[key] = g
	return g
}

// run hands over what has gathered every second until ctx ends, and what is left then.
func (q *refusals) run(ctx context.Context) {
	if q.keeper == nil {
		return
	}
	tick := time.NewTicker(refusalsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			q.flush(context.WithoutCancel(ctx), time.Now(), true)
			return
		case at := <-tick.C:
			q.flush(ctx, at, false)
		}
	}
}

// flush hands over what is due, or all. What the keeper does not take is lost: it
// would only grow while Redis is away.
func (q *refusals) flush(ctx context.Context, now time.Time, all bool) {
	batch := q.take(now, all)
	if len(batch) == 0 {
		return
	}
	if err := q.keeper.AddRefusals(ctx, batch, now); err != nil {
		for _, r := range batch {
			q.dropped.Add(float64(r.Count))
		}
	}
}

// take empties what is due, and forgets what has come to rest.
func (q *refusals) take(now time.Time, all bool) []tenancy.Refusal {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []tenancy.Refusal
	for key, g := range q.groups {
		switch {
		case now.Before(g.due) && !all:
		case g.Count == 0:
			q.forget(key)
		default:
			batch = append(batch, g.Refusal)
			g.Count = 0
			g.due = now.Add(g.wait - refusalsEvery/2) // ticks are not that exact
			g.wait = min(2*g.wait, refusalsPatience)
		}
	}
	if len(q.groups) >= refusalGroups { // let newcomers in rather than wait with the old
		for key, g := range q.groups {
			if g.Count == 0 {
				q.forget(key)
			}
		}
	}
	slices.SortFunc(batch, func(a, b tenancy.Refusal) int { return a.Last.Compare(b.Last) })
	return batch
}

// forget ends a group. mu is held.
func (q *refusals) forget(key refusalGroup) {
	delete(q.groups, key)
	if key.reason != reasonOther {
		q.share[key.instance]--
	}
	other := refusalGroup{instance: key.instance, reason: reasonOther}
	if _, still := q.groups[other]; q.share[key.instance] <= 0 && !still {
		delete(q.share, key.instance)
	}
}
