package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/tenancy"
)

// Standing is where a tenant stands under a budget, and what that does to its instances.
type Standing struct {
	Budget  Budget
	Balance *Balance
	// Wanted is what the budget does about the balance.
	Wanted tenancy.Restraint
	// Counted: the top-up that would be added was there before (Keeper.Would).
	Counted bool
	Holding
}

// Holding is how a tenant's instances are restrained.
type Holding struct {
	// Instances are how many there are that are not being deleted.
	Instances int
	// Held are how many of them have each restraint; no more than RestraintNone
	// without a budget that is spent.
	Held map[tenancy.Restraint]int
	// Plans of theirs, each once.
	Plans []string
}

// InForce is the strictest restraint that an instance has.
func (h *Holding) InForce() tenancy.Restraint {
	for _, r := range []tenancy.Restraint{tenancy.RestraintStop, tenancy.RestraintThrottle} {
		if h.Held[r] > 0 {
			return r
		}
	}
	return tenancy.RestraintNone
}

// Restrained are how many instances have any restraint.
func (h *Holding) Restrained() int { return h.Instances - h.Held[tenancy.RestraintNone] }

// Settled reports whether all instances are restrained as wanted.
func (s *Standing) Settled() bool { return s.Held[s.Wanted] == s.Instances }

// Tightens is how many instances are to be restrained that are not, or not as much.
func (s *Standing) Tightens() int {
	switch s.Wanted {
	case tenancy.RestraintStop:
		return s.Instances - s.Held[tenancy.RestraintStop]
	case tenancy.RestraintThrottle:
		return s.Held[tenancy.RestraintNone]
	case tenancy.RestraintNone:
	}
	return 0
}

// Holdings are those of tenants; each has one. One look at all instances.
func (k *Keeper) Holdings(tenants ...tenancy.TenantID) map[tenancy.TenantID]*Holding {
	all := make(map[tenancy.TenantID]*Holding, len(tenants))
	for _, t := range tenants {
		all[t] = &Holding{Held: map[tenancy.Restraint]int{}}
	}
	k.cfg.Instances.Each(func(in tenancy.Instance) bool {
		h := all[in.Tenant]
		if h == nil {
			return true
		}
		h.Instances++
		h.Held[in.Restraint]++
		if !slices.Contains(h.Plans, in.Plan) {
			h.Plans = append(h.Plans, in.Plan)
		}
		return true
	})
	return all
}

// Standing is where a tenant stands now; ErrNotFound if it has no budget.
func (k *Keeper) Standing(ctx context.Context, t tenancy.TenantID) (*Standing, error) {
	return k.StandingOf(ctx, t, k.Holdings(t)[t])
}

// StandingOf is Standing where the holding is known.
func (k *Keeper) StandingOf(ctx context.Context, t tenancy.TenantID, h *Holding) (*Standing, error) {
	b, is, err := k.Balance(ctx, t)
	if err != nil {
		return nil, err
	}
	return &Standing{Budget: b, Balance: is, Wanted: b.Restraint(is), Holding: *h}, nil
}

// Would is where a tenant would stand with another budget and one top-up more (nil: with
// none), which must be right. ErrTaken and ErrFull as SetBudget. It changes nothing.
func (k *Keeper) Would(ctx context.Context, t tenancy.TenantID, b Budget, up *TopUp) (*Standing, error) {
	_, ups, err := k.store.Budget(ctx, t)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	counted := false
	if up != nil {
		in, err := up.in(b.Currency)
		if err != nil {
			return nil, Mistake{"balance.amount", err.Error()}
		}
		if ups, counted, err = withTopUp(ups, in); err != nil {
			return nil, fmt.Errorf("tenant %s, %.80q: %w", t, up.ID, err)
		}
	}
	is, err := k.balance(ctx, t, &b, ups)
	if err != nil {
		return nil, err
	}
	return &Standing{Budget: b, Balance: is, Wanted: b.Restraint(is), Counted: counted, Holding: *k.Holdings(t)[t]}, nil
}

// withTopUp is what setbudget.lua does to top-ups; counted is whether it was among them.
func withTopUp(ups []TopUp, up TopUp) (all []TopUp, counted bool, err error) {
	i := slices.IndexFunc(ups, func(o TopUp) bool { return o.ID == up.ID })
	switch {
	case i < 0 && len(ups) >= maxTopUps:
		return nil, false, ErrFull
	case i < 0:
		return append(slices.Clone(ups), up), false, nil
	case ups[i].Amount != up.Amount || ups[i].Currency != up.Currency:
		return nil, false, ErrTaken
	}
	return ups, true, nil
}
