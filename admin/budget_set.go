package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

type setBudgetInput struct {
	TenantPath
	DryRun bool `query:"dry_run" doc:"Change nothing; say where the tenant would stand, and what that would restrain."`
	Body   api.SetBudget
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *setBudgetInput) Resolve(huma.Context) []error {
	b := in.budget()
	wrong := b.Check()
	if paid := in.Body.Balance; paid != nil && b.Mode != billing.ModePrepaid {
		wrong = append(wrong, billing.Mistake{Path: "balance", Text: "only a prepaid budget has one"})
	} else if paid != nil {
		if _, err := billing.ParsePositive(paid.Amount, b.Currency); err != nil && !slices.ContainsFunc(wrong, func(m billing.Mistake) bool { return m.Path == "currency" }) {
			wrong = append(wrong, billing.Mistake{Path: "balance.amount", Text: err.Error()})
		}
	}
	return details(bodyMistakes(wrong))
}

// topUp is what was paid; nil if nothing is said of it.
func (in *setBudgetInput) topUp(now time.Time) *billing.TopUp {
	paid := in.Body.Balance
	if paid == nil {
		return nil
	}
	return &billing.TopUp{ID: paid.ID, Amount: paid.Amount, Note: paid.Note, At: now.UTC()}
}

func (in *setBudgetInput) budget() billing.Budget {
	b := billing.Budget{
		Mode: billing.Mode(in.Body.Mode), Currency: in.Body.Currency, Amount: in.Body.Amount, Action: tenancy.Restraint(in.Body.Action),
	}
	switch b.Mode {
	case billing.ModeHard:
		b.Action = cmp.Or(b.Action, tenancy.RestraintThrottle)
	case billing.ModePrepaid:
		b.Action = cmp.Or(b.Action, tenancy.RestraintStop)
	case billing.ModeSoft:
	}
	return b
}

type changedBudgetOutput struct {
	Revision string `header:"Weir-Revision" doc:"Absent if no instance was restrained or set free."`
	Body     api.ChangedBudget
}

// setBudget answers when what follows from it is in force: where it is spent, or was
// and is no more.
func (s *server) setBudget(ctx context.Context, in *setBudgetInput) (*changedBudgetOutput, error) {
	t, _, err := s.changeable(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	b := in.budget()
	b.ByOperator = callerOf(ctx).rights.everyTenant
	if b.Mode == billing.ModePrepaid {
		if !b.ByOperator {
			return nil, problem(codeNotAllowed, "Only operators set prepaid budgets, for they say what was paid.")
		}
		if b.Since, err = s.prepaidSince(ctx, t, b.Currency); err != nil {
			return nil, err
		}
	}
	up := in.topUp(s.cfg.Now())
	would, err := s.cfg.Billing.Keeper.Would(ctx, t, b, up)
	switch known := err == nil; {
	case !known && in.DryRun, errors.Is(err, billing.ErrTaken), errors.Is(err, billing.ErrFull):
		return nil, s.budgetFailed(ctx, err, t)
	case !known: // no reason not to set it
		s.cfg.Log.Warn("admin does not know where a tenant stands with its budget", "request", callerOf(ctx).id, "tenant", string(t), "err", err)
	}
	out := &changedBudgetOutput{Body: api.ChangedBudget{Budget: viewBudget(t, b), DryRun: in.DryRun}}
	if would != nil {
		out.Body.Balance, out.Body.Tightens, out.Body.Counted = viewBalance(t, would), would.Tightens(), would.Counted
		if out.Body.Warnings, err = s.budgetWarnings(ctx, t, would); err != nil {
			return nil, err
		}
	}
	if in.DryRun {
		return out, nil
	}
	if out.Body.Counted, err = s.cfg.Billing.Store.SetBudget(ctx, t, b, up); err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	out.Revision, out.Body.ReadyOn = s.restrained(ctx, t)
	if is, err := s.cfg.Billing.Keeper.Standing(ctx, t); err == nil {
		out.Body.Balance = viewBalance(t, is)
	}
	return out, nil
}

// prepaidSince is the first month that a prepaid balance pays: this one, unless there was
// one in its currency before. What was used since then is used, whatever budget there was
// in between.
func (s *server) prepaidSince(ctx context.Context, t tenancy.TenantID, currency string) (billing.Month, error) {
	since, ok, err := s.cfg.Billing.Store.PrepaidSince(ctx, t, currency)
	if err != nil {
		return 0, s.budgetFailed(ctx, err, t)
	}
	if !ok {
		since = billing.MonthOf(s.cfg.Now())
	}
	return since, nil
}

// budgetWarnings are about what is no mistake, but of little use.
func (s *server) budgetWarnings(ctx context.Context, t tenancy.TenantID, is *billing.Standing) ([]string, error) {
	if is.Instances == 0 {
		return []string{fmt.Sprintf("tenant %s has no instance", t)}, nil
	}
	prices, err := s.cfg.Billing.Store.Prices(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	for _, plan := range is.Plans {
		for _, p := range prices.Plan(plan, is.Balance.Month) {
			if p.Prices.Currency == is.Budget.Currency {
				return nil, nil
			}
		}
	}
	slices.Sort(is.Plans)
	return []string{fmt.Sprintf("no plan of tenant %s (%s) has prices in %s: nothing of what it uses counts", t, strings.Join(is.Plans, ", "), is.Budget.Currency)}, nil
}

// changeable is a tenant whose budget the caller may change, and that budget; nil if
// there is none.
func (s *server) changeable(ctx context.Context, name string) (tenancy.TenantID, *billing.Budget, error) {
	t, err := s.tenant(ctx, name)
	if err != nil {
		return "", nil, err
	}
	b, _, err := s.cfg.Billing.Store.Budget(ctx, t)
	switch {
	case errors.Is(err, billing.ErrNotFound):
		return t, nil, nil
	case err != nil:
		return "", nil, s.budgetFailed(ctx, err, t)
	case b.ByOperator && !callerOf(ctx).rights.everyTenant:
		return "", nil, s.budgetFailed(ctx, billing.ErrOperators, t)
	}
	return t, &b, nil
}
