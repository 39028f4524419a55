package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"weir/admin/api"
	"weir/tenancy"
)

// idAttempts is how often a generated id that is taken is drawn again; with 40
// random bits once is already rare.
const idAttempts = 4

type createInstanceInput struct {
	Body api.CreateInstance
}

type createInstanceOutput struct {
	Location string `header:"Location"`
	Revision string `header:"Weir-Revision"`
	Body     api.CreatedInstance
}

// mistakes are those that a JSON schema cannot say. Pure: what is taken or
// unknown is found out later.
func (in *createInstanceInput) mistakes() []api.FieldError {
	var out []api.FieldError
	note := func(field string, err error) {
		if err != nil {
			out = append(out, api.FieldError{Location: "body." + field, Message: err.Error()})
		}
	}
	b := &in.Body
	if b.ID == "" && b.Name == "" {
		note("name", errors.New("give a name, an id, or both"))
	}
	if b.ID != "" {
		_, err := tenancy.ParseInstanceID(b.ID)
		note("id", err)
	}
	if b.Name != "" {
		note("name", tenancy.CheckName("instance name", b.Name))
	}
	if b.Tenant != "" {
		_, err := tenancy.ParseTenantID(b.Tenant)
		note("tenant", err)
	}
	if b.AdminUser != nil {
		out = append(out, userMistakes(b.AdminUser, "body.admin_user.")...)
	}
	return out
}

