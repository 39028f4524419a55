package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/tenancy"
)

// subQuotaRoutes are the same three for a user, a client id, and both. A name that is
// api.DefaultEntity is Kafka's default entity.
func (s *server) subQuotaRoutes(a huma.API, path string) {
	user, client, both := path+"/users/{user}", path+"/clients/{client}", path+"/users/{user}/clients/{client}"
	subQuotaRoute[userQuotaInput, userEntityInput](s, a, "user-quotas", user)
	subQuotaRoute[clientQuotaInput, clientEntityInput](s, a, "client-quotas", client)
	subQuotaRoute[pairQuotaInput, pairEntityInput](s, a, "user-client-quotas", both)
}

// subQuotaTarget is what an input says of whom it is about.
type subQuotaTarget interface {
	target() (in InstancePath, e tenancy.QuotaEntity, dry bool)
	body() api.ChangeLimits
}

func subQuotaRoute[B, E any, PB interface {
	*B
	subQuotaTarget
}, PE interface {
	*E
	subQuotaTarget
}](s *server, a huma.API, id, path string) {
	route(a, "replace-"+id, subQuotasWrite, http.MethodPut, path, http.StatusOK, func(ctx context.Context, in *B) (*changedQuotasOutput, error) {
		return s.changeSubQuotas(ctx, PB(in), true)
	})
	route(a, "change-"+id, subQuotasWrite, http.MethodPatch, path, http.StatusOK, func(ctx context.Context, in *B) (*changedQuotasOutput, error) {
		return s.changeSubQuotas(ctx, PB(in), false)
	})
	route(a, "delete-"+id, subQuotasWrite, http.MethodDelete, path, http.StatusOK, func(ctx context.Context, in *E) (*changedQuotasOutput, error) {
		return s.changeSubQuotas(ctx, PE(in), true)
	})
}

// UserPart and ClientPart are exported for the same reason as ListInput.
type (
	UserPart struct {
		User string `path:"user" maxLength:"255" doc:"Name of a user, or <default> for each user without a quota of its own."`
	}
	// ClientPart is a client id in a path.
	ClientPart struct {
		Client string `path:"client" maxLength:"255" doc:"A client id, or <default> for each client id without a quota of its own."`
	}
	userEntityInput struct {
		InstancePath
		UserPart
		DryRun
	}
	clientEntityInput struct {
		InstancePath
		ClientPart
		DryRun
	}
	pairEntityInput struct {
		InstancePath
		UserPart
		ClientPart
		DryRun
	}
	userQuotaInput struct {
		InstancePath
		UserPart
		DryRun
		Body api.ChangeLimits
	}
	clientQuotaInput struct {
		InstancePath
		ClientPart
		DryRun
		Body api.ChangeLimits
	}
	pairQuotaInput struct {
		InstancePath
		UserPart
		ClientPart
		DryRun
		Body api.ChangeLimits
	}
)

func (in *userEntityInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{User: entityPart(in.User)}, in.DryRun.DryRun
}

func (in *clientEntityInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{ClientID: entityPart(in.Client)}, in.DryRun.DryRun
}

func (in *pairEntityInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{User: entityPart(in.User), ClientID: entityPart(in.Client)}, in.DryRun.DryRun
}

func (in *userQuotaInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{User: entityPart(in.User)}, in.DryRun.DryRun
}

func (in *clientQuotaInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{ClientID: entityPart(in.Client)}, in.DryRun.DryRun
}

func (in *pairQuotaInput) target() (InstancePath, tenancy.QuotaEntity, bool) {
	return in.InstancePath, tenancy.QuotaEntity{User: entityPart(in.User), ClientID: entityPart(in.Client)}, in.DryRun.DryRun
}

func (*userEntityInput) body() api.ChangeLimits     { return api.ChangeLimits{} }
func (*clientEntityInput) body() api.ChangeLimits   { return api.ChangeLimits{} }
func (*pairEntityInput) body() api.ChangeLimits     { return api.ChangeLimits{} }
func (in *userQuotaInput) body() api.ChangeLimits   { return in.Body }
func (in *clientQuotaInput) body() api.ChangeLimits { return in.Body }
func (in *pairQuotaInput) body() api.ChangeLimits   { return in.Body }

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *userQuotaInput) Resolve(huma.Context) []error { return details(subQuotaMistakes(in)) }

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *clientQuotaInput) Resolve(huma.Context) []error { return details(subQuotaMistakes(in)) }

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *pairQuotaInput) Resolve(huma.Context) []error { return details(subQuotaMistakes(in)) }

