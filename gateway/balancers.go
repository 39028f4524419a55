package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"weir/proxy"
	"weir/tenancy"
)

// Values of listeners[].proxy_protocol.
const (
	modeRequired = "required"
	modeAllowed  = "allowed"

	formText   = "text"
	formUint32 = "uint32"
	formUint64 = "uint64"
)

// maxTLVOffset is far beyond any id; a header has 2048 bytes at most.
const maxTLVOffset = 1024

func (v *validator) proxyProtocol(at string, p *ProxyProtocolConfig) {
	if p == nil {
		return
	}
	v.oneOf(at+".mode", p.Mode, modeRequired, modeAllowed)
	if len(p.From) == 0 {
		v.fail(at+".from", codeMissing, "at least one range is needed: where load balancers connect from, as 10.0.8.0/24")
	}
	for i, text := range p.From {
		if _, err := parseBalancers(text); err != nil {
			v.fail(fmt.Sprintf("%s.from[%d]", at, i), codeValue, "%s", err)
		}
	}
	if p.Endpoint != nil {
		v.endpoint(at+".endpoint", p.Endpoint)
	}
}

func (v *validator) endpoint(at string, e *EndpointConfig) {
	if v.required(at+".cloud", e.Cloud) {
		switch e.Cloud {
		case tenancy.CloudAWS, tenancy.CloudAzure, tenancy.CloudGCP:
			v.fail(at+".cloud", codeValue, "%q is read from its own TLV already; choose another name", e.Cloud)
		}
		probe := tenancy.Network{Endpoint: tenancy.Endpoint{Cloud: e.Cloud, ID: "1"}}
		for _, m := range probe.Mistakes() { // those of aws and the like are about the id
			if m.Field == "cloud" {
				v.fail(at+".cloud", codeValue, "%s", m.Why)
			}
		}
	}
	if v.required(at+".type", e.Type) {
		switch kind, err := strconv.ParseUint(e.Type, 0, 8); {
		case err != nil || kind == 0:
			v.fail(at+".type", codeValue, "%q is no type, as 0xE5: want 1 to 255", e.Type)
		case kind == 0x03 || kind == 0x04 || kind == 0x20:
			v.fail(at+".type", codeValue, "%s is the checksum, padding or TLS of the PROXY protocol, no endpoint", e.Type)
		}
	}
	if e.Offset < 0 || e.Offset > maxTLVOffset {
		v.fail(at+".offset", codeValue, "%d is not between 0 and %d", e.Offset, maxTLVOffset)
	}
	v.oneOf(at+".form", e.Form, formText, formUint32, formUint64)
}

// parseBalancers reads a range of addresses.
func parseBalancers(text string) (netip.Prefix, error) {
	p, err := tenancy.ParseRange(text)
	if err == nil && p.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%s is everybody: then anybody could say to be anybody", p)
	}
	if err != nil {
		return netip.Prefix{}, errors.New(strings.TrimPrefix(err.Error(), tenancy.ErrNetwork.Error()+": "))
	}
	return p, nil
}

// balancers is what proxy is told; nil stays nil. c was checked.
func (c *ProxyProtocolConfig) balancers() *proxy.Balancers {
	if c == nil {
		return nil
	}
	b := &proxy.Balancers{Required: c.Mode != modeAllowed}
	for _, text := range c.From {
		if p, err := parseBalancers(text); err == nil {
			b.From = append(b.From, p)
		}
	}
	if e := c.Endpoint; e != nil {
		kind, _ := strconv.ParseUint(e.Type, 0, 8)
		b.Endpoint = &proxy.EndpointTLV{Cloud: e.Cloud, Type: byte(kind), Offset: e.Offset}
		switch e.Form {
		case formUint32:
			b.Endpoint.Form = proxy.EndpointUint32
		case formUint64:
			b.Endpoint.Form = proxy.EndpointUint64
		}
	}
	return b
}
