package quota

import (
	"maps"
	"slices"
	"sync"

	"weir/tenancy"
)

// account is all that this process knows of one instance's use. It goes when nobody
// uses the instance and nothing is owed.
type account struct {
	limiter *Limiter
	id      tenancy.InstanceID

	mu      sync.Mutex
	gone    bool // forgotten: there may be another of the instance
	known   bool // limits and rules were read
	limits  map[tenancy.LimitName]tenancy.EffectiveLimit
	quotas  []tenancy.Quota // that rules are made of
	rules   subQuotas
	scopes  map[*Scope]struct{}
	buckets map[bucketKey]*bucket // those that are held, or hot
	subs    int                   // of them those of sub-quotas, but for shared ones

	connections
}

func newAccount(l *Limiter, id tenancy.InstanceID) *account {
	return &account{limiter: l, id: id, scopes: map[*Scope]struct{}{}, buckets: map[bucketKey]*bucket{}}
}

// read reads the limits anew, and reports whether they are others.
func (a *account) read() bool {
	v, plan, ok := a.limiter.cfg.Instance(a.id)
	if !ok {
		return false // as before: the directory forgets an instance only with its connections
	}
	limits := tenancy.Effective(plan, v.Limits, v.Instance.Restraint)
	if a.known && maps.Equal(limits, a.limits) && slices.EqualFunc(v.Quotas, a.quotas, tenancy.Quota.Equal) {
		return false
	}
	a.known, a.limits, a.quotas, a.rules = true, limits, v.Quotas, compileSubQuotas(v.Quotas)
	return true
}

// resolve puts the present limits in force, for scopes that are held and for work
// that waits. An instance changes for many reasons, which its tenant may have too;
// where limits are what they were this does nothing.
func (a *account) resolve() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.read() {
		return
	}
	for _, b := range a.buckets {
		b.refs = 0
	}
	for s := range a.scopes {
		s.now.Store(a.resolved(s))
	}
	for _, b := range a.buckets {
		if b.refs == 0 {
			b.wakeAll()
			a.drop(b)
		}
	}
	a.limitChangedLocked()
}

// join begins a scope.
func (a *account) join(s *Scope) {
	s.account = a
	a.scopes[s] = struct{}{}
	s.now.Store(a.resolved(s))
}

func (a *account) leave(s *Scope) {
	a.mu.Lock()
	if _, held := a.scopes[s]; held {
		delete(a.scopes, s)
		for d := range dimensions {
			for _, b := range s.now.Load().buckets[d] {
				if b != nil {
					b.refs--
					a.drop(b)
				}
			}
		}
	}
	unused := a.unused()
	a.mu.Unlock()
	if unused {
		a.limiter.forget(a)
	}
}

// resolved are the buckets that a scope spends from.
func (a *account) resolved(s *Scope) *resolved {
	r := &resolved{}
	for d := range dimensions {
		if l := a.limits[d.Limit()]; l.Source != "" && l.Source != tenancy.SourceNone {
			rate := d.perSecond(l.Value)
			r.buckets[d][0] = a.hold(bucketKey{dim: d}, rate, max(rate*burstSeconds, d.perSecond(l.Burst)))
		}
		if rule, of, ok := a.rules.of(d, s.user, s.client); ok {
			rate := d.perSecond(rule.value)
			r.buckets[d][1] = a.hold(a.subKey(d, rule, of), rate, rate*burstSeconds)
		}
	}
	return r
}

// hold returns a bucket, with the present limit.
func (a *account) hold(key bucketKey, rate, burst float64) *bucket {
	b := a.buckets[key]
	if b == nil {
		b = newBucket(a, key, rate, burst)
		a.buckets[key] = b
		if key.isSub() {
			a.subs++
		}
	} else {
		b.limit(rate, burst)
	}
	b.refs++
	return b
}

// drop forgets a bucket that nobody holds. One that is hot is kept: it may be in debt.
func (a *account) drop(b *bucket) {
	if b.refs > 0 || b.hot.Load() || a.buckets[b.key] != b {
		return
	}
	delete(a.buckets, b.key)
	if b.key.isSub() {
		a.subs--
	}
}

// cooled is told that a bucket has nothing lent and owes nothing.
func (a *account) cooled(b *bucket) {
	a.mu.Lock()
	a.drop(b)
	unused := a.unused()
	a.mu.Unlock()
	if unused {
		a.limiter.forget(a)
	}
}

// unused reports whether nothing in the account differs from a new one.
func (a *account) unused() bool {
	return len(a.scopes) == 0 && len(a.buckets) == 0 && a.connections.unused()
}
