package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/admin/api"
	"weir/tenancy"
)

type authenticationOutput struct{ Body api.Authentication }

func (s *server) getAuthentication(ctx context.Context, in *InstancePath) (*authenticationOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	a, err := s.cfg.Store.Authentication(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	return &authenticationOutput{Body: viewAuthentication(a)}, nil
}

type patchAuthenticationInput struct {
	InstancePath
	Body api.PatchAuthentication
}

type patchAuthenticationOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.ChangedAuthentication
}

// patchAuthentication answers when connections that do not satisfy the policy are
// closed. Of two at the same time, one counts.
func (s *server) patchAuthentication(ctx context.Context, in *patchAuthenticationInput) (*patchAuthenticationOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	a, err := s.cfg.Store.Authentication(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	if m := in.Body.Mechanisms; m != nil {
		a.Mechanisms = *m
	}
	if r := in.Body.RequireCertificate; r != nil {
		a.RequireCertificate = *r
	}
	if r := in.Body.RequireSASL; r != nil {
		a.RequireSASL = *r
	}
	if err := s.policyMistakes(ctx, i, a, in.Body); err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.PutAuthentication(ctx, i.ID, a)
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &patchAuthenticationOutput{Revision: strconv.FormatInt(int64(rev), 10)}
	out.Body = api.ChangedAuthentication{Authentication: viewAuthentication(a), ReadyOn: s.applied(ctx, rev)}
	return out, nil
}

// policyMistakes refuses a policy by which nobody could come in.
func (s *server) policyMistakes(ctx context.Context, i tenancy.Instance, a tenancy.Authentication, body api.PatchAuthentication) error {
	var mistakes []api.FieldError
	for n, m := range a.Mechanisms {
		switch {
		case !slices.Contains(s.cfg.Mechanisms, m):
			why := fmt.Sprintf("%.40q is none that is offered: %s", m, strings.Join(s.cfg.Mechanisms, ", "))
			mistakes = append(mistakes, api.FieldError{Location: fmt.Sprintf("body.mechanisms[%d]", n), Message: why})
		case slices.Contains(a.Mechanisms[:n], m):
			mistakes = append(mistakes, api.FieldError{Location: fmt.Sprintf("body.mechanisms[%d]", n), Message: "is there twice"})
		}
	}
	if body.RequireCertificate != nil && a.RequireCertificate {
		all, err := s.cfg.Store.ClientCAs(ctx, i.ID)
		if err != nil {
			return s.changed(ctx, err, i.ID, "")
		}
		if len(all) == 0 {
			mistakes = append(mistakes, api.FieldError{
				Location: "body.require_certificate", Message: "the instance has no client CA, so that nobody could come in: weir client-ca set " + called(ctx, i) + " NAME ...",
			})
		}
	}
	if len(mistakes) > 0 {
		return invalid(mistakes...)
	}
	return nil
}

func viewAuthentication(a tenancy.Authentication) api.Authentication {
	out := api.Authentication{Mechanisms: []string{}, RequireCertificate: a.RequireCertificate, RequireSASL: a.RequireSASL}
	out.Mechanisms = append(out.Mechanisms, a.Mechanisms...)
	return out
}
