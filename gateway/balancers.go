package gateway

import (
	"fmt"
	"net/netip"
	"strconv"

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
		if _, err := parseRange(text); err != nil {
			v.fail(fmt.Sprintf("%s.from[%d]", at, i), codeValue, "%s", err)
		}
	}
	if p.Endpoint != nil {
		v.endpoint(at+".endpoint", p.Endpoint)
	}
}

func (v *validator) endpoint(at string, e *EndpointConfig) {
	if v.required(at+".cloud", e.Cloud) {
		switch err := tenancy.CheckName("name", e.Cloud); {
		case e.Cloud == "aws" || e.Cloud == "azure" || e.Cloud == "gcp":
			v.fail(at+".cloud", codeValue, "%q is read from its own TLV already; choose another name", e.Cloud)
		case err != nil:
			v.fail(at+".cloud", codeValue, "%s", err)
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

// parseRange reads a range of addresses.
func parseRange(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			return netip.Prefix{}, fmt.Errorf("%q is one address; write it as a range: %s/%d", text, a, a.BitLen())
		}
		return netip.Prefix{}, fmt.Errorf("%q is no range of addresses, as 10.0.8.0/24", text)
	}
	switch {
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q: write IPv4 addresses as such", text)
	case p.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q is everybody: then anybody can say to be anybody", text)
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length; did you mean %s?", text, p.Masked())
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
		if p, err := parseRange(text); err == nil {
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
