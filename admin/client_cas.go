package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

// maxShown is how many certificates may be sent to be checked: more than a client may show.
const maxShown = 16

func (s *server) clientCARoutes(a huma.API) {
	const path = "/v1/instances/{instance}/client-cas"
	route(a, "list-client-cas", accessRead, http.MethodGet, path, http.StatusOK, s.listClientCAs)
	route(a, "get-client-ca", accessRead, http.MethodGet, path+"/{name}", http.StatusOK, s.getClientCA)
	route(a, "put-client-ca", accessWrite, http.MethodPut, path+"/{name}", http.StatusOK, s.putClientCA)
	route(a, "delete-client-ca", accessWrite, http.MethodDelete, path+"/{name}", http.StatusNoContent, s.deleteClientCA)
	route(a, "check-certificate", accessRead, http.MethodPost, path+"/check", http.StatusOK, s.checkCertificate)
	const policy = "/v1/instances/{instance}/authentication"
	route(a, "get-authentication", accessRead, http.MethodGet, policy, http.StatusOK, s.getAuthentication)
	route(a, "change-authentication", accessWrite, http.MethodPatch, policy, http.StatusOK, s.patchAuthentication)
}

type listClientCAsOutput struct{ Body api.ClientCAs }

func (s *server) listClientCAs(ctx context.Context, in *InstancePath) (*listClientCAsOutput, error) {
	_, all, err := s.clientCAs(ctx, *in)
	if err != nil {
		return nil, err
	}
	out := &listClientCAsOutput{Body: api.ClientCAs{Items: []api.ClientCA{}}}
	for _, c := range all {
		out.Body.Items = append(out.Body.Items, viewClientCA(c))
	}
	return out, nil
}

// clientCAs reads those of an instance that the caller may see.
func (s *server) clientCAs(ctx context.Context, p InstancePath) (tenancy.Instance, []tenancy.ClientCA, error) {
	i, err := s.find(ctx, p)
	if err != nil {
		return i, nil, err
	}
	all, err := s.cfg.Store.ClientCAs(ctx, i.ID)
	if err != nil {
		return i, nil, s.changed(ctx, err, i.ID, "")
	}
	return i, all, nil
}

// ClientCAPath is exported for the same reason as ListInput.
type ClientCAPath struct {
	InstancePath
	Name string `path:"name" maxLength:"64" pattern:"^[A-Za-z0-9._-]+$"`
}

type clientCAOutput struct{ Body api.ClientCA }

func (s *server) getClientCA(ctx context.Context, in *ClientCAPath) (*clientCAOutput, error) {
	i, all, err := s.clientCAs(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Name == in.Name {
			out := &clientCAOutput{Body: viewClientCA(c)}
			out.Body.PEM = &api.ClientCAPEM{Certificates: c.Certificates, CRLs: c.CRLs}
			return out, nil
		}
	}
	return nil, problem(codeClientCANotFound, "Instance %s has no client CA %.80q.", i.Name, in.Name)
}

type putClientCAInput struct {
	ClientCAPath
	Body api.PutClientCA
}

type putClientCAOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.ChangedClientCA
}

// putClientCA answers when it is in force: connections whose certificate does not
// count any more are closed.
func (s *server) putClientCA(ctx context.Context, in *putClientCAInput) (*putClientCAOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	ca := tenancy.ClientCA{Name: in.Name, Certificates: in.Body.Certificates, CRLs: in.Body.CRLs, CreatedAt: s.cfg.Now()}
	for _, r := range in.Body.Rules {
		ca.Rules = append(ca.Rules, tenancy.CertificateRule{From: r.From, Pattern: r.Pattern, User: r.User, Case: r.Case})
	}
	ca, rev, err := s.cfg.Store.PutClientCA(ctx, i.ID, ca)
	switch err = s.written(ctx, err); {
	case errors.Is(err, tenancy.ErrClientCA):
		_, why, _ := strings.Cut(err.Error(), tenancy.ErrClientCA.Error()+" "+in.Name+": ")
		return nil, invalid(api.FieldError{Location: "body", Message: why})
	case errors.Is(err, tenancy.ErrFull):
		return nil, problem(codeClientCAsFull, "Instance %s may have %d client CAs at most; nothing was changed.", i.Name, tenancy.MaxClientCAs)
	case err != nil:
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &putClientCAOutput{Revision: strconv.FormatInt(int64(rev), 10)}
	out.Body = api.ChangedClientCA{ClientCA: viewClientCA(ca), ReadyOn: s.applied(ctx, rev)}
	return out, nil
}

// deleteClientCA answers when the connections that hung on it are closed.
func (s *server) deleteClientCA(ctx context.Context, in *ClientCAPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	rev, err := s.cfg.Store.DeleteClientCA(ctx, i.ID, in.Name)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil, problem(codeClientCANotFound, "Instance %s has no client CA %.80q.", i.Name, in.Name)
	}
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	s.applied(ctx, rev)
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}

type checkCertificateInput struct {
	InstancePath
	Body api.CheckCertificate
}

type checkCertificateOutput struct{ Body api.CheckedCertificate }

// checkCertificate says what the gateways would make of a certificate.
func (s *server) checkCertificate(ctx context.Context, in *checkCertificateInput) (*checkCertificateOutput, error) {
	_, all, err := s.clientCAs(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	shown, err := tenancy.ParseCertificates(in.Body.Certificate, maxShown)
	if err == nil && len(shown) == 0 {
		err = errors.New("there is no certificate in it: use PEM, -----BEGIN CERTIFICATE-----")
	}
	if err != nil {
		return nil, invalid(api.FieldError{Location: "body.certificate", Message: err.Error()})
	}
	v := auth.JudgeCertificate(all, shown, s.cfg.Now())
	return &checkCertificateOutput{Body: api.CheckedCertificate{
		User: v.User, ClientCA: v.CA, Rule: v.Rule, Reason: string(v.Why), Detail: v.Detail,
	}}, nil
}

// viewClientCA is the caller's form, without PEM. What cannot be read, since
// somebody else has written it, shows no certificates.
func viewClientCA(c tenancy.ClientCA) api.ClientCA {
	out := api.ClientCA{
		Name: c.Name, CreatedAt: c.CreatedAt.UTC(),
		Certificates: []api.CertificateOfCA{}, CRLs: []api.CRL{}, Rules: []api.CertificateRule{},
	}
	anchors, crls, _ := c.Parse()
	for _, a := range anchors {
		sum := sha256.Sum256(a.Raw)
		out.Certificates = append(out.Certificates, api.CertificateOfCA{
			Subject: a.Subject.String(), Fingerprint: hex.EncodeToString(sum[:]), NotAfter: a.NotAfter.UTC(),
		})
	}
	for _, l := range crls {
		crl := api.CRL{Issuer: l.Issuer.String(), Revoked: len(l.RevokedCertificateEntries)}
		if next := l.NextUpdate.UTC(); !l.NextUpdate.IsZero() {
			crl.NextUpdate = &next
		}
		out.CRLs = append(out.CRLs, crl)
	}
	for _, r := range c.Rules {
		out.Rules = append(out.Rules, api.CertificateRule{From: r.From, Pattern: r.Pattern, User: r.User, Case: r.Case})
	}
	return out
}
