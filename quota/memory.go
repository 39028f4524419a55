package quota

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"weir/tenancy"
)

// Memory is a Lender in this process's memory: for a process that is alone, and for
// tests. Nothing in it ends by itself but what is said by time.
type Memory struct {
	now func() time.Time

	mu        sync.Mutex
	swept     int64
	gateways  map[string]int64 // alive at: unix microseconds
	instances map[tenancy.InstanceID]*lendable
}

// lendable is what is lent of one instance.
type lendable struct {
	buckets map[string]*central
	places  places
	peaks   peaks
}

// NewMemory returns a Lender whose clock is now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, gateways: map[string]int64{}, instances: map[tenancy.InstanceID]*lendable{}}
}

// Settle is Lender's; it never fails.
func (m *Memory) Settle(_ context.Context, r *Round) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.now()
	now := at.UnixMicro()
	if r.Beat {
		m.beat(now, r)
	}
	m.sweep(now)
	for _, ask := range r.Asks {
		in := m.instance(ask.Instance)
		ask.Lent = make([]Lent, len(ask.Buckets))
		for i, a := range ask.Buckets {
			b := in.buckets[a.Bucket]
			if b == nil {
				b = &central{}
				in.buckets[a.Bucket] = b
			}
			ask.Lent[i] = b.lend(now, r.Gateway, r.Epoch, r.Seq, a)
			if a.Own {
				in.peaks.note(at, a.Bucket, ask.Lent[i].Admitted)
			}
			b.until = now + int64((a.Burst-b.tokens)/a.Rate*1e6) + bucketTTL.Microseconds()
		}
		if ask.Places != nil {
			ask.Placed = in.places.ask(now, r.Gateway, r.Epoch, r.Seq, *ask.Places)
		}
		ask.Settled = true
	}
	return nil
}

func (m *Memory) beat(now int64, r *Round) {
	for name, at := range m.gateways {
		if seconds(at, now) > seenSeconds {
			delete(m.gateways, name)
		}
	}
	_, known := m.gateways[r.Gateway]
	r.Forgot = !known
	m.gateways[r.Gateway] = now
	if r.Leaves {
		delete(m.gateways, r.Gateway)
	}
	r.Alive = slices.Sorted(maps.Keys(m.gateways))
}

// sweep forgets, every now and then, buckets that are full by now.
func (m *Memory) sweep(now int64) {
	if seconds(m.swept, now) < 60 {
		return
	}
	m.swept = now
	for id, in := range m.instances {
		maps.DeleteFunc(in.buckets, func(_ string, b *central) bool { return now > b.until })
		if len(in.buckets) == 0 && len(in.places) == 0 && in.peaks.old(time.UnixMicro(now)) {
			delete(m.instances, id)
		}
	}
}

func (m *Memory) instance(id tenancy.InstanceID) *lendable {
	in := m.instances[id]
	if in == nil {
		in = &lendable{buckets: map[string]*central{}, places: places{}, peaks: peaks{}}
		m.instances[id] = in
	}
	return in
}

// Use is Lender's.
func (m *Memory) Use(_ context.Context, id tenancy.InstanceID) (map[tenancy.LimitName]Use, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, now := m.instances[id], m.now()
	if in == nil {
		return useOf(now, nil, nil, nil), nil
	}
	return useOf(now, in.buckets, in.places, in.peaks), nil
}

// useOf puts together what all gateways use of each rate, and of connections.
func useOf(now time.Time, buckets map[string]*central, taken places, most peaks) map[tenancy.LimitName]Use {
	all := make(map[tenancy.LimitName]Use, dimensions+1)
	for d := range dimensions {
		name := d.Limit()
		u := Use{Peak24h: most.most(now, string(name))}
		if b := buckets[string(name)]; b != nil {
			u.Used = b.fleet(now.UnixMicro()).Admitted
		}
		u.Used, u.Peak24h = u.Used/d.perSecond(1), max(u.Peak24h, u.Used)/d.perSecond(1)
		all[name] = u
	}
	u := Use{}
	for _, p := range taken {
		u.Used += float64(p.granted)
	}
	all[tenancy.LimitConnections] = u
	return all
}
