package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

// maxTopUpsShown is how many a balance has.
const maxTopUpsShown = 100

func (s *server) budgetRoutes(a huma.API) {
	const path = "/v1/tenants/{tenant}"
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
		return problem(codeNotPrepaid, "Tenant %s has no prepaid budget in that currency.", t)
	case errors.Is(err, billing.ErrTaken):
		return problem(codeTopUpTaken, "Tenant %s has another top-up of that id.", t)
	case errors.Is(err, billing.ErrFull):
		return problem(codeTopUpsFull, "Tenant %s has as many top-ups as it may have.", t)
	case errors.As(err, &wrong):
		return invalid(bodyMistakes([]billing.Mistake{wrong})...)
	}
	return s.unavailable(ctx, err)
}

type setBudgetInput struct {
	TenantPath
	Body api.SetBudget
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *setBudgetInput) Resolve(huma.Context) []error {
	b := in.budget()
	return details(bodyMistakes(b.Check()))
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
	t, was, err := s.changeable(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	b := in.budget()
	b.ByOperator = callerOf(ctx).rights.everyTenant
	if b.Mode == billing.ModePrepaid {
		if !b.ByOperator {
			return nil, problem(codeNotAllowed, "Only operators set prepaid budgets, for they say what was paid.")
		}
		if b.Since = billing.MonthOf(s.cfg.Now()); was != nil && was.Mode == billing.ModePrepaid && was.Currency == b.Currency {
			b.Since = was.Since
		}
	}
	if err := s.cfg.Billing.Store.SetBudget(ctx, t, b); err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	out := &changedBudgetOutput{Body: api.ChangedBudget{Budget: viewBudget(t, b)}}
	out.Revision, out.Body.ReadyOn = s.restrained(ctx, t)
	return out, nil
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
		return "", nil, problem(codeNotAllowed, "An operator has set the budget of tenant %s; only an operator changes it.", t)
	}
	return t, &b, nil
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
	if err := s.cfg.Billing.Store.DeleteBudget(ctx, t); err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	revision, _ := s.restrained(ctx, t)
	return &revisionOutput{Revision: revision}, nil
}

type balanceOutput struct{ Body api.Balance }

func (s *server) getBalance(ctx context.Context, in *TenantPath) (*balanceOutput, error) {
	t, err := s.tenant(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	view, err := s.balance(ctx, t)
	return &balanceOutput{Body: view}, err
}

func (s *server) balance(ctx context.Context, t tenancy.TenantID) (api.Balance, error) {
	b, is, err := s.cfg.Billing.Keeper.Balance(ctx, t)
	if err != nil {
		return api.Balance{}, s.budgetFailed(ctx, err, t)
	}
	view := api.Balance{
		Tenant: string(t), Month: is.Month.String(), Mode: string(b.Mode), Currency: is.Currency,
		Available: billing.Money(is.Available), Spent: billing.Money(is.Spent), Left: billing.Money(is.Left()), Restraint: string(b.Restraint(is)),
	}
	if is.Forecast != nil {
		view.Forecast = billing.Money(*is.Forecast)
	}
	if b.Mode == billing.ModePrepaid {
		_, ups, err := s.cfg.Billing.Store.Budget(ctx, t)
		if err != nil {
			return api.Balance{}, s.budgetFailed(ctx, err, t)
		}
		for _, up := range slices.Backward(ups[max(0, len(ups)-maxTopUpsShown):]) {
			view.TopUps = append(view.TopUps, api.TopUp{ID: up.ID, Amount: up.Amount, At: up.At, Note: up.Note})
		}
	}
	return view, nil
}

type topUpInput struct {
	TenantPath
	Body api.AddTopUp
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *topUpInput) Resolve(huma.Context) []error {
	if _, err := billing.ParseAmount(in.Body.Amount, in.Body.Currency); err != nil {
		return details([]api.FieldError{{Location: "body.amount", Message: err.Error()}})
	}
	return nil
}

type changedBalanceOutput struct {
	Revision string `header:"Weir-Revision" doc:"Absent if no instance was set free."`
	Body     api.ChangedBalance
}

func (s *server) topUp(ctx context.Context, in *topUpInput) (*changedBalanceOutput, error) {
	t, err := s.tenant(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Billing.Store.TopUp(ctx, t, in.Body.Currency, billing.TopUp{
		ID: in.Body.ID, Amount: in.Body.Amount, Note: in.Body.Note, At: s.cfg.Now().UTC(),
	})
	if err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	out := &changedBalanceOutput{}
	out.Revision, out.Body.ReadyOn = s.restrained(ctx, t)
	out.Body.Balance, err = s.balance(ctx, t)
	return out, err
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