// createInstance answers when the live gateways can serve the new instance.
func (s *server) createInstance(ctx context.Context, in *createInstanceInput) (*createInstanceOutput, error) {
	want, err := s.planned(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	free := s.idFree(ctx, want)
	var users []tenancy.User
	var password string
	if in.Body.AdminUser != nil {
		u, shown, err := s.newUser(*in.Body.AdminUser, "body.admin_user.")
		if err != nil {
			return nil, err
		}
		users, password = append(users, u), shown
	}
	if err := free(); err != nil {
		return nil, err
	}
	if err := s.cfg.Identities.Can(ctx, want); err != nil {
		return nil, s.noIdentities(ctx, want, err)
	}
	made, rev, err := s.create(ctx, want, users)
	if err != nil {
		return nil, err
	}
	rev, whole := s.identified(ctx, made, rev)
	out := &createInstanceOutput{
		Location: "/v1/instances/" + string(made.ID),
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.CreatedInstance{Instance: s.instance(made), ReadyOn: s.applied(ctx, rev)},
	}
	if !whole {
		out.Body.ReadyOn.Gateways = 0
	}
	for _, u := range users {
		out.Body.Credentials = &api.Credentials{Username: s.cfg.Username(made.ID, u.Name), Password: password}
	}
	return out, nil
}

// planned fills in what the body leaves open. The ID stays empty if it is to be generated.
func (s *server) planned(ctx context.Context, b api.CreateInstance) (tenancy.Instance, error) {
	c := callerOf(ctx)
	tenant := cmp.Or(tenancy.TenantID(b.Tenant), c.claims.Tenant)
	if tenant == "" {
		return tenancy.Instance{}, invalid(api.FieldError{Location: "body.tenant", Message: "the token names no tenant, so the body must"})
	}
	if !c.owns(tenant) {
		return tenancy.Instance{}, problem(codeTenantNotFound, "There is no tenant %.80q.", tenant)
	}
	plan := cmp.Or(b.Plan, s.cfg.Plans[0])
	if err := s.planThere(plan); err != nil {
		return tenancy.Instance{}, err
	}
	cluster, err := tenancy.NewClusterID(s.cfg.Rand)
	if err != nil {
		return tenancy.Instance{}, err
	}
	return tenancy.Instance{
		ID:        tenancy.InstanceID(b.ID),
		Name:      cmp.Or(b.Name, b.ID),
		Tenant:    tenant,
		Plan:      plan,
		Pool:      s.cfg.DefaultPool,
		State:     tenancy.StateActive,
		ClusterID: cluster,
		CreatedAt: s.cfg.Now().UTC(),
	}, nil
}

// create writes the instance and its users, all or nothing, under a generated
// id if it has none.
func (s *server) create(ctx context.Context, want tenancy.Instance, users []tenancy.User) (tenancy.Instance, tenancy.Revision, error) {
	generate := want.ID == ""
	for attempt := 1; ; attempt++ {
		if generate {
			id, err := tenancy.NewInstanceID(s.cfg.Rand)
			if err != nil {
				return tenancy.Instance{}, 0, err
			}
			want.ID = id
		}
		made, rev, err := s.cfg.Store.CreateInstance(ctx, want, users...)
		switch err = s.written(ctx, err); {
		case err == nil:
			return made, rev, nil
		case errors.Is(err, tenancy.ErrExists) && generate && attempt < idAttempts:
			continue
		case errors.Is(err, tenancy.ErrExists):
			p := problem(codeInstanceIDTaken, "The id %s is taken; ids are unique over all tenants and never used again.", want.ID)
			p.Errors = []api.FieldError{{Location: "body.id", Message: "taken"}}
			return tenancy.Instance{}, 0, p
		case errors.Is(err, tenancy.ErrOwned):
			return tenancy.Instance{}, 0, s.idHeld(ctx, want.ID, "")
		case errors.Is(err, tenancy.ErrNameTaken):
			return tenancy.Instance{}, 0, s.nameTaken(ctx, want)
		}
		return tenancy.Instance{}, 0, s.changed(ctx, err, want.ID, "")
	}
}

// nameTaken says by which instance of the same tenant.
func (s *server) nameTaken(ctx context.Context, want tenancy.Instance) error {
	holder, try := "", "weir instance list"
	if in, err := s.cfg.Store.InstanceByName(ctx, want.Tenant, want.Name); err == nil {
		holder, try = " ("+string(in.ID)+")", "weir instance get "+called(ctx, in)
	}
	p := problem(codeNameTaken, "Tenant %s has an instance %s%s.", want.Tenant, want.Name, holder)
	p.Errors = []api.FieldError{{Location: "body.name", Message: "taken"}}
	p.Try = try
	return p
}

// ListInput is exported because huma does not fill an embedded struct that is not.
type ListInput struct {
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
	After string `query:"after" maxLength:"64" doc:"next of the page before."`
}

type listInstancesInput struct {
	ListInput
	Tenant string `query:"tenant" maxLength:"32" doc:"Only those of one tenant."`
}

type listInstancesOutput struct{ Body api.Instances }

// listInstances reads the directory, not the store: it is in memory and no
// older than the last write that was answered. In order of id.
func (s *server) listInstances(ctx context.Context, in *listInstancesInput) (*listInstancesOutput, error) {
	if err := s.loaded(); err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	var found []tenancy.Instance
	s.cfg.Directory.Each(func(v *tenancy.View) bool {
		i := v.Instance
		if c.owns(i.Tenant) && (in.Tenant == "" || in.Tenant == string(i.Tenant)) && string(i.ID) > in.After {
			found = append(found, i)
		}
		return true
	})
	slices.SortFunc(found, func(a, b tenancy.Instance) int { return strings.Compare(string(a.ID), string(b.ID)) })
	out := &listInstancesOutput{Body: api.Instances{Items: []api.Instance{}}}
	for _, i := range found[:min(in.Limit, len(found))] {
		out.Body.Items = append(out.Body.Items, s.instance(i))
	}
	if len(found) > in.Limit {
		out.Body.Next = &out.Body.Items[in.Limit-1].ID
	}
	return out, nil
}

type instanceOutput struct {
	Location string `header:"Location"`
	Revision string `header:"Weir-Revision"`
	Body     api.Instance
}

func (s *server) getInstance(ctx context.Context, in *InstancePath) (*instanceOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	return &instanceOutput{Body: s.instance(i)}, nil
}

// deleteInstance cuts its clients off at once; the reaper then removes its
// topics and groups. Deleting again changes nothing.
func (s *server) deleteInstance(ctx context.Context, in *InstancePath) (*instanceOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	out := &instanceOutput{Location: "/v1/instances/" + string(i.ID)}
	if i.State != tenancy.StateDeleting {
		deleting, rev, err := s.cfg.Store.UpdateInstance(ctx, i.ID, func(i *tenancy.Instance) error {
			if i.State == tenancy.StateDeleted {
				return problem(codeInstanceNotFound, "There is no instance %.80q.", in.Instance)
			}
			i.State = tenancy.StateDeleting
			return nil
		})
		if err = s.written(ctx, err); err != nil {
			return nil, s.changed(ctx, err, i.ID, "")
		}
		out.Revision = strconv.FormatInt(int64(rev), 10)
		s.applied(ctx, rev)
		i = deleting
	}
	out.Body = s.instance(i)
	return out, nil
}

// instance is what a caller sees of it: never the pool's own names.
func (s *server) instance(i tenancy.Instance) api.Instance {
	protocol := "SASL_SSL"
	if s.cfg.Plaintext {
		protocol = "SASL_PLAINTEXT"
	}
	return api.Instance{
		ID: string(i.ID), Name: i.Name, Tenant: string(i.Tenant), Plan: i.Plan, Pool: i.Pool,
		State: string(i.State), Restraint: string(i.Restraint), CreatedAt: i.CreatedAt.UTC(), Version: i.Version,
		Bootstrap:        s.cfg.Endpoints(i.ID),
		SecurityProtocol: protocol,
		Mechanisms:       s.cfg.Mechanisms,
		CA:               string(s.cfg.CA),
		OwnBootstrap:     s.ownBootstrap(i.ID),
	}
}

// ownBootstrap are the addresses at an instance's own host names, from memory.
func (s *server) ownBootstrap(id tenancy.InstanceID) (all []string) {
	v, ok := s.cfg.Directory.View(id)
	if !ok {
		return nil
	}
	for _, h := range v.Access.Hosts {
		all = append(all, s.hostBootstrap(h.Name)...)
	}
	return all
}
