package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/tenancy"
)

// InstancePath is how every route says which instance it is about. Exported for the
// same reason as ListInput.
type InstancePath struct {
	Instance string `path:"instance" doc:"Id, or display name within the tenant. Of an operator who names no tenant: a name that one instance has over all tenants."`
	Tenant   string `query:"tenant" maxLength:"32" doc:"Whose instance it is; only operators may name another tenant than the token's."`
}

// maxNamesakes bounds how many instances of one name an error lists.
const maxNamesakes = 10

// find resolves an instance that the caller may see, by id or display name. Within a
// tenant an id comes first. An operator who names no tenant must mean one instance
// over all tenants, or hears which there are: never one of its own by chance. What
// belongs to somebody else is not found, in the same words as what does not exist.
func (s *server) find(ctx context.Context, p InstancePath) (tenancy.Instance, error) {
	t, err := s.payer(ctx, "query.tenant", p.Tenant)
	if err != nil {
		return tenancy.Instance{}, err
	}
	in, err := s.byID(ctx, t, p.Instance)
	switch {
	case err == nil && (t != "" || tenancy.IsDrawnID(p.Instance)):
		return in, nil
	case err != nil && !errors.Is(err, tenancy.ErrNotFound):
		return tenancy.Instance{}, s.unavailable(ctx, err)
	}
	switch {
	case t == "" && tenancy.IsDrawnID(p.Instance): // deleted: nobody else's name in its place
		return tenancy.Instance{}, noInstance(p)
	case t == "":
		return s.anywhere(ctx, in, p.Instance)
	}
	in, err = s.byName(ctx, t, p.Instance)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return tenancy.Instance{}, noInstance(p)
	case err != nil:
		return tenancy.Instance{}, s.unavailable(ctx, err)
	}
	return in, nil
}

// noInstance names the tenant only if the caller did.
func noInstance(p InstancePath) error {
	if p.Tenant != "" {
		return problem(codeInstanceNotFound, "Tenant %.80s has no instance %.80q.", p.Tenant, p.Instance)
	}
	return problem(codeInstanceNotFound, "There is no instance %.80q.", p.Instance)
}

// byID reads an instance of a tenant, of any if t is "". ErrNotFound if what the
// caller wrote is none of its ids.
func (s *server) byID(ctx context.Context, t tenancy.TenantID, text string) (tenancy.Instance, error) {
	id, err := tenancy.ParseInstanceID(text)
	if err != nil {
		return tenancy.Instance{}, tenancy.ErrNotFound
	}
	in, err := s.cfg.Store.Instance(ctx, id)
	if err == nil && (in.State == tenancy.StateDeleted || t != "" && in.Tenant != t) {
		return tenancy.Instance{}, tenancy.ErrNotFound
	}
	return in, err
}

// byName reads an instance by its name in one tenant; ErrNotFound if it has none.
func (s *server) byName(ctx context.Context, t tenancy.TenantID, name string) (tenancy.Instance, error) {
	if t == "" || tenancy.CheckName("instance name", name) != nil {
		return tenancy.Instance{}, tenancy.ErrNotFound
	}
	return s.cfg.Store.InstanceByName(ctx, t, name)
}

// anywhere finds the one instance over all tenants that is called name, or has it for
// its id (known, the zero Instance if there is none): somebody may have chosen an id
// that is another's name. Only for callers who may see them all.
func (s *server) anywhere(ctx context.Context, known tenancy.Instance, name string) (tenancy.Instance, error) {
	if err := s.loaded(); err != nil {
		return tenancy.Instance{}, err
	}
	// The store knows of the caller's own what gateways may not have heard of yet.
	own, err := s.byName(ctx, callerOf(ctx).claims.Tenant, name)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return tenancy.Instance{}, s.unavailable(ctx, err)
	}
	whose := map[tenancy.InstanceID]tenancy.TenantID{known.ID: known.Tenant, own.ID: own.Tenant}
	for _, id := range s.cfg.Directory.Named(name) {
		if v, ok := s.cfg.Directory.View(id); ok {
			whose[id] = v.Instance.Tenant
		}
	}
	delete(whose, "") // of what there was not
	if len(whose) > 1 {
		return tenancy.Instance{}, ambiguous(whose, name)
	}
	for id := range whose {
		in, err := s.byID(ctx, "", string(id))
		if err == nil && string(in.ID) == name {
			return in, nil
		}
		if err == nil && in.Name == name {
			return in, s.onlyOne(ctx, in, name)
		}
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return tenancy.Instance{}, s.unavailable(ctx, err)
		} // else deleted, or renamed, just now
	}
	return tenancy.Instance{}, noInstance(InstancePath{Instance: name})
}

// onlyOne refuses the name of an instance that was another's id, now deleted: which is
// meant, nobody can tell, and who deletes by that id once more must not hit another.
func (s *server) onlyOne(ctx context.Context, i tenancy.Instance, name string) error {
	id, err := tenancy.ParseInstanceID(name)
	if err != nil {
		return nil
	}
	gone, err := s.cfg.Store.Instance(ctx, id)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return nil
	case err != nil:
		return s.unavailable(ctx, err)
	}
	return ambiguous(map[tenancy.InstanceID]tenancy.TenantID{i.ID: i.Tenant, gone.ID: gone.Tenant}, name)
}

// ambiguous says whose instances of a name there are.
func ambiguous(whose map[tenancy.InstanceID]tenancy.TenantID, name string) error {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(whose)) {
		if len(all) == maxNamesakes {
			all = append(all, fmt.Sprintf("and %d more", len(whose)-len(all)))
			break
		}
		all = append(all, fmt.Sprintf("%s (%s)", id, whose[id]))
	}
	return problem(codeAmbiguous, "%d instances are called %q: %s; name the tenant (--tenant, ?tenant=) or give an id.",
		len(whose), name, strings.Join(all, ", "))
}

// loaded is an error until this gateway knows all instances.
func (s *server) loaded() error {
	select {
	case <-s.cfg.Directory.Ready():
		return nil
	default:
		return problem(codeStore, "This gateway has not loaded its instances yet.")
	}
}

// called is what the caller shall call an instance in a command that it is told to
// try: its id if the caller sees all tenants, where names are not unique.
func called(ctx context.Context, i tenancy.Instance) string {
	if callerOf(ctx).rights.everyTenant {
		return string(i.ID)
	}
	return i.Name
}
