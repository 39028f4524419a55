package quota

import (
	"context"
	"sync"
	"time"

	"weir/tenancy"
)

// account is all that this process knows of one instance's use.
type account struct {
	limiter *Limiter
	id      tenancy.InstanceID

	mu          sync.Mutex
	own         [dimensions]*bucket // the instance's; nil: not bounded
	scopes      map[*Scope]struct{}
	connections int
}

func newAccount(l *Limiter, id tenancy.InstanceID) *account {
	a := &account{limiter: l, id: id, scopes: map[*Scope]struct{}{}}
	a.resolve()
	return a
}

func (a *account) scope(user, client string) *Scope {
	s := &Scope{account: a, user: user, client: client}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scopes[s] = struct{}{}
	s.now.Store(a.resolvedLocked())
	return s
}

func (a *account) leave(s *Scope) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.scopes, s)
}

// resolve reads the limits anew.
func (a *account) resolve() {
	v, plan, ok := a.limiter.cfg.Instance(a.id)
	if !ok {
		return
	}
	limits := tenancy.Effective(plan, v.Limits)
	a.mu.Lock()
	defer a.mu.Unlock()
	for d := range dimensions {
		l := limits[d.Limit()]
		if l.Source == tenancy.SourceNone {
			a.own[d] = nil
			continue
		}
		b := a.own[d]
		if b == nil {
			b = &bucket{dim: d}
			b.tokens.Store(scale) // the first piece of work goes ahead
			a.own[d] = b
		}
		rate := d.perSecond(l.Value) * scale
		b.rate.Store(int64(rate))
		b.burst.Store(int64(max(rate/4, d.perSecond(l.Burst)*scale)))
	}
	now := a.resolvedLocked()
	for s := range a.scopes {
		s.now.Store(now)
	}
}

func (a *account) resolvedLocked() *resolved {
	r := &resolved{}
	for d := range dimensions {
		r.buckets[d][0] = a.own[d]
	}
	return r
}

func (a *account) refill(after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.own {
		if b != nil {
			b.refill(after)
		}
	}
}

func (a *account) connect(context.Context) (release func(), err error) {
	v, plan, ok := a.limiter.cfg.Instance(a.id)
	a.mu.Lock()
	defer a.mu.Unlock()
	if most := tenancy.Effective(plan, v.Limits)[tenancy.LimitConnections]; ok && most.Source != tenancy.SourceNone && a.connections >= int(most.Value) {
		return nil, ErrConnections
	}
	a.connections++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.connections--
	}, nil
}
