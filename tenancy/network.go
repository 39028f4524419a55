package tenancy

import "net/netip"

// From is where a connection comes from, as the socket or a trusted load
// balancer says.
type From struct {
	Addr     netip.Addr // the client's, unmapped, without a zone
	Endpoint Endpoint   // zero: not through a private endpoint
}

// Endpoint is a private endpoint through which a client came: only what a
// trusted load balancer says counts.
type Endpoint struct {
	Cloud string `json:"cloud,omitempty"` // aws, azure, gcp, or the name that a listener's configuration gives
	ID    string `json:"id,omitempty"`    // vpce-..., a link id in decimal, a PSC connection id in decimal
}

// Network is one of the places from which an instance may be reached: a range
// of addresses, a private endpoint, or a range behind a private endpoint.
//
// A range without an endpoint says nothing of connections that come through one:
// addresses there are those of somebody's own network, where everybody has
// 10.0.0.0/8.
type Network struct {
	CIDR     netip.Prefix `json:"cidr,omitzero"` // masked; invalid: every address behind the endpoint
	Endpoint Endpoint     `json:"endpoint,omitzero"`
	Comment  string       `json:"comment,omitempty"`
}

// networkTable answers where an address may come from. Immutable.
type networkTable struct {
	all []Network
}

func newNetworkTable(all []Network) networkTable { return networkTable{all: all} }

// Restricted reports whether the instance has networks; otherwise its plan's
// default holds.
func (a *Access) Restricted() bool { return len(a.Networks) > 0 }

// Allows reports whether one of the instance's networks has from. Any goroutine.
func (a *Access) Allows(from From) bool {
	for _, n := range a.networks.all {
		if n.Endpoint == from.Endpoint && (!n.CIDR.IsValid() || n.CIDR.Contains(from.Addr)) {
			return true
		}
	}
	return false
}
