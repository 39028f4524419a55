package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
	"weir/tenancy"
)

// endsSoon is how long before its end a certificate is spoken of.
const endsSoon = 30 * 24 * time.Hour

// HostPath is exported for the same reason as ListInput.
type HostPath struct {
	InstancePath
	Name string `path:"name" doc:"The host name; its brokers are b<node>.name."`
}

type setHostInput struct {
	HostPath
	Body api.SetHost
}

type setHostOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.ChangedHost
}

// setHost answers when the gateways serve the certificate: new handshakes have it,
// open connections stay. The key never comes back, nor is any of it in an error.
func (s *server) setHost(ctx context.Context, in *setHostInput) (*setHostOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	if s.cfg.Sealer == nil {
		return nil, problem(codeNoSealer, "The gateway has no key to keep a certificate's key under.")
	}
	name, err := tenancy.ParseHostName(in.Name)
	if err != nil {
		return nil, invalid(api.FieldError{Location: "path.name", Message: err.Error()})
	}
	if own := s.ownName(name); own != "" {
		return nil, problem(codeHostNotAllowed, "%s is taken by the gateway's own %s: choose a name elsewhere.", name, own)
	}
	h, err := tenancy.NewHost(s.cfg.Sealer, i.ID, name, in.Body.CertificateChain, in.Body.PrivateKey, s.cfg.Now())
	if err != nil {
		return nil, invalid(api.FieldError{Location: "body.certificate_chain", Message: err.Error()})
	}
	h, rev, err := s.cfg.Store.PutHost(ctx, i.ID, h)
	switch err = s.written(ctx, err); {
	case err == nil:
	case errors.Is(err, tenancy.ErrOwned):
		return nil, problem(codeHostTaken, "The host name %s belongs to another instance.", h.Name)
	case errors.Is(err, tenancy.ErrFull):
		return nil, problem(codeHostsFull, "Instance %s may have %d host names of its own.", i.Name, tenancy.MaxHosts)
	default:
		return nil, s.changed(ctx, err, i.ID, "")
	}
	return &setHostOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.ChangedHost{Host: s.host(h), ReadyOn: s.applied(ctx, rev)},
	}, nil
}

// ownName is the gateway's own name that keeps a host from being given away: it is
// that one, or under or above it. "" if none does.
func (s *server) ownName(host string) string {
	for _, own := range s.cfg.OwnNames {
		own = strings.ToLower(strings.Trim(own, "."))
		if own != "" && (host == own || strings.HasSuffix(host, "."+own) || strings.HasSuffix(own, "."+host)) {
			return own
		}
	}
	return ""
}

type listHostsOutput struct{ Body api.Hosts }

func (s *server) listHosts(ctx context.Context, in *InstancePath) (*listHostsOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	hosts, err := s.cfg.Store.Hosts(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &listHostsOutput{Body: api.Hosts{Items: []api.Host{}}}
	for _, h := range hosts {
		out.Body.Items = append(out.Body.Items, s.host(h))
	}
	return out, nil
}

// host is what a caller sees of it.
func (s *server) host(h tenancy.Host) api.Host {
	out := api.Host{Name: h.Name, Bootstrap: s.hostBootstrap(h.Name), CreatedAt: h.CreatedAt.UTC(), SubjectNames: []string{}, EndsSoon: true}
	leaf, err := h.Leaf()
	if err != nil {
		return out // what is stored is damaged: to be set again
	}
	sum := sha256.Sum256(leaf.Raw)
	out.SubjectNames = append(out.SubjectNames, leaf.DNSNames...)
	out.NotAfter, out.Fingerprint = leaf.NotAfter.UTC(), hex.EncodeToString(sum[:])
	out.EndsSoon = s.cfg.Now().Add(endsSoon).After(leaf.NotAfter)
	return out
}

func (s *server) hostBootstrap(name string) []string {
	out := []string{}
	if s.cfg.HostEndpoints != nil {
		out = append(out, s.cfg.HostEndpoints(name)...)
	}
	return out
}

// deleteHost answers when the gateways have closed the connections that came by the name.
func (s *server) deleteHost(ctx context.Context, in *HostPath) (*revisionOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	notFound := problem(codeHostNotFound, "Instance %s has no host name %.80q.", i.Name, in.Name)
	name, err := tenancy.ParseHostName(in.Name)
	if err != nil {
		return nil, notFound
	}
	rev, err := s.cfg.Store.DeleteHost(ctx, i.ID, name)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil, notFound
	}
	if err = s.written(ctx, err); err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	s.applied(ctx, rev)
	return &revisionOutput{Revision: strconv.FormatInt(int64(rev), 10)}, nil
}
