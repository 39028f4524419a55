package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

func (s *server) budgetRoutes(a huma.API) {
	const path = "/v1/tenants/{tenant}"
	route(a, "list-budgets", statementsRead, http.MethodGet, "/v1/budgets", http.StatusOK, s.listBudgets)
	route(a, "get-budget", statementsRead, http.MethodGet, path+"/budget", http.StatusOK, s.getBudget)
	route(a, "set-budget", budgetsWrite, http.MethodPut, path+"/budget", http.StatusOK, s.setBudget)
	route(a, "delete-budget", budgetsWrite, http.MethodDelete, path+"/budget", http.StatusNoContent, s.deleteBudget)
	route(a, "get-balance", statementsRead, http.MethodGet, path+"/balance", http.StatusOK, s.getBalance)
	route(a, "top-up-balance", balancesWrite, http.MethodPost, path+"/balance", http.StatusOK, s.topUp)
	route(a, "list-budget-events", statementsRead, http.MethodGet, path+"/events", http.StatusOK, s.listBudgetEvents)
}

type budgetOutput struct{ Body api.Budget }

func (s *server) getBudget(ctx context.Context, in *TenantPath) (*budgetOutput, error) {
	t, err := s.tenant(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	b, _, err := s.cfg.Billing.Store.Budget(ctx, t)
	if err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	return &budgetOutput{Body: viewBudget(t, b)}, nil
}

func viewBudget(t tenancy.TenantID, b billing.Budget) api.Budget {
	return api.Budget{
		Tenant: string(t), Mode: string(b.Mode), Currency: b.Currency, Amount: b.Amount, Action: string(b.Action),
		SetBy: map[bool]string{true: "operator", false: "tenant"}[b.ByOperator],
	}
}

// budgetFailed translates the store's refusals.
func (s *server) budgetFailed(ctx context.Context, err error, t tenancy.TenantID) error {
	var wrong billing.Mistake
	switch {
	case errors.Is(err, billing.ErrNotFound):
		return problem(codeBudgetNotFound, "Tenant %s has no budget.", t)
	case errors.Is(err, billing.ErrNotPrepaid):
		return seeBudget(t, problem(codeNotPrepaid, "Tenant %s has no prepaid budget in that currency.", t))
	case errors.Is(err, billing.ErrOperators):
		return problem(codeNotAllowed, "An operator has set the budget of tenant %s; only an operator changes it.", t)
	case errors.Is(err, billing.ErrTaken):
		return seeBudget(t, problem(codeTopUpTaken, "Tenant %s has another top-up of that id.", t))
	case errors.Is(err, billing.ErrFull):
		return problem(codeTopUpsFull, "Tenant %s has as many top-ups as it may have.", t)
	case errors.As(err, &wrong):
		return invalid(bodyMistakes([]billing.Mistake{wrong})...)
	}
	return s.unavailable(ctx, err)
}

// seeBudget proposes to look at the budget of that very tenant: of an operator,
// the command would show its own.
func seeBudget(t tenancy.TenantID, p *api.Problem) *api.Problem {
	p.Try = "weir budget get --tenant " + string(t)
	return p
}

// restrained puts in force what follows from a changed budget. Failing is no failure of
// the change: budgets are looked at every minute.
func (s *server) restrained(ctx context.Context, t tenancy.TenantID) (revision string, on *api.ReadyOn) {
	rev, err := s.cfg.Billing.Keeper.Tenant(ctx, t)
	if err != nil {
		s.cfg.Log.Warn("admin could not put a budget in force, a minute later it will be tried again", "request", callerOf(ctx).id, "tenant", string(t), "err", err)
	}
	if rev == 0 {
		return "", nil
	}
	ready := s.applied(ctx, rev)
	return strconv.FormatInt(int64(rev), 10), &ready
}

func (s *server) deleteBudget(ctx context.Context, in *TenantPath) (*revisionOutput, error) {
	t, was, err := s.changeable(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	if was == nil {
		return nil, s.budgetFailed(ctx, billing.ErrNotFound, t)
	}
	if err := s.cfg.Billing.Store.DeleteBudget(ctx, t, callerOf(ctx).rights.everyTenant); err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	revision, _ := s.restrained(ctx, t)
	return &revisionOutput{Revision: revision}, nil
}

type listBudgetEventsInput struct {
	TenantPath
	ListInput
}

type budgetEventsOutput struct{ Body api.BudgetEvents }

func (s *server) listBudgetEvents(ctx context.Context, in *listBudgetEventsInput) (*budgetEventsOutput, error) {
	t, err := s.tenant(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Billing.Store.Events(ctx, t, in.After, in.Limit)
	if errors.Is(err, billing.ErrCursor) {
		return nil, invalid(api.FieldError{Location: "query.after", Message: "is no next of this list"})
	} else if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	out := &budgetEventsOutput{Body: api.BudgetEvents{Items: make([]api.BudgetEvent, 0, len(page))}}
	for _, e := range page {
		out.Body.Items = append(out.Body.Items, api.BudgetEvent{
			ID: e.ID, Kind: "budget", At: e.At, Tenant: string(e.Tenant), Month: e.Month.String(), Threshold: string(e.Threshold),
			Mode: string(e.Mode), Currency: e.Currency, Available: e.Available, Spent: e.Spent, Forecast: e.Forecast, Restraint: string(e.Restraint),
		})
	}
	if len(page) == in.Limit {
		out.Body.Next = &page[len(page)-1].ID
	}
	return out, nil
}
