package tenancy

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	// MaxNetworks is how many networks an instance may have.
	MaxNetworks = 5000
	// MaxEndpointID is how long the id of a private endpoint may be, in bytes. Those of
	// AWS have 22.
	MaxEndpointID = 128
)

// The clouds whose endpoint ids have a form that is known.
const (
	CloudAWS   = "aws"
	CloudAzure = "azure"
	CloudGCP   = "gcp"
)

// ErrNetwork is of a network that cannot be: the text says what is wrong with it.
var ErrNetwork = errors.New("invalid network")

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

// NetworkMistake is what is wrong with one field of a network.
type NetworkMistake struct {
	Field string // cidr, endpoint, cloud or comment
	Why   string // names the value
}

// ParseRange reads a range of addresses as people write it: 10.1.0.0/16, or an
// address alone for a range of one. IPv6 forms of IPv4 become IPv4. The error
// wraps ErrNetwork.
func ParseRange(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%w: address %.80q has a zone: leave it out", ErrNetwork, text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: %.80q is neither an IP address nor a range such as 10.1.0.0/16", ErrNetwork, text)
	}
	const mapped = 96 // bits of ::ffff:0:0/96 (RFC 4291, 2.5.5.2)
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	if why := wrongRange(p); why != "" {
		return netip.Prefix{}, fmt.Errorf("%w: %s", ErrNetwork, why)
	}
	return p, nil
}

// wrongRange says what is wrong with a range, "" if nothing is.
func wrongRange(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "the range is none"
	case p.Addr().Is4In6():
		return fmt.Sprintf("range %s is of IPv4 addresses in their IPv6 form: write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Sprintf("range %s has bits beyond its length: write %s, or %s for the one address", p, p.Masked(), p.Addr())
	}
	return ""
}

// customCloud is how a cloud may be called that is none of the known ones.
var customCloud = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// awsEndpoint is the id of an AWS VPC endpoint.
var awsEndpoint = regexp.MustCompile(`^vpce-[0-9a-f]+$`)

// mistakes of an endpoint that is not zero. Ids are compared byte by byte, so
// only the form in which a load balancer's header is read is right (package proxy).
func (e Endpoint) mistakes() (all []NetworkMistake) {
	wrong := func(field, format string, args ...any) {
		all = append(all, NetworkMistake{field, fmt.Sprintf(format, args...)})
	}
	switch {
	case e.Cloud == "":
		wrong("cloud", "endpoint %.80q is of no cloud: say aws, azure, gcp or the name that the listener gives", e.ID)
	case !customCloud.MatchString(e.Cloud):
		wrong("cloud", "cloud %.80q is not 1 to 32 of a-z, 0-9 and -", e.Cloud)
	}
	notPrintable := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case e.ID == "":
		wrong("endpoint", "the endpoint's id is missing")
	case len(e.ID) > MaxEndpointID:
		wrong("endpoint", "the endpoint's id has %d bytes, at most %d", len(e.ID), MaxEndpointID)
	case strings.ContainsFunc(e.ID, notPrintable):
		wrong("endpoint", "endpoint %.80q is not of printable ASCII without spaces", e.ID)
	case e.Cloud == CloudAWS && !awsEndpoint.MatchString(e.ID):
		wrong("endpoint", "endpoint %.80q is none of aws: it looks like vpce-0a1b2c3d", e.ID)
	case e.Cloud == CloudAzure && !isDecimal(e.ID, 32), e.Cloud == CloudGCP && !isDecimal(e.ID, 64):
		wrong("endpoint", "endpoint %.80q is none of %s: it is a number in decimal", e.ID, e.Cloud)
	}
	return all
}

// isDecimal reports whether s is a number of so many bits as strconv writes it.
func isDecimal(s string, bits int) bool {
	n, err := strconv.ParseUint(s, 10, bits)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// Mistakes are all that keep n from being a network of an instance.
func (n Network) Mistakes() (all []NetworkMistake) {
	switch {
	case n.CIDR != (netip.Prefix{}):
		if why := wrongRange(n.CIDR); why != "" {
			all = append(all, NetworkMistake{"cidr", why})
		}
	case n.Endpoint == (Endpoint{}):
		all = append(all, NetworkMistake{"cidr", "the network has neither a range nor an endpoint"})
	}
	if n.Endpoint != (Endpoint{}) {
		all = append(all, n.Endpoint.mistakes()...)
	}
	if err := CheckComment(n.Comment); err != nil {
		all = append(all, NetworkMistake{"comment", err.Error()})
	}
	return all
}

// Check is nil or wraps ErrNetwork: it says every mistake.
func (n Network) Check() error {
	var errs []error
	for _, m := range n.Mistakes() {
		errs = append(errs, errors.New(m.Why))
	}
	if err := oneLine(errs); err != nil {
		return fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	return nil
}

// String is what an instance has one network of: "10.1.0.0/16", "aws vpce-0a1b"
// or "aws vpce-0a1b 10.1.0.0/16". Neither part has spaces.
func (n Network) String() string {
	var parts []string
	if n.Endpoint != (Endpoint{}) {
		parts = append(parts, n.Endpoint.Cloud, n.Endpoint.ID)
	}
	if n.CIDR.IsValid() {
		parts = append(parts, n.CIDR.String())
	}
	return strings.Join(parts, " ")
}

// has reports whether a client from there is in the network. One that is neither
// a range nor an endpoint has nobody.
func (n Network) has(from From) bool {
	switch {
	case n.Endpoint != from.Endpoint:
		return false
	case n.CIDR.IsValid():
		return n.CIDR.Contains(from.Addr)
	}
	return n.Endpoint != (Endpoint{})
}

// AllowedBy finds the narrowest of the networks that has from. It takes as long
// as there are networks; [Access.Allows] does not.
func AllowedBy(all []Network, from From) (by Network, ok bool) {
	from = from.plain()
	for _, n := range all {
		if n.has(from) && (!ok || n.CIDR.Bits() > by.CIDR.Bits()) { // without a range: -1
			by, ok = n, true
		}
	}
	return by, ok
}

// plain is from as it is compared.
func (f From) plain() From {
	f.Addr = f.Addr.Unmap().WithZone("")
	return f
}

// Restricted reports whether the instance has networks; otherwise its plan's
// default holds.
func (a *Access) Restricted() bool { return len(a.Networks) > 0 }

// Allows reports whether one of the instance's networks has from. It takes some
// 10 ns and allocates nothing, however many networks there are; the first call
// of an Access compiles them. Any goroutine.
func (a *Access) Allows(from From) bool {
	a.compile.Do(func() { a.networks = newNetworkTable(a.Networks) })
	return a.networks.allows(from.plain())
}
