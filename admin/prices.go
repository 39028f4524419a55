package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing"
)

func (s *server) priceRoutes(a huma.API) {
	const path = "/v1/plans/{plan}/prices"
	route(a, "get-prices", plansRead, http.MethodGet, path, http.StatusOK, s.getPrices)
	route(a, "unset-prices", plansWrite, http.MethodDelete, path, http.StatusOK, s.unsetPrices)
	route(a, "set-prices", plansWrite, http.MethodPut, path, http.StatusOK, s.setPrices)
}

type pricesOutput struct{ Body api.PricesOfPlan }

func (s *server) getPrices(ctx context.Context, in *PlanPath) (*pricesOutput, error) {
	if err := s.planThere(in.Plan); err != nil {
		return nil, err
	}
	return s.pricesOf(ctx, in.Plan)
}

func (s *server) planThere(name string) error {
	if !s.hasPlan(name) {
		return problem(codePlanNotFound, "There is no plan %.80q; there is: %s.", name, strings.Join(s.cfg.Plans, ", "))
	}
	return nil
}

func (s *server) pricesOf(ctx context.Context, plan string) (*pricesOutput, error) {
	all, err := s.cfg.Billing.Store.Prices(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	return &pricesOutput{Body: s.viewPricesOf(plan, all)}, nil
}

func (s *server) viewPricesOf(plan string, all *billing.PriceList) api.PricesOfPlan {
	out := api.PricesOfPlan{Plan: plan, Items: []api.PlanPrices{}}
	for _, p := range all.Plan(plan, billing.MonthOf(s.cfg.Now())) {
		view := api.PlanPrices{Prices: viewPrices(p.Prices), Unset: p.Unset}
		if p.From != 0 {
			from := p.From.String()
			view.From = &from
		}
		out.Items = append(out.Items, view)
	}
	return out
}

// PricesDryRun is exported for the same reason as ListInput.
type PricesDryRun struct {
	DryRun bool `query:"dry_run" doc:"Change nothing; say what prices there would be."`
}

type setPricesInput struct {
	PlanPath
	PricesDryRun
	Body api.SetPrices
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *setPricesInput) Resolve(huma.Context) []error {
	p := storedPrices(in.Body.Prices)
	_, wrong := p.Book()
	all := bodyMistakes(wrong)
	if in.Body.From != "" {
		if _, err := billing.ParseMonth(in.Body.From); err != nil {
			all = append(all, api.FieldError{Location: "body.from", Message: err.Error()})
		}
	}
	return details(all)
}

func bodyMistakes(wrong []billing.Mistake) (all []api.FieldError) {
	for _, m := range wrong {
		all = append(all, api.FieldError{Location: "body." + m.Path, Message: m.Text})
	}
	return all
}

type changedPricesOutput struct{ Body api.ChangedPrices }

// setPrices answers when they are in force: whoever rates reads them from the store.
func (s *server) setPrices(ctx context.Context, in *setPricesInput) (*changedPricesOutput, error) {
	prices := storedPrices(in.Body.Prices)
	return s.changePrices(ctx, in.Plan, "body.from", in.Body.From, in.DryRun, &prices)
}

type unsetPricesInput struct {
	PlanPath
	PricesDryRun
	From string `query:"from" maxLength:"40" doc:"The month from which on the gateway's file counts again; this one if absent." example:"2026-12"`
}

// unsetPrices makes those of the file count again, until a later month that has its own.
func (s *server) unsetPrices(ctx context.Context, in *unsetPricesInput) (*changedPricesOutput, error) {
	return s.changePrices(ctx, in.Plan, "query.from", in.From, in.DryRun, nil)
}

// changePrices sets prices from a month on ("": the present one); nil: those of the file.
// at is where a request says the month.
func (s *server) changePrices(ctx context.Context, plan, at, month string, dry bool, prices *billing.Prices) (*changedPricesOutput, error) {
	if err := s.planThere(plan); err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	from, err := billing.MonthOf(now), error(nil)
	if month != "" {
		if from, err = billing.ParseMonth(month); err == nil {
			err = billing.CheckFrom(from, now)
		}
		if err != nil {
			return nil, invalid(api.FieldError{Location: at, Message: err.Error()})
		}
	}
	store := s.cfg.Billing.Store
	switch {
	case dry:
	case prices == nil:
		err = store.UnsetPrices(ctx, plan, from, now)
	default:
		err = store.SetPrices(ctx, plan, from, *prices, now)
	}
	var wrong billing.Mistake
	if errors.As(err, &wrong) {
		return nil, invalid(bodyMistakes([]billing.Mistake{wrong})...)
	} else if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	all, err := store.Prices(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	if dry {
		all.Say(plan, from, prices, now)
	}
	return &changedPricesOutput{Body: api.ChangedPrices{
		PricesOfPlan: s.viewPricesOf(plan, all), ChangedFrom: from.String(), Reprices: from == billing.MonthOf(now),
		Instances: s.planCounts(ctx)[plan], DryRun: dry,
	}}, nil
}

// planPrices are those of each plan in this month.
func (s *server) planPrices(ctx context.Context) (map[string]*api.Prices, error) {
	list, err := s.cfg.Billing.Store.Prices(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	all := make(map[string]*api.Prices, len(s.cfg.Plans))
	for _, plan := range s.cfg.Plans {
		if p := list.Prices(plan, billing.MonthOf(s.cfg.Now()), time.Time{}); p != nil {
			view := viewPrices(*p)
			all[plan] = &view
		}
	}
	return all, nil
}

func viewPrices(p billing.Prices) api.Prices {
	view := api.Prices{Currency: p.Currency, Minimum: p.Minimum, Meters: make([]api.MeterPrices, 0, len(p.Meters))}
	for _, m := range p.Meters {
		mv := api.MeterPrices{Meter: m.Meter, Unit: m.Unit, Price: m.Price, Free: m.Free}
		for _, t := range m.Tiers {
			mv.Tiers = append(mv.Tiers, api.TierPrices{Above: t.Above, Price: t.Price})
		}
		view.Meters = append(view.Meters, mv)
	}
	return view
}

func storedPrices(v api.Prices) billing.Prices {
	p := billing.Prices{Currency: v.Currency, Minimum: v.Minimum, Meters: make([]billing.MeterPrices, 0, len(v.Meters))}
	for _, m := range v.Meters {
		mp := billing.MeterPrices{Meter: m.Meter, Unit: m.Unit, Price: m.Price, Free: m.Free}
		for _, t := range m.Tiers {
			mp.Tiers = append(mp.Tiers, billing.TierPrices{Above: t.Above, Price: t.Price})
		}
		p.Meters = append(p.Meters, mp)
	}
	return p
}
