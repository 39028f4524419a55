package admin

import (
	"context"
	"errors"
	"slices"

	"weir/admin/api"
	"weir/metering"
	"weir/tenancy"
)

// payer is whose usage a caller may see of the one it names: its own, of all tenants
// ("") if it may.
func (s *server) payer(ctx context.Context, place, tenant string) (tenancy.TenantID, error) {
	c := callerOf(ctx)
	if tenant == "" {
		if c.claims.Tenant == "" || c.rights.everyTenant {
			return "", nil
		}
		return c.claims.Tenant, nil
	}
	t, err := tenancy.ParseTenantID(tenant)
	if err != nil {
		return "", invalid(api.FieldError{Location: place, Message: err.Error()})
	}
	if !c.owns(t) {
		return "", problem(codeTenantNotFound, "There is no tenant %.80q.", tenant)
	}
	return t, nil
}

// used finds the instance that a caller names, of tenant t or of any (""); by its id
// also one that is deleted, for as long as anything tells whose it was. "" if it names
// none.
func (s *server) used(ctx context.Context, t tenancy.TenantID, name string) (tenancy.InstanceID, error) {
	if name == "" {
		return "", nil
	}
	i, err := s.find(ctx, InstancePath{Instance: name, Tenant: string(t)})
	var p *api.Problem
	switch {
	case err == nil:
		return i.ID, nil
	case err != nil && !(errors.As(err, &p) && p.Code == string(codeInstanceNotFound)):
		return "", err
	}
	notFound := problem(codeInstanceNotFound, "There is no instance %.80q, and no usage of one is kept.", name)
	notFound.Try = "weir usage get -o name"
	id, err := tenancy.ParseInstanceID(name)
	if err != nil {
		return "", notFound
	}
	i, err = s.cfg.Store.Instance(ctx, id)
	switch {
	case err == nil && i.State == tenancy.StateDeleted && callerOf(ctx).owns(i.Tenant) && (t == "" || i.Tenant == t):
		return id, nil
	case err != nil && !errors.Is(err, tenancy.ErrNotFound):
		return "", s.unavailable(ctx, err)
	}
	// A Redis that was lost has its records again, from archives, but no tombstones.
	kept, err := s.anyUsage(ctx, metering.Query{Tenant: t, Instance: id})
	if err != nil {
		return "", err
	}
	if !kept {
		return "", notFound
	}
	return id, nil
}

// anyUsage is whether anything is kept of somebody, sealed or not, whenever it was used.
func (s *server) anyUsage(ctx context.Context, q metering.Query) (bool, error) {
	if s.cfg.Metered == nil {
		return false, nil
	}
	q.From, q.To = 0, metering.HourOf(s.cfg.Now())+1
	for _, err := range merged(ctx, s.cfg.Metered, q, 0) {
		if err != nil {
			return false, s.unavailable(ctx, err)
		}
		return true, nil
	}
	return false, nil
}

// nothingUsed is why there is nothing to show where that is no answer; nil if nothing
// was used. Who asks for parts of what is not broken down, or misspells a tenant, must
// not be told that nobody used anything.
func (s *server) nothingUsed(ctx context.Context, in *getUsageInput) error {
	if (in.GroupBy == byUser || in.GroupBy == byTopic) && !slices.Contains(s.cfg.Breakdown, in.GroupBy) {
		return problem(codeNoBreakdown, "This gateway does not break usage down by %s: metering.breakdown in weir.yaml would have to name it, and counts from then on.", in.GroupBy)
	}
	if in.Tenant == "" {
		return nil
	}
	t := tenancy.TenantID(in.Tenant)
	there := false
	s.cfg.Directory.Each(func(v *tenancy.View) bool {
		there = v.Instance.Tenant == t
		return !there
	})
	if there {
		return nil
	}
	kept, err := s.anyUsage(ctx, metering.Query{Tenant: t})
	if err != nil || kept {
		return err
	}
	return problem(codeTenantNotFound, "Tenant %.80q has no instance and no usage.", in.Tenant)
}

// displayNames are those of instances, deleted ones too; of which nothing is known has
// none.
func (s *server) displayNames(ctx context.Context, items []usageItem) (map[tenancy.InstanceID]string, error) {
	names := map[tenancy.InstanceID]string{}
	for _, item := range items {
		id := item.instance
		if _, ok := names[id]; ok || id == "" {
			continue
		}
		v, ok := s.cfg.Directory.View(id)
		if !ok {
			i, err := s.cfg.Store.Instance(ctx, id)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return nil, s.unavailable(ctx, err)
			}
			v = &tenancy.View{Instance: i}
		}
		if names[id] = ""; v.Instance.Tenant == item.tenant { // else Redis was lost, and the id is somebody else's now
			names[id] = v.Instance.Name
		}
	}
	return names, nil
}
