package admin

import (
	"context"
	"errors"
	"time"

	"weir/admin/api"
	"weir/tenancy"
)

type listEventsInput struct {
	ListInput
	Kind     string `query:"kind" enum:"refused" default:"refused" doc:"Connections that were refused or thrown out."`
	Instance string `query:"instance" maxLength:"64" doc:"Id or display name, as in paths. Absent: those that named no instance that there is; only for operators."`
	Tenant   string `query:"tenant" maxLength:"32" doc:"Whose instance it is; only operators may name another tenant than the token's."`
	Since    string `query:"since" maxLength:"40" doc:"Only those from then on (RFC 3339), or of the last while (such as 1h). A day is kept." example:"1h"`
}

type listEventsOutput struct{ Body api.Refusals }

// listEvents reads the store: any gateway shows what all have refused.
func (s *server) listEvents(ctx context.Context, in *listEventsInput) (*listEventsOutput, error) {
	since, err := s.since(in.Since)
	if err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	var i tenancy.Instance
	switch {
	case in.Instance != "":
		if i, err = s.find(ctx, InstancePath{Instance: in.Instance, Tenant: in.Tenant}); err != nil {
			return nil, err
		}
	case in.Tenant != "" && c.rights.everyTenant:
		return nil, invalid(api.FieldError{Location: "query.tenant", Message: "names whose instance it is, so instance must be there"})
	case !c.rights.everyTenant:
		return nil, problem(codeNotAllowed, "Only operators see what named no instance; say which one: ?instance=NAME.")
	}
	page, next, err := s.cfg.Store.Refusals(ctx, i.ID, since, in.After, in.Limit)
	if errors.Is(err, tenancy.ErrCursor) {
		return nil, invalid(api.FieldError{Location: "query.after", Message: "is no next of this list"})
	} else if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	out := &listEventsOutput{Body: api.Refusals{Items: make([]api.Refusal, 0, len(page))}}
	for _, r := range page {
		view := viewRefusal(r)
		view.Tenant = string(i.Tenant)
		if !c.rights.everyTenant {
			view.Gateway = ""
		}
		out.Body.Items = append(out.Body.Items, s.cfg.Explain(view))
	}
	if next != "" {
		out.Body.Next = &next
	}
	return out, nil
}

// since is the moment that a caller wrote; a day ago if nothing.
func (s *server) since(text string) (time.Time, error) {
	if text == "" {
		return s.cfg.Now().Add(-tenancy.RefusalsKept), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return s.cfg.Now().Add(-d), nil
	}
	return time.Time{}, invalid(api.FieldError{Location: "query.since", Message: "is neither a time as in 2026-11-22T20:00:00Z nor a duration as in 1h30m"})
}

// viewRefusal is what a caller sees, without its explanation.
func viewRefusal(r tenancy.Refusal) api.Refusal {
	v := api.Refusal{
		ID: r.ID, Kind: "refused", At: r.Last.UTC(), First: r.First.UTC(), Count: r.Count, Instance: string(r.Instance),
		Cloud: r.Cloud, EndpointID: r.EndpointID,
		Gateway: r.Gateway, Endpoint: r.Endpoint, Host: r.Host, Mechanism: r.Mechanism, User: r.User, Reason: r.Reason,
	}
	switch {
	case r.Address.IsSingleIP():
		v.Address = r.Address.Addr().String()
	case r.Address.IsValid():
		v.Address = r.Address.String()
	}
	return v
}
