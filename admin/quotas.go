package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/tenancy"
)

func (s *server) quotaRoutes(a huma.API) {
	const path = "/v1/instances/{instance}/quotas"
	route(a, "get-quotas", quotasRead, http.MethodGet, path, http.StatusOK, s.getQuotas)
	route(a, "replace-quotas", quotasWrite, http.MethodPut, path, http.StatusOK, s.replaceQuotas)
	route(a, "change-quotas", quotasWrite, http.MethodPatch, path, http.StatusOK, s.changeQuotas)
	route(a, "change-instance", quotasWrite, http.MethodPatch, "/v1/instances/{instance}", http.StatusOK, s.changeInstance)
	s.subQuotaRoutes(a, path)
	s.planRoutes(a)
}

// DryRun is exported because huma does not fill an embedded struct that is not.
type DryRun struct {
	DryRun bool `query:"dry_run" doc:"Change nothing; say what would change, and whom it would hold back now."`
}

type quotasOutput struct {
	ETag string `header:"ETag" doc:"Of the instance's own limits."`
	Body api.Quotas
}

// getQuotas reads the store: who has just written sees it.
func (s *server) getQuotas(ctx context.Context, in *InstancePath) (*quotasOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	q, err := s.quotasOf(ctx, i)
	if err != nil {
		return nil, err
	}
	subs, err := s.cfg.Store.Quotas(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &quotasOutput{ETag: quoted(q.tag), Body: api.Quotas{Tenant: string(i.Tenant), Plan: i.Plan, Limits: map[string]api.QuotaLimit{}, SubQuotas: viewSubQuotas(subs)}}
	all, without := boundsOf(q.plan, q.own, i.Restraint), boundsOf(q.plan, q.own, tenancy.RestraintNone)
	used := s.usage(ctx, i, all)
	for name, b := range all {
		k, _ := tenancy.KindOf(name)
		l := api.QuotaLimit{Bound: b, Unit: k.Unit}
		if u, ok := used[name]; ok {
			l.Used, l.Peak24h = &u.Used, u.Peak24h
		}
		if b.Source == string(tenancy.SourceBudget) {
			before := without[name]
			l.Else = &before
		}
		out.Body.Limits[string(name)] = l
	}
	s.throttled(ctx, i, &out.Body)
	return out, nil
}

// throttled fills in how much the instance was throttled, if anybody knows.
func (s *server) throttled(ctx context.Context, i tenancy.Instance, q *api.Quotas) {
	if s.cfg.Throttles == nil {
		return
	}
	sum, err := s.cfg.Throttles.Summary(ctx, i.ID)
	if err != nil {
		s.cfg.Log.Warn("admin does not know how much an instance was throttled", "request", callerOf(ctx).id, "instance", string(i.ID), "err", err)
		return
	}
	seconds := sum.Waited.Seconds()
	q.ThrottledSeconds24h = &seconds
	if top := sum.Top; top != nil {
		q.TopReason = &api.TopReason{Limit: string(top.Limit), User: top.User, ClientID: top.Client, Share: sum.Share}
	}
}

// instanceQuotas are what bounds an instance, from the store.
type instanceQuotas struct {
	own, plan tenancy.Limits
	tag       string // of own
}

func (s *server) quotasOf(ctx context.Context, i tenancy.Instance) (q instanceQuotas, err error) {
	if q.own, q.tag, err = s.cfg.Store.Limits(ctx, i.ID); err != nil {
		return q, s.changed(ctx, err, i.ID, "")
	}
	q.plan, err = s.planLimits(ctx, i.Plan)
	return q, err
}

// planLimits are what a plan bounds; nothing if it is not there.
func (s *server) planLimits(ctx context.Context, plan string) (tenancy.Limits, error) {
	if !s.hasPlan(plan) {
		return nil, nil
	}
	set, err := s.cfg.Store.PlanLimits(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	return with(s.cfg.PlanLimits[plan], set[plan], nil), nil
}

type replaceQuotasInput struct {
	InstancePath
	DryRun
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the limits that are to be replaced, or * for whatever is there. Required."`
	Body    api.ChangeLimits
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *replaceQuotasInput) Resolve(huma.Context) []error { return details(limitMistakes(in.Body)) }

type changedQuotasOutput struct {
	Revision string `header:"Weir-Revision" doc:"Absent after a dry run."`
	ETag     string `header:"ETag" doc:"Of the instance's own limits, after PUT."`
	Body     api.ChangedQuotas
}

// replaceQuotas answers when the limits are in force, on open connections too.
func (s *server) replaceQuotas(ctx context.Context, in *replaceQuotasInput) (*changedQuotasOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	if in.IfMatch == "" {
		p := problem(codeMatchMissing, "The limits of %s are replaced only for who has seen them: send their ETag as If-Match, or *.", i.Name)
		p.Try = "weir quota set " + called(ctx, i) + " LIMIT=VALUE"
		return nil, p
	}
	tag := "" // any
	if in.IfMatch != "*" {
		tag = cmp.Or(strings.Trim(in.IfMatch, `"`), "none") // what is no tag of ours matches nothing
	}
	put, _ := split(in.Body)
	return s.writeQuotas(ctx, i, in.DryRun.DryRun, func(tenancy.Limits) tenancy.Limits { return put }, func(was string) (tenancy.Revision, string, error) {
		if tag != "" && tag != was { // for the dry run; the store looks once more
			return 0, "", tenancy.ErrStale
		}
		if in.DryRun.DryRun {
			return 0, was, nil
		}
		return s.cfg.Store.ReplaceLimits(ctx, i.ID, put, tag)
	})
}

type changeQuotasInput struct {
	InstancePath
	DryRun
	Body api.ChangeLimits
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *changeQuotasInput) Resolve(huma.Context) []error { return details(limitMistakes(in.Body)) }

// changeQuotas answers when the limits are in force, on open connections too.
func (s *server) changeQuotas(ctx context.Context, in *changeQuotasInput) (*changedQuotasOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	put, remove := split(in.Body)
	will := func(own tenancy.Limits) tenancy.Limits { return with(own, put, remove) }
	return s.writeQuotas(ctx, i, in.DryRun.DryRun, will, func(string) (tenancy.Revision, string, error) {
		if in.DryRun.DryRun {
			return 0, "", nil
		}
		rev, err := s.cfg.Store.ChangeLimits(ctx, i.ID, put, remove)
		return rev, "", err
	})
}

// writeQuotas says what a change does, and makes it. will are the limits after it;
// write is given the tag of those that are there.
func (s *server) writeQuotas(ctx context.Context, i tenancy.Instance, dry bool,
	will func(own tenancy.Limits) tenancy.Limits, write func(tag string) (tenancy.Revision, string, error),
) (*changedQuotasOutput, error) {
	q, err := s.quotasOf(ctx, i)
	if err != nil {
		return nil, err
	}
	rev, tag, err := write(q.tag)
	if err = s.written(ctx, err); err != nil {
		return nil, s.quotaRefused(ctx, err, i)
	}
	did := s.limitChanges(ctx, i, q, instanceQuotas{plan: q.plan, own: will(q.own)})
	out := &changedQuotasOutput{Body: s.changedQuotas(ctx, i.Tenant, dry, rev, did)}
	if !dry {
		out.Revision = strconv.FormatInt(int64(rev), 10)
	}
	if tag != "" {
		out.ETag = quoted(tag)
	}
	return out, nil
}

// limitChanges are the limits of an instance that become others, as it is restrained now.
func (s *server) limitChanges(ctx context.Context, i tenancy.Instance, was, will instanceQuotas) []api.LimitChange {
	none := tenancy.RestraintNone
	return changes(boundsOf(was.plan, was.own, none), boundsOf(will.plan, will.own, none), boundsOf(will.plan, will.own, i.Restraint),
		s.usage(ctx, i, boundsOf(was.plan, was.own, i.Restraint)))
}

// changedQuotas answers when a change is in force, or at once if it is none.
func (s *server) changedQuotas(ctx context.Context, t tenancy.TenantID, dry bool, rev tenancy.Revision, did []api.LimitChange) api.ChangedQuotas {
	out := api.ChangedQuotas{Changes: did, DryRun: dry}
	if slices.ContainsFunc(did, func(c api.LimitChange) bool { return c.InForce != nil }) {
		out.BudgetOf = string(t)
	}
	if !dry {
		ready := s.applied(ctx, rev)
		out.ReadyOn = &ready
	}
	return out
}

// quotaRefused translates the store's refusal.
func (s *server) quotaRefused(ctx context.Context, err error, i tenancy.Instance) error {
	p := problem(codeMatchFailed, "The limits of %s are not those that you have seen: somebody else changed them.", i.Name)
	switch {
	case errors.Is(err, tenancy.ErrFull):
		p = problem(codeQuotasFull, "Instance %s may have %d sub-quotas at most; nothing was changed.", i.Name, tenancy.MaxQuotas)
	case !errors.Is(err, tenancy.ErrStale):
		return s.changed(ctx, err, i.ID, "")
	}
	p.Try = "weir quota get " + called(ctx, i)
	return p
}

type changeInstanceInput struct {
	InstancePath
	DryRun
	Body api.ChangeInstance
}

type changedInstanceOutput struct {
	Revision string `header:"Weir-Revision" doc:"Absent after a dry run."`
	Body     api.ChangedInstance
}

// changeInstance gives an instance another plan. It answers when its limits are in
// force, on open connections too.
func (s *server) changeInstance(ctx context.Context, in *changeInstanceInput) (*changedInstanceOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err == nil {
		err = s.planThere(in.Body.Plan)
	}
	if err != nil {
		return nil, err
	}
	q, err := s.quotasOf(ctx, i)
	if err != nil {
		return nil, err
	}
	plan, err := s.planLimits(ctx, in.Body.Plan)
	if err != nil {
		return nil, err
	}
	did, rev, dry := s.limitChanges(ctx, i, q, instanceQuotas{plan: plan, own: q.own}), tenancy.Revision(0), in.DryRun.DryRun
	out := &changedInstanceOutput{}
	if !dry {
		i, rev, err = s.cfg.Store.UpdateInstance(ctx, i.ID, func(i *tenancy.Instance) error {
			i.Plan = in.Body.Plan
			return nil
		})
		if err = s.written(ctx, err); err != nil {
			return nil, s.changed(ctx, err, tenancy.InstanceID(in.Instance), "")
		}
		out.Revision = strconv.FormatInt(int64(rev), 10)
	}
	out.Body = api.ChangedInstance{Instance: s.instance(i), ChangedQuotas: s.changedQuotas(ctx, i.Tenant, dry, rev, did)}
	return out, nil
}
