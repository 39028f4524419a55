package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/tenancy"
)

func (s *server) networkRoutes(a huma.API) {
	const path = "/v1/instances/{instance}/networks"
	route(a, "list-networks", networksRead, http.MethodGet, path, http.StatusOK, s.listNetworks)
	route(a, "replace-networks", networksWrite, http.MethodPut, path, http.StatusOK, s.replaceNetworks)
	route(a, "add-networks", networksWrite, http.MethodPost, path, http.StatusOK, s.addNetworks)
	route(a, "delete-network", networksWrite, http.MethodDelete, path, http.StatusOK, s.deleteNetwork)
	route(a, "check-network", networksRead, http.MethodPost, path+"/check", http.StatusOK, s.checkNetwork)
}

type networksOutput struct {
	ETag string `header:"ETag"`
	Body api.Networks
}

// listNetworks reads the store: who has just written sees it. In one piece: there
// are tenancy.MaxNetworks at most.
func (s *server) listNetworks(ctx context.Context, in *InstancePath) (*networksOutput, error) {
	i, err := s.find(ctx, *in)
	if err != nil {
		return nil, err
	}
	all, tag, err := s.cfg.Store.Networks(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out := &networksOutput{ETag: quoted(tag), Body: api.Networks{Allow: viewNetworks(all), Default: "allow"}}
	if s.cfg.Defaults(i.Plan).DenyNetworks {
		out.Body.Default = "deny"
	}
	return out, nil
}

type replaceNetworksInput struct {
	InstancePath
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the list that is to be replaced, or * for whatever is there. Required."`
	Body    api.Networks
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *replaceNetworksInput) Resolve(huma.Context) []error {
	return details(networkMistakes(in.Body.Allow))
}

type changedNetworksOutput struct {
	Revision string `header:"Weir-Revision"`
	ETag     string `header:"ETag" doc:"Of the new list, after PUT."`
	Body     api.ChangedNetworks
}

// replaceNetworks answers when the list is in force: connections from elsewhere
// are closed then.
func (s *server) replaceNetworks(ctx context.Context, in *replaceNetworksInput) (*changedNetworksOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	if in.IfMatch == "" {
		p := problem(codeMatchMissing, "The list of %s is replaced only for who has seen it: send its ETag as If-Match, or *.", i.Name)
		p.Try = "weir network set " + called(ctx, i) + " -f FILE"
		return nil, p
	}
	tag := "" // any
	if in.IfMatch != "*" {
		// What is no tag of ours, a weak one or several, is none that matches.
		tag = cmp.Or(strings.Trim(in.IfMatch, `"`), "none")
	}
	all := storedNetworks(in.Body.Allow)
	rev, tag, err := s.cfg.Store.ReplaceNetworks(ctx, i.ID, all, tag)
	if err = s.written(ctx, err); err != nil {
		return nil, s.networkRefused(ctx, err, i)
	}
	out := s.changedNetworks(ctx, rev, all)
	out.ETag = quoted(tag)
	return out, nil
}

type addNetworksInput struct {
	InstancePath
	Body api.AddNetworks
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *addNetworksInput) Resolve(huma.Context) []error {
	return details(networkMistakes(in.Body.Allow))
}

// addNetworks answers when they are in force.
func (s *server) addNetworks(ctx context.Context, in *addNetworksInput) (*changedNetworksOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	all := storedNetworks(in.Body.Allow)
	rev, err := s.cfg.Store.ChangeNetworks(ctx, i.ID, all, nil)
	if err = s.written(ctx, err); err != nil {
		return nil, s.networkRefused(ctx, err, i)
	}
	return s.changedNetworks(ctx, rev, all), nil
}

type deleteNetworkInput struct {
	InstancePath
	CIDR     string `query:"cidr" maxLength:"64"`
	Endpoint string `query:"endpoint" maxLength:"128"`
	Cloud    string `query:"cloud" maxLength:"32"`
}

// deleteNetwork answers when the connections that only that network allowed are
// closed.
func (s *server) deleteNetwork(ctx context.Context, in *deleteNetworkInput) (*changedNetworksOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	n, mistakes := storedNetwork(api.Network{CIDR: in.CIDR, Endpoint: in.Endpoint, Cloud: in.Cloud}, "query")
	if len(mistakes) > 0 {
		return nil, invalid(mistakes...)
	}
	rev, err := s.cfg.Store.ChangeNetworks(ctx, i.ID, nil, []tenancy.Network{n})
	if err = s.written(ctx, err); errors.Is(err, tenancy.ErrNotFound) {
		p := problem(codeNetworkNotFound, "Instance %s has no network %s.", i.Name, viewNetwork(n))
		p.Try = "weir network list " + called(ctx, i)
		return nil, p
	} else if err != nil {
		return nil, s.networkRefused(ctx, err, i)
	}
	return s.changedNetworks(ctx, rev, []tenancy.Network{n}), nil
}

func (s *server) changedNetworks(ctx context.Context, rev tenancy.Revision, all []tenancy.Network) *changedNetworksOutput {
	return &changedNetworksOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.ChangedNetworks{Items: viewNetworks(all), ReadyOn: s.applied(ctx, rev)},
	}
}

