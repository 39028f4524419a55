package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"weir/admin/api"
	"weir/tenancy"
)

const (
	// maxAffected is how many instances a dry run of a plan names.
	maxAffected = 100
	// planLooks is how many instances it asks about at once, and planWait how long it
	// may take together: a plan can have a hundred thousand.
	planLooks = 16
	planWait  = 10 * time.Second
)

func (s *server) planRoutes(a huma.API) {
	route(a, "list-plans", plansRead, http.MethodGet, "/v1/plans", http.StatusOK, s.listPlans)
	route(a, "get-plan", plansRead, http.MethodGet, "/v1/plans/{plan}", http.StatusOK, s.getPlan)
	route(a, "change-plan", plansWrite, http.MethodPatch, "/v1/plans/{plan}", http.StatusOK, s.changePlan)
}

func (s *server) hasPlan(name string) bool { return slices.Contains(s.cfg.Plans, name) }

type plansOutput struct{ Body api.Plans }

func (s *server) listPlans(ctx context.Context, _ *struct{}) (*plansOutput, error) {
	set, err := s.cfg.Store.PlanLimits(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	prices, err := s.planPrices(ctx)
	if err != nil {
		return nil, err
	}
	counts := s.planCounts(ctx)
	out := &plansOutput{Body: api.Plans{Items: []api.Plan{}}}
	for _, name := range s.cfg.Plans {
		out.Body.Items = append(out.Body.Items, viewPlan(name, planBounds(s.cfg.PlanLimits[name], set[name]), counts[name], prices[name]))
	}
	return out, nil
}

// PlanPath is exported for the same reason as ListInput.
type PlanPath struct {
	Plan string `path:"plan" maxLength:"63"`
}

type planOutput struct{ Body api.Plan }

func (s *server) getPlan(ctx context.Context, in *PlanPath) (*planOutput, error) {
	was, _, err := s.plan(ctx, in.Plan)
	if err != nil {
		return nil, err
	}
	prices, err := s.planPrices(ctx)
	if err != nil {
		return nil, err
	}
	return &planOutput{Body: viewPlan(in.Plan, was, s.planCounts(ctx)[in.Plan], prices[in.Plan])}, nil
}

// plan is what a plan bounds, and what of that was set.
func (s *server) plan(ctx context.Context, name string) (bounds, tenancy.Limits, error) {
	if err := s.planThere(name); err != nil {
		return nil, nil, err
	}
	all, err := s.cfg.Store.PlanLimits(ctx)
	if err != nil {
		return nil, nil, s.unavailable(ctx, err)
	}
	return planBounds(s.cfg.PlanLimits[name], all[name]), all[name], nil
}

// planCounts is how many instances have each plan, as far as the caller may see them.
func (s *server) planCounts(ctx context.Context) map[string]int {
	c, counts := callerOf(ctx), map[string]int{}
	s.cfg.Directory.Each(func(v *tenancy.View) bool {
		if c.owns(v.Instance.Tenant) {
			counts[v.Instance.Plan]++
		}
		return true
	})
	return counts
}

func viewPlan(name string, all bounds, instances int, prices *api.Prices) api.Plan {
	p := api.Plan{Name: name, Limits: map[string]api.PlanLimit{}, Instances: instances, Prices: prices}
	for limit, b := range all {
		k, _ := tenancy.KindOf(limit)
		p.Limits[string(limit)] = api.PlanLimit{Bound: b, Unit: k.Unit}
	}
	return p
}

type changePlanInput struct {
	PlanPath
	DryRun
	Body api.ChangeLimits
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *changePlanInput) Resolve(huma.Context) []error { return details(limitMistakes(in.Body)) }

type changedPlanOutput struct {
	Revision string `header:"Weir-Revision" doc:"Absent after a dry run."`
	Body     api.ChangedPlan
}

// changePlan sets limits over those of the file, or takes such limits back. It answers
// when that is in force for all instances of the plan, on open connections too.
func (s *server) changePlan(ctx context.Context, in *changePlanInput) (*changedPlanOutput, error) {
	was, set, err := s.plan(ctx, in.Plan)
	if err != nil {
		return nil, err
	}
	put, remove := split(in.Body)
	did := changes(was, planBounds(s.cfg.PlanLimits[in.Plan], with(set, put, remove)), nil, nil)
	out := &changedPlanOutput{Body: api.ChangedPlan{Affected: []api.AffectedInstance{}}}
	var rev tenancy.Revision
	if in.DryRun.DryRun {
		s.affected(ctx, in.Plan, did, &out.Body)
	} else {
		if rev, err = s.cfg.Store.ChangePlan(ctx, in.Plan, put, remove); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		out.Revision = strconv.FormatInt(int64(rev), 10)
	}
	out.Body.ChangedQuotas = s.changedQuotas(ctx, "", in.DryRun.DryRun, rev, did)
	return out, nil
}

// affected finds the plan's instances that use more than a limit will be. Only what
// becomes less than it was can hold somebody back who was not before.
func (s *server) affected(ctx context.Context, plan string, did []api.LimitChange, out *api.ChangedPlan) {
	tighter := slices.DeleteFunc(slices.Clone(did), func(c api.LimitChange) bool {
		return c.New.Limit == nil || c.Old.Limit != nil && *c.New.Limit >= *c.Old.Limit
	})
	if len(tighter) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(planLooks)
	for _, v := range s.onPlan(plan) {
		g.Go(func() error {
			var found []api.AffectedInstance
			known := false
			if ctx.Err() == nil {
				found, known = s.affectedInstance(ctx, v, tighter)
			}
			mu.Lock()
			defer mu.Unlock()
			if !known {
				out.Unknown++
			}
			if len(found) > 0 {
				out.AffectedCount++
				out.Affected = append(out.Affected, found...)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns one
	slices.SortStableFunc(out.Affected, func(a, b api.AffectedInstance) int { return cmp.Compare(a.Instance, b.Instance) })
	out.Affected = out.Affected[:min(len(out.Affected), maxAffected)]
}

func (s *server) onPlan(plan string) (all []*tenancy.View) {
	s.cfg.Directory.Each(func(v *tenancy.View) bool {
		if v.Instance.Plan == plan {
			all = append(all, v)
		}
		return true
	})
	return all
}

// affectedInstance is which of the limits hold an instance back; its own ones count
// in place of its plan's.
func (s *server) affectedInstance(ctx context.Context, v *tenancy.View, tighter []api.LimitChange) (found []api.AffectedInstance, known bool) {
	mine := slices.DeleteFunc(slices.Clone(tighter), func(c api.LimitChange) bool {
		_, own := v.Limits[tenancy.LimitName(c.Limit)]
		return own
	})
	if len(mine) == 0 {
		return nil, true
	}
	was := bounds{}
	for _, c := range mine {
		was[tenancy.LimitName(c.Limit)] = c.Old
	}
	used := s.usage(ctx, v.Instance, was)
	known = true
	for _, c := range mine {
		name := tenancy.LimitName(c.Limit)
		if _, ok := used[name]; !ok {
			known = false
		}
		e := tenancy.EffectiveOf(name, tenancy.Limits{name: {Value: *c.New.Limit}}, nil, v.Instance.Restraint)
		held := bounds{name: bound(name, e.Limit, string(e.Source))}
		one := changes(bounds{name: c.Old}, bounds{name: c.New}, held, used)[0]
		if one.WouldThrottle || one.WouldRefuse {
			found = append(found, api.AffectedInstance{Instance: string(v.Instance.ID), LimitChange: one})
		}
	}
	return found, known
}
