package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
	"weir/tenancy"
)

// maxTopUpsShown is how many a balance has.
const maxTopUpsShown = 100

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
	is, err := s.cfg.Billing.Keeper.Standing(ctx, t)
	if err != nil {
		return api.Balance{}, s.budgetFailed(ctx, err, t)
	}
	view := viewBalance(t, is)
	if is.Budget.Mode == billing.ModePrepaid {
		_, ups, err := s.cfg.Billing.Store.Budget(ctx, t)
		if err != nil {
			return api.Balance{}, s.budgetFailed(ctx, err, t)
		}
		for _, up := range slices.Backward(ups[max(0, len(ups)-maxTopUpsShown):]) {
			view.TopUps = append(view.TopUps, api.TopUp{ID: up.ID, Amount: up.Amount, Currency: up.Currency, At: up.At, Note: up.Note})
		}
	}
	return *view, nil
}

func viewBalance(t tenancy.TenantID, s *billing.Standing) *api.Balance {
	is := s.Balance
	view := &api.Balance{
		Tenant: string(t), Month: is.Month.String(), Mode: string(s.Budget.Mode), Currency: is.Currency,
		Available: billing.Money(is.Available), Spent: billing.Money(is.Spent), Left: billing.Money(is.Left()),
		Restraint: string(s.InForce()), Instances: s.Instances, Held: s.Restrained(),
	}
	if !s.Settled() {
		view.Next = cmp.Or(string(s.Wanted), "none")
	}
	if is.Forecast != nil {
		view.Forecast = billing.Money(*is.Forecast)
	}
	return view
}

type topUpInput struct {
	TenantPath
	Body api.AddTopUp
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *topUpInput) Resolve(huma.Context) []error {
	path := "body.amount"
	_, err := billing.ParsePositive(in.Body.Amount, in.Body.Currency)
	if wrong := billing.CheckCurrency(in.Body.Currency); wrong != nil {
		path, err = "body.currency", wrong
	}
	if err != nil {
		return details([]api.FieldError{{Location: path, Message: err.Error()}})
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
	counted, err := s.cfg.Billing.Store.TopUp(ctx, t, billing.TopUp{
		ID: in.Body.ID, Amount: in.Body.Amount, Currency: in.Body.Currency, Note: in.Body.Note, At: s.cfg.Now().UTC(),
	})
	if err != nil {
		return nil, s.budgetFailed(ctx, err, t)
	}
	out := &changedBalanceOutput{Body: api.ChangedBalance{Counted: counted}}
	out.Revision, out.Body.ReadyOn = s.restrained(ctx, t)
	out.Body.Balance, err = s.balance(ctx, t)
	return out, err
}