// networkRefused translates the store's refusal.
func (s *server) networkRefused(ctx context.Context, err error, i tenancy.Instance) error {
	switch {
	case errors.Is(err, tenancy.ErrFull):
		return problem(codeNetworksFull, "Instance %s may have %d networks at most; nothing was changed.", i.Name, tenancy.MaxNetworks)
	case errors.Is(err, tenancy.ErrStale):
		p := problem(codeMatchFailed, "The networks of %s are not those that you have seen: somebody else changed them.", i.Name)
		p.Try = "weir network list " + called(ctx, i)
		return p
	}
	return s.changed(ctx, err, i.ID, "")
}

type checkNetworkInput struct {
	InstancePath
	Body api.CheckNetwork
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *checkNetworkInput) Resolve(huma.Context) []error {
	_, mistakes := in.from()
	return details(mistakes)
}

func (in *checkNetworkInput) from() (tenancy.From, []api.FieldError) {
	if in.Body.Address == "" {
		return tenancy.From{}, nil // the schema says so
	}
	n, mistakes := storedNetwork(api.Network{CIDR: in.Body.Address, Endpoint: in.Body.Endpoint, Cloud: in.Body.Cloud}, "body")
	for i := range mistakes {
		mistakes[i].Location = strings.Replace(mistakes[i].Location, "body.cidr", "body.address", 1)
	}
	if len(mistakes) == 0 && strings.Contains(in.Body.Address, "/") {
		mistakes = []api.FieldError{{Location: "body.address", Message: fmt.Sprintf("%s is a range: say which address", n.CIDR)}}
	}
	return tenancy.From{Addr: n.CIDR.Addr(), Endpoint: n.Endpoint}, mistakes
}

type checkNetworkOutput struct{ Body api.CheckedNetwork }

// checkNetwork says whether a client could connect from there, and why. It asks
// the store: a change of which the answer is out counts.
func (s *server) checkNetwork(ctx context.Context, in *checkNetworkInput) (*checkNetworkOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	all, _, err := s.cfg.Store.Networks(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	if len(all) == 0 {
		open := !s.cfg.Defaults(i.Plan).DenyNetworks
		return &checkNetworkOutput{Body: api.CheckedNetwork{Allowed: open, By: api.ByPlanDefault}}, nil
	}
	from, _ := in.from()
	by, ok := tenancy.AllowedBy(all, from)
	if !ok {
		return &checkNetworkOutput{Body: api.CheckedNetwork{By: api.ByNoNetwork}}, nil
	}
	view := viewNetwork(by)
	return &checkNetworkOutput{Body: api.CheckedNetwork{Allowed: true, By: api.ByNetwork, Network: &view}}, nil
}

// networkMistakes are all that a schema cannot see in a list.
func networkMistakes(list []api.Network) (all []api.FieldError) {
	seen := make(map[string]int, len(list))
	for i, a := range list {
		at := fmt.Sprintf("body.allow[%d]", i)
		n, mistakes := storedNetwork(a, at)
		all = append(all, mistakes...)
		if first, twice := seen[n.String()]; twice && len(mistakes) == 0 {
			all = append(all, api.FieldError{Location: at, Message: fmt.Sprintf("the same as allow[%d]", first)})
		} else if len(mistakes) == 0 {
			seen[n.String()] = i
		}
	}
	return all
}

// storedNetwork is the store's form of what a caller wrote at a place.
func storedNetwork(a api.Network, at string) (n tenancy.Network, mistakes []api.FieldError) {
	wrong := func(field, why string) {
		mistakes = append(mistakes, api.FieldError{Location: at + "." + field, Message: why})
	}
	n = tenancy.Network{Endpoint: tenancy.Endpoint{Cloud: a.Cloud, ID: a.Endpoint}, Comment: a.Comment}
	rest := n
	if a.CIDR != "" {
		var err error
		if n.CIDR, err = tenancy.ParseRange(a.CIDR); err != nil {
			wrong("cidr", strings.TrimPrefix(err.Error(), tenancy.ErrNetwork.Error()+": "))
			rest.CIDR = netip.PrefixFrom(netip.IPv4Unspecified(), 0) // any that is right
		} else {
			rest = n
		}
	}
	for _, m := range rest.Mistakes() {
		wrong(m.Field, m.Why)
	}
	return n, mistakes
}

// storedNetworks are those of a list in which there is no mistake.
func storedNetworks(list []api.Network) []tenancy.Network {
	all := make([]tenancy.Network, len(list))
	for i, a := range list {
		all[i], _ = storedNetwork(a, "")
	}
	return all
}

// viewNetworks is the caller's form, never nil.
func viewNetworks(all []tenancy.Network) []api.Network {
	out := make([]api.Network, len(all))
	for i, n := range all {
		out[i] = viewNetwork(n)
	}
	return out
}

func viewNetwork(n tenancy.Network) api.Network {
	a := api.Network{Endpoint: n.Endpoint.ID, Cloud: n.Endpoint.Cloud, Comment: n.Comment}
	if n.CIDR.IsValid() {
		a.CIDR = n.CIDR.String()
	}
	return a
}

// quoted is a strong entity tag (RFC 9110, 8.8.3).
func quoted(tag string) string { return `"` + tag + `"` }
