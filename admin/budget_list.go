package admin

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

// budgetLooks is how many tenants' budgets are looked at at once.
const budgetLooks = 8

type listBudgetsInput struct{ ListInput }

type budgetsOutput struct{ Body api.Budgets }

// listBudgets shows those of tenants that the caller may see. Where one of them stands
// and cannot be found out, the others are shown nonetheless.
func (s *server) listBudgets(ctx context.Context, in *listBudgetsInput) (*budgetsOutput, error) {
	all, err := s.cfg.Billing.Store.Budgeted(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	c := callerOf(ctx)
	var page []tenancy.TenantID
	for _, t := range all { // in order
		if c.owns(t) && string(t) > in.After && len(page) <= in.Limit {
			page = append(page, t)
		}
	}
	out := &budgetsOutput{Body: api.Budgets{Items: []api.TenantBudget{}}}
	if len(page) > in.Limit {
		page = page[:in.Limit]
		next := string(page[in.Limit-1])
		out.Body.Next = &next
	}
	views, err := s.tenantBudgets(ctx, page)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		if v != nil {
			out.Body.Items = append(out.Body.Items, *v)
		}
	}
	return out, nil
}

// tenantBudgets are those of tenants in their order; nil of one that has none any more.
func (s *server) tenantBudgets(ctx context.Context, tenants []tenancy.TenantID) ([]*api.TenantBudget, error) {
	holdings := s.cfg.Billing.Keeper.Holdings(tenants...)
	views := make([]*api.TenantBudget, len(tenants))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(budgetLooks)
	for i, t := range tenants {
		g.Go(func() error {
			is, err := s.cfg.Billing.Keeper.StandingOf(ctx, t, holdings[t])
			if err == nil {
				views[i] = &api.TenantBudget{Budget: viewBudget(t, is.Budget), Balance: viewBalance(t, is)}
				return nil
			}
			b, _, failed := s.cfg.Billing.Store.Budget(ctx, t)
			switch {
			case errors.Is(failed, billing.ErrNotFound):
				return nil
			case failed != nil:
				return s.unavailable(ctx, failed)
			}
			s.cfg.Log.Warn("admin does not know where a tenant stands with its budget", "request", callerOf(ctx).id, "tenant", string(t), "err", err)
			views[i] = &api.TenantBudget{Budget: viewBudget(t, b)}
			return nil
		})
	}
	return views, g.Wait()
}
