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
		return problem(codePlanNotFound, "There is no plan %.80q, but %s.", name, strings.Join(s.cfg.Plans, ", "))
	}
	return nil
}

func (s *server) pricesOf(ctx context.Context, plan string) (*pricesOutput, error) {
	all, err := s.cfg.Billing.Store.Prices(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	out := &pricesOutput{Body: api.PricesOfPlan{Plan: plan, Items: []api.PlanPrices{}}}
	for _, p := range all.Plan(plan, billing.MonthOf(s.cfg.Now())) {
		view := api.PlanPrices{Prices: viewPrices(p.Prices)}
		if p.From != 0 {
			from := p.From.String()
			view.From = &from
		}
		out.Body.Items = append(out.Body.Items, view)
	}
	return out, nil
}

type setPricesInput struct {
	PlanPath
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

// setPrices answers when they are in force: whoever rates reads them from the store.
func (s *server) setPrices(ctx context.Context, in *setPricesInput) (*pricesOutput, error) {
	if err := s.planThere(in.Plan); err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	from := billing.MonthOf(now)
	if in.Body.From != "" {
		var err error
		if from, err = billing.ParseMonth(in.Body.From); err != nil {
			return nil, invalid(api.FieldError{Location: "body.from", Message: err.Error()})
		}
	}
	var wrong billing.Mistake
	err := s.cfg.Billing.Store.SetPrices(ctx, in.Plan, from, storedPrices(in.Body.Prices), now)
	if errors.As(err, &wrong) {
		return nil, invalid(bodyMistakes([]billing.Mistake{wrong})...)
	} else if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	return s.pricesOf(ctx, in.Plan)
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
