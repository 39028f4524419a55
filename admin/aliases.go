package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"weir/admin/api"
	"weir/tenancy"
)

type createAliasesInput struct {
	InstancePath
	Body api.CreateAliases
}

type createAliasesOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.CreatedAliases
}

// createAliases answers when the gateways map the names. Open connections of the
// instance leave within a second then, so that they come back with them.
func (s *server) createAliases(ctx context.Context, in *createAliasesInput) (*createAliasesOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	aliases := make([]tenancy.Alias, 0, len(in.Body.Aliases))
	items := make([]api.Alias, 0, len(in.Body.Aliases))
	var mistakes []api.FieldError
	for n, a := range in.Body.Aliases {
		alias := tenancy.Alias{Kind: tenancy.Kind(a.Kind), Virtual: a.Name, Physical: a.Physical, ReadOnly: a.ReadOnly}
		if err := alias.Check(i.ID); err != nil {
			mistakes = append(mistakes, api.FieldError{Location: fmt.Sprintf("body.aliases[%d]", n), Message: err.Error()})
		}
		aliases, items = append(aliases, alias), append(items, a.Alias)
	}
	if len(mistakes) > 0 {
		return nil, invalid(mistakes...)
	}
	if err := s.importable(ctx, i, aliases); err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.PutAliases(ctx, i.ID, aliases...)
	if err = s.written(ctx, err); err != nil {
		return nil, s.aliasRefused(ctx, err, i)
	}
	rev, whole := s.identified(ctx, i, rev)
	out := &createAliasesOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.CreatedAliases{Items: items, ReadyOn: s.applied(ctx, rev)},
	}
	if !whole {
		out.Body.ReadyOn.Gateways = 0
	}
	return out, nil
}

// aliasRefused translates the store's refusal; it says of which name.
func (s *server) aliasRefused(ctx context.Context, err error, i tenancy.Instance) error {
	switch {
	case errors.Is(err, tenancy.ErrExists):
		p := problem(codeAliasTaken, "%s.", err)
		p.Try = "weir alias list " + called(ctx, i)
		return p
	case errors.Is(err, tenancy.ErrPrefixed):
		return problem(codeAliasOwned, "%s.", err)
	case errors.Is(err, tenancy.ErrOwned):
		p := problem(codeAliasOwned, "%s.", err)
		p.Try = "if it is a topic, share it: weir alias add --read-only ..."
		return p
	case errors.Is(err, tenancy.ErrFull):
		return problem(codeAliasesFull, "%s.", err)
	}
	return s.changed(ctx, err, i.ID, "")
}

type listAliasesOutput struct{ Body api.Aliases }

func (s *server) listAliases(ctx context.Context, in *InstancePath) (*listAliasesOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	aliases, err := s.cfg.Store.Aliases(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &listAliasesOutput{Body: api.Aliases{Items: []api.Alias{}}}
	for _, a := range aliases {
		out.Body.Items = append(out.Body.Items, api.Alias{Kind: string(a.Kind), Name: a.Virtual, Physical: a.Physical, ReadOnly: a.ReadOnly})
	}
	return out, nil
}

type aliasPath struct {
	InstancePath
	Kind string `path:"kind" enum:"topic,group,transactional-id"`
	Name string `path:"name"`
}

// deleteAlias answers when the gateways have closed the connections that know the
// alias. What it stood for stays in the pool.
func (s *server) deleteAlias(ctx context.Context, in *aliasPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.DeleteAlias(ctx, i.ID, tenancy.Kind(in.Kind), in.Name)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil, problem(codeAliasNotFound, "Instance %s has no alias for the %s %.80q.", i.Name, in.Kind, in.Name)
	}
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	s.applied(ctx, rev)
	s.identified(ctx, i, rev) // after its connections, which have no use for an error
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}