// subQuotaMistakes are all that a schema cannot see: of the twelve limits, those of
// Kafka's protocol can be a user's or client id's, and there they have no burst.
func subQuotaMistakes(in subQuotaTarget) []api.FieldError {
	all := limitMistakes(in.body())
	if _, e, _ := in.target(); e.Check() != nil {
		all = append(all, api.FieldError{Location: "path", Message: e.Check().Error()})
	}
	for _, text := range slices.Sorted(maps.Keys(in.body().Limits)) {
		k, known := tenancy.KindOf(tenancy.LimitName(text))
		v := in.body().Limits[text]
		switch {
		case known && k.SubQuota == "":
			all = append(all, api.FieldError{Location: "body.limits." + text, Message: "is of instances only; users and client ids have " + joined(subQuotaNames())})
		case known && v != nil && v.Burst != 0:
			all = append(all, api.FieldError{Location: "body.limits." + text + ".burst", Message: "is of instances only"})
		}
	}
	return all
}

// subQuotaNames are the limits that users and client ids can have.
func subQuotaNames() []tenancy.LimitName {
	return slices.DeleteFunc(tenancy.LimitNames(), func(name tenancy.LimitName) bool {
		k, _ := tenancy.KindOf(name)
		return k.SubQuota == ""
	})
}

func entityPart(name string) *string {
	if name == api.DefaultEntity {
		name = ""
	}
	return &name
}

func viewPart(name *string) *string {
	if name != nil && *name == "" {
		byDefault := api.DefaultEntity
		return &byDefault
	}
	return name
}

// changeSubQuotas answers when the quotas are in force, on open connections too.
// whole: of the entity nothing else stays.
func (s *server) changeSubQuotas(ctx context.Context, in subQuotaTarget, whole bool) (*changedQuotasOutput, error) {
	path, e, dry := in.target()
	i, err := s.findLive(ctx, path)
	if err != nil {
		return nil, err
	}
	all, err := s.cfg.Store.Quotas(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	was := subBounds(e, nil)
	if n := slices.IndexFunc(all, func(q tenancy.Quota) bool { return q.Entity.Equal(e) }); n >= 0 {
		was = subBounds(e, all[n].Values)
	}
	put, remove := subQuotaChange(in.body(), e, whole)
	will := maps.Clone(was)
	for _, k := range remove {
		delete(will, limitOfKey(k.Key))
	}
	maps.Copy(will, subBounds(e, put.Values))
	out, rev := &changedQuotasOutput{}, tenancy.Revision(0)
	if !dry {
		rev, err = s.cfg.Store.ChangeQuotas(ctx, i.ID, []tenancy.Quota{put}, remove)
		if err = s.written(ctx, err); err != nil {
			return nil, s.quotaRefused(ctx, err, i)
		}
		out.Revision = strconv.FormatInt(int64(rev), 10)
	}
	for _, name := range subQuotaNames() { // so that what is not there has a source too
		for _, b := range []bounds{was, will} {
			if _, ok := b[name]; !ok {
				b[name] = api.Bound{Source: string(tenancy.SourceNone)}
			}
		}
	}
	did := changes(was, will, nil, nil)
	for n := range did {
		did[n].User, did[n].ClientID = viewPart(e.User), viewPart(e.ClientID)
	}
	out.Body = s.changedQuotas(ctx, i.Tenant, dry, rev, did)
	return out, nil
}

// subQuotaChange is a body as the store wants it.
func subQuotaChange(b api.ChangeLimits, e tenancy.QuotaEntity, whole bool) (put tenancy.Quota, remove []tenancy.QuotaKey) {
	put = tenancy.Quota{Entity: e, Values: map[string]float64{}}
	for _, name := range subQuotaNames() {
		k, _ := tenancy.KindOf(name)
		v, named := b.Limits[string(name)]
		switch {
		case v != nil:
			put.Values[k.SubQuota] = v.Limit
		case named || whole:
			remove = append(remove, tenancy.QuotaKey{Entity: e, Key: k.SubQuota})
		}
	}
	return put, remove
}

// limitOfKey is the limit that a key of Kafka's protocol sets.
func limitOfKey(key string) tenancy.LimitName {
	for _, name := range subQuotaNames() {
		if k, _ := tenancy.KindOf(name); k.SubQuota == key {
			return name
		}
	}
	return ""
}

// subBounds are an entity's, without those that it does not have.
func subBounds(e tenancy.QuotaEntity, values map[string]float64) bounds {
	source := "user_and_client_id"
	switch {
	case e.ClientID == nil:
		source = "user"
	case e.User == nil:
		source = "client_id"
	}
	all := make(bounds, len(values))
	for key, value := range values {
		all[limitOfKey(key)] = api.Bound{Limit: &value, Source: source}
	}
	return all
}

// viewSubQuotas is the caller's form, never nil.
func viewSubQuotas(all []tenancy.Quota) []api.SubQuota {
	out := make([]api.SubQuota, len(all))
	for i, q := range all {
		out[i] = api.SubQuota{User: viewPart(q.Entity.User), ClientID: viewPart(q.Entity.ClientID), Limits: map[string]api.Bound{}}
		for name, b := range subBounds(q.Entity, q.Values) {
			out[i].Limits[string(name)] = b
		}
	}
	return out
}
