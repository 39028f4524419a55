package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

const (
	// keepEvery is how often budgets are looked at.
	keepEvery = time.Minute
	// finalizeEvery is how often months are made final that are due.
	finalizeEvery = 10 * time.Minute
)

// Instances are what a budget restrains. Any goroutine.
type Instances interface {
	// Each calls fn with every instance that is not deleted, until it returns false.
	Each(fn func(tenancy.Instance) bool)
	// Restrain puts a restraint in force, or lifts it; it returns the change's revision.
	Restrain(ctx context.Context, id tenancy.InstanceID, r tenancy.Restraint) (tenancy.Revision, error)
}

// KeeperConfig is a Keeper's.
type KeeperConfig struct {
	Biller    *Biller
	Instances Instances
	// Lease says whether this gateway is the one that does a thing for so long: budgets,
	// or statements. Two at once do no harm.
	Lease func(ctx context.Context, what string, ttl time.Duration) (bool, error)
	Log   *slog.Logger
	// Registry of metrics; nowhere if nil.
	Registry prometheus.Registerer
}

// Keeper holds tenants to their budgets, and makes months final. Any goroutine.
type Keeper struct {
	cfg      KeeperConfig
	store    *Store
	now      func() time.Time
	spending spending
	metrics  *keeperMetrics
}

// NewKeeper returns one; Run keeps budgets.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		cfg: cfg, store: cfg.Biller.cfg.Store, now: cfg.Biller.cfg.Now, spending: spending{biller: cfg.Biller}, metrics: newKeeperMetrics(cfg.Registry),
	}
}

// Run holds tenants to their budgets until ctx ends, whenever this gateway is the one
// that does.
func (k *Keeper) Run(ctx context.Context) error {
	return k.every(ctx, "budgets", keepEvery, k.Keep, k.metrics.budgets.Reset)
}

// RunStatements makes months final that are due, until ctx ends.
func (k *Keeper) RunStatements(ctx context.Context) error {
	return k.every(ctx, "statements", finalizeEvery, k.FinalizeDue, func() {})
}

