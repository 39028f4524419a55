package quota

import (
	"sync"

	"weir/tenancy"
)

// account is all that this process knows of one instance's use. It goes when nobody
// uses the instance and nothing is owed.
type account struct {
	limiter *Limiter
	id      tenancy.InstanceID

	mu      sync.Mutex
	limits  map[tenancy.LimitName]tenancy.EffectiveLimit
	rules   subQuotas
	scopes  map[*Scope]struct{}
	buckets map[bucketKey]*bucket // those that are held, or hot
	subs    int                   // of them those of sub-quotas, but for shared ones

	connections
}

func newAccount(l *Limiter, id tenancy.InstanceID) *account {
	a := &account{limiter: l, id: id, scopes: map[*Scope]struct{}{}, buckets: map[bucketKey]*bucket{}}
	a.read()
	return a
}

// read reads the limits anew.
func (a *account) read() {
	v, plan, ok := a.limiter.cfg.Instance(a.id)
	if !ok {
		return // as before: the directory forgets an instance only with its connections
	}
	a.limits, a.rules = tenancy.Effective(plan, v.Limits), compileSubQuotas(v.Quotas)
}

// resolve puts the present limits in force, for scopes that are held and for work
// that waits.
func (a *account) resolve() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read()
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
