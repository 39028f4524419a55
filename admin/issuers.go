package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

// Issuers is what the gateway knows of issuers; *auth.Authenticator provides it.
// Any goroutine.
type Issuers interface {
	// AllowIssuer says why the operator's configuration does not allow it.
	AllowIssuer(i tenancy.Issuer) error
	// IssuerKeys may take 2 s.
	IssuerKeys(i tenancy.Issuer) auth.KeyState
	// CheckToken says what a login with the token would end in; it may take 2 s.
	CheckToken(id tenancy.InstanceID, token string) auth.TokenCheck
}

func (s *server) issuerRoutes(a huma.API) {
	route(a, "list-issuers", accessRead, http.MethodGet, "/v1/instances/{instance}/issuers", http.StatusOK, s.listIssuers)
	route(a, "get-issuer", accessRead, http.MethodGet, "/v1/instances/{instance}/issuers/{name}", http.StatusOK, s.getIssuer)
	route(a, "put-issuer", accessWrite, http.MethodPut, "/v1/instances/{instance}/issuers/{name}", http.StatusOK, s.putIssuer)
	route(a, "delete-issuer", accessWrite, http.MethodDelete, "/v1/instances/{instance}/issuers/{name}", http.StatusNoContent, s.deleteIssuer)
	route(a, "check-token", accessWrite, http.MethodPost, "/v1/instances/{instance}/issuers/check", http.StatusOK, s.checkToken)
}

type listIssuersOutput struct{ Body api.Issuers }

func (s *server) listIssuers(ctx context.Context, in *InstancePath) (*listIssuersOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	issuers, err := s.cfg.Store.Issuers(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &listIssuersOutput{Body: api.Issuers{Items: make([]api.Issuer, len(issuers))}}
	var wg sync.WaitGroup
	for n, one := range issuers { // each may wait for its keys
		wg.Go(func() { out.Body.Items[n] = s.issuer(one) })
	}
	wg.Wait()
	return out, nil
}

type issuerPath struct {
	InstancePath
	Name string `path:"name" maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$"`
}

type issuerOutput struct{ Body api.Issuer }

func (s *server) getIssuer(ctx context.Context, in *issuerPath) (*issuerOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	issuers, err := s.cfg.Store.Issuers(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	for _, one := range issuers {
		if one.Name == in.Name {
			return &issuerOutput{Body: s.issuer(one)}, nil
		}
	}
	return nil, problem(codeIssuerNotFound, "Instance %s has no issuer %.80q.", i.Name, in.Name)
}

type putIssuerInput struct {
	InstancePath
	Name string `path:"name" maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$"`
	Body api.PutIssuer
}

type putIssuerOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.ChangedIssuer
}

// putIssuer answers when the gateways believe the issuer. Sessions that it let in
// under other rules are closed then.
func (s *server) putIssuer(ctx context.Context, in *putIssuerInput) (*putIssuerOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	b := in.Body
	want := tenancy.Issuer{
		Name: in.Name, URL: b.URL, JWKSURL: b.JWKSURL, Audiences: b.Audiences, Scopes: b.Scopes,
		Claims: b.Claims, PrincipalClaim: b.PrincipalClaim, CreatedAt: s.cfg.Now().UTC(),
	}
	if err := want.Check(); err != nil {
		return nil, invalid(api.FieldError{Location: "body", Message: err.Error()})
	}
	if err := s.cfg.Issuers.AllowIssuer(want); err != nil {
		return nil, problem(codeIssuerNotAllowed, "%s.", err)
	}
	made, rev, err := s.cfg.Store.PutIssuer(ctx, i.ID, want)
	switch err = s.written(ctx, err); {
	case errors.Is(err, tenancy.ErrExists):
		return nil, problem(codeIssuerTaken, "Instance %s has an issuer of %.200q under another name.", i.Name, want.URL)
	case errors.Is(err, tenancy.ErrFull):
		return nil, problem(codeIssuersFull, "Instance %s has %d issuers, the most it may have.", i.Name, tenancy.MaxIssuers)
	case err != nil:
		return nil, s.changed(ctx, err, i.ID, "")
	}
	ready := s.applied(ctx, rev)
	return &putIssuerOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.ChangedIssuer{Issuer: s.issuer(made), ReadyOn: ready},
	}, nil
}

// deleteIssuer answers when the gateways have closed the sessions of its tokens.
func (s *server) deleteIssuer(ctx context.Context, in *issuerPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.DeleteIssuer(ctx, i.ID, in.Name)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil, problem(codeIssuerNotFound, "Instance %s has no issuer %.80q.", i.Name, in.Name)
	}
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	s.applied(ctx, rev)
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}

type checkTokenInput struct {
	InstancePath
	Body api.CheckToken
}

type checkTokenOutput struct{ Body api.CheckedToken }

// checkToken tells an admin what a client is not told.
func (s *server) checkToken(ctx context.Context, in *checkTokenInput) (*checkTokenOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	found := s.cfg.Issuers.CheckToken(i.ID, in.Body.Token)
	out := api.CheckedToken{
		Accepted: found.Reason == "", Reason: string(found.Reason), Claim: found.Claim, User: found.User, Issuer: found.Issuer,
	}
	if !found.Until.IsZero() {
		until := found.Until.UTC()
		out.ExpiresAt = &until
	}
	return &checkTokenOutput{Body: out}, nil
}

// issuer is what a caller sees of it, with the state of its keys.
func (s *server) issuer(i tenancy.Issuer) api.Issuer {
	out := api.Issuer{
		Name: i.Name, URL: i.URL, JWKSURL: i.JWKSURL, Audiences: i.Audiences, Scopes: append([]string{}, i.Scopes...),
		Claims: i.Claims, PrincipalClaim: i.PrincipalClaim, CreatedAt: i.CreatedAt.UTC(),
	}
	if out.PrincipalClaim == "" {
		out.PrincipalClaim = "sub"
	}
	keys := s.cfg.Issuers.IssuerKeys(i)
	out.Keys.IDs = append([]string{}, keys.IDs...)
	if !keys.FetchedAt.IsZero() {
		at := keys.FetchedAt.UTC()
		out.Keys.FetchedAt = &at
	}
	if keys.Error != nil {
		out.Keys.Error = keys.Error.Error()
	}
	return out
}