// every does a thing now and then, if this gateway has the lease; it has it for three
// turns, so that one that stopped is missed for no longer. others: another does it, or may.
func (k *Keeper) every(ctx context.Context, what string, d time.Duration, do func(context.Context) error, others func()) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		held, err := k.cfg.Lease(ctx, what, 3*d)
		if held && err == nil {
			err = do(ctx)
		} else {
			others()
		}
		if err != nil && ctx.Err() == nil {
			k.cfg.Log.Warn("budgets or statements could not be kept, trying again", "what", what, "in", d, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Keep looks at every budget once, and restrains instances as they say. Of a tenant
// that cannot be judged now nothing is changed.
func (k *Keeper) Keep(ctx context.Context) error {
	tenants, err := k.store.Budgeted(ctx)
	if err != nil {
		return err
	}
	wanted, unknown := map[tenancy.TenantID]tenancy.Restraint{}, map[tenancy.TenantID]bool{}
	var errs []error
	for _, t := range tenants {
		r, err := k.judge(ctx, t)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			errs = append(errs, err)
			unknown[t] = true
		default:
			wanted[t] = r
		}
	}
	k.metrics.looked(wanted, len(unknown))
	_, err = k.restrain(ctx, wanted, func(t tenancy.TenantID) bool { return !unknown[t] })
	return errors.Join(append(errs, err)...)
}

// Tenant does for one tenant, at once, what Keep does for all; the revision is of the
// last instance that it changed, 0 if none. For who has changed its budget.
func (k *Keeper) Tenant(ctx context.Context, t tenancy.TenantID) (tenancy.Revision, error) {
	r, err := k.judge(ctx, t)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	return k.restrain(ctx, map[tenancy.TenantID]tenancy.Restraint{t: r}, func(of tenancy.TenantID) bool { return of == t })
}

// judge finds what a tenant's budget says, and tells what it crossed.
func (k *Keeper) judge(ctx context.Context, t tenancy.TenantID) (tenancy.Restraint, error) {
	b, is, err := k.Balance(ctx, t)
	if err != nil {
		return tenancy.RestraintNone, err
	}
	r := b.Restraint(is)
	for _, threshold := range is.Crossed() {
		e := Event{
			At: k.now().UTC().Truncate(time.Second), Tenant: t, Month: is.Month, Threshold: threshold, Mode: b.Mode, Currency: is.Currency,
			Available: Money(is.Available), Spent: Money(is.Spent), Restraint: r,
		}
		if is.Forecast != nil {
			e.Forecast = Money(*is.Forecast)
		}
		did, err := k.store.raiseEvent(ctx, e)
		if err != nil {
			return r, err
		}
		if did {
			k.metrics.crossed.WithLabelValues(string(threshold)).Inc()
			k.cfg.Log.Warn("a budget's threshold was crossed", "tenant", string(t), "month", is.Month.String(), "threshold", string(threshold),
				"spent", e.Spent, "available", e.Available, "currency", e.Currency, "mode", string(b.Mode), "restraint", string(r))
		}
	}
	return r, nil
}

// Balance is where a tenant stands now; ErrNotFound if it has no budget.
func (k *Keeper) Balance(ctx context.Context, t tenancy.TenantID) (Budget, *Balance, error) {
	b, ups, err := k.store.Budget(ctx, t)
	if err != nil {
		return b, nil, err
	}
	is, err := k.balance(ctx, t, &b, ups)
	return b, is, err
}

// balance is where a tenant stands now by a budget and what was paid.
func (k *Keeper) balance(ctx context.Context, t tenancy.TenantID, b *Budget, ups []TopUp) (*Balance, error) {
	now := k.now()
	is := &Balance{Month: MonthOf(now), Currency: b.Currency}
	var err error
	if is.Available, err = k.available(ctx, t, b, ups, is.Month); err != nil {
		return nil, err
	}
	spent, forecast, err := k.spending.month(ctx, t, b.Currency, now)
	if err != nil {
		return nil, fmt.Errorf("what tenant %s has spent: %w", t, err)
	}
	is.Spent = spent
	if now.Sub(is.Month.Begin()) >= forecastAfter {
		is.Forecast = &forecast
	}
	return is, nil
}

// available is what there is to spend in a month.
func (k *Keeper) available(ctx context.Context, t tenancy.TenantID, b *Budget, ups []TopUp, m Month) (apd.Decimal, error) {
	if b.Mode != ModePrepaid {
		return ParseAmount(b.Amount, b.Currency)
	}
	sum := zero(b.Currency)
	for _, up := range ups {
		if up.Currency != b.Currency {
			continue // of a budget that was before
		}
		amount, err := ParseAmount(up.Amount, b.Currency)
		if err != nil {
			return sum, fmt.Errorf("top-up %.80q of tenant %s: %w", up.ID, t, err)
		}
		sum = plus(sum, amount)
	}
	billed, err := k.store.Billed(ctx, t)
	if err != nil {
		return sum, err
	}
	for past := b.Since; past < m; past++ {
		cost, err := k.past(ctx, t, past, b.Currency, billed)
		if err != nil {
			return sum, err
		}
		sum = minus(sum, cost)
	}
	return sum, nil
}

// past is what a month that is over cost: by its final statement, else by what it
// comes to so far.
func (k *Keeper) past(ctx context.Context, t tenancy.TenantID, m Month, currency string, billed map[Month]Totals) (apd.Decimal, error) {
	text, final := billed[m][currency]
	if _, ok := billed[m]; ok && !final {
		return zero(currency), nil
	}
	if !final {
		all, err := k.cfg.Biller.Statements(ctx, t, m)
		if err != nil {
			return zero(currency), err
		}
		for _, st := range all {
			if st.Currency == currency {
				text = st.Total
			}
		}
	}
	if text == "" {
		return zero(currency), nil
	}
	return parseSigned(text, currency)
}

// restrain makes instances of the tenants that are of concern as wanted.
func (k *Keeper) restrain(ctx context.Context, wanted map[tenancy.TenantID]tenancy.Restraint, concerns func(tenancy.TenantID) bool) (last tenancy.Revision, err error) {
	var change []tenancy.Instance
	k.cfg.Instances.Each(func(in tenancy.Instance) bool {
		if concerns(in.Tenant) && in.Restraint != wanted[in.Tenant] {
			change = append(change, in)
		}
		return true
	})
	var errs []error
	for _, in := range change {
		rev, err := k.cfg.Instances.Restrain(ctx, in.ID, wanted[in.Tenant])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		last = max(last, rev)
		k.cfg.Log.Warn("what an instance may use was changed by its tenant's budget", "instance", string(in.ID), "tenant", string(in.Tenant), "restraint", string(wanted[in.Tenant]), "before", string(in.Restraint))
	}
	return last, errors.Join(errs...)
}

// FinalizeDue makes the statements of months final that are due: of every tenant that
// used something then, or in the months before, of which corrections may be charged.
func (k *Keeper) FinalizeDue(ctx context.Context) error {
	if k.cfg.Biller.cfg.Tenants == nil {
		return nil
	}
	last := MonthOf(k.now().Add(-FinalAfter)) - 1
	for m := last - lookBack; m <= last; m++ {
		tenants := map[tenancy.TenantID]bool{}
		for past := m - lookBack; past <= m; past++ {
			for t, err := range k.cfg.Biller.cfg.Tenants(ctx, past) {
				if err != nil {
					return err
				}
				tenants[t] = true
			}
		}
		for _, t := range slices.Sorted(maps.Keys(tenants)) {
			if err := k.finalizeDue(ctx, t, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) finalizeDue(ctx context.Context, t tenancy.TenantID, m Month) error {
	billed, err := k.store.Billed(ctx, t)
	if err != nil {
		return err
	}
	if _, final := billed[m]; !final {
		_, err = k.cfg.Biller.Finalize(ctx, t, m)
	}
	return err
}
