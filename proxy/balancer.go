package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// headerTimeout is how long a PROXY header may take from its first byte on.
// Senders must send it at once (PROXY protocol, 2.); this leaves room for one
// packet that has to be repeated (RFC 6298: after a second).
const headerTimeout = 2 * time.Second

// Balancers are the load balancers in front of a listener: who they are, and what
// they say of a connection in the PROXY protocol, versions 1 and 2.
type Balancers struct {
	// From is where balancers connect from. Of nobody else a header is believed.
	From []netip.Prefix
	// Required refuses connections without a header, from balancers and anybody
	// else. Otherwise clients may connect directly too.
	Required bool
	// Endpoint is where a header says by which private endpoint a client came,
	// beside the TLVs of AWS, Azure and GCP, which are always read. nil: nowhere.
	Endpoint *EndpointTLV
}

// EndpointTLV is a field of version 2 that names a private endpoint.
type EndpointTLV struct {
	Cloud  string // what tenancy.Endpoint.Cloud is then
	Type   byte   // of the TLV
	Offset int    // of the id in the TLV's value, in bytes
	Form   EndpointForm
}

// EndpointForm is how an endpoint's id is written in a TLV.
type EndpointForm int

// The forms of an id. Numbers are big endian and become decimal; what comes
// behind them is not looked at.
const (
	EndpointText   EndpointForm = iota // printable ASCII up to the end of the TLV
	EndpointUint32                     // 4 bytes
	EndpointUint64                     // 8 bytes
)

// has reports whether a balancer connects from addr. nil has none.
func (b *Balancers) has(addr netip.Addr) bool {
	return b != nil && slices.ContainsFunc(b.From, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// meet learns from a load balancer where the connection comes from. by is until
// when the whole handshake must be over.
func (c *conn) meet(by time.Time) error {
	b, balancer := c.lst.Balancers, c.lst.Balancers.has(c.from.Addr)
	version, err := c.raw.headerVersion(by)
	if err != nil {
		return readFailed(err)
	}
	switch {
	case version != 0 && balancer:
		err = c.believe(version)
	case version != 0:
		err = headerRefused(b != nil)
	case b != nil && b.Required:
		err = headerMissing(balancer)
	}
	if err != nil {
		return err
	}
	return c.raw.SetReadDeadline(by)
}

// believe takes over what a balancer says.
func (c *conn) believe(version int) error {
	raw, err := c.raw.header(version)
	if err != nil {
		return headerMalformed(err)
	}
	h, err := parseHeader(raw, c.lst.Balancers.Endpoint)
	if err != nil {
		return headerMalformed(err)
	}
	c.raw.skip(len(raw))
	c.balancer = c.from.Addr
	if c.probe = h.local; c.probe {
		return nil
	}
	c.from = h.from
	c.srv.lobby.move(c, origin{addr: network(c.from.Addr)})
	return nil
}

// probed is why a connection ends that has not got through TLS. A health check
// needs no more than to connect: that it goes is no failure.
func (c *conn) probed(err error) error {
	if !c.probe {
		return err
	}
	return &closing{reason: reasonHealthCheck, err: err}
}

// headerVersion returns which version of the PROXY protocol the client begins
// with, 0 if it begins with something else: a version 1 line begins like an HTTP
// POST, so that one byte does not tell. From the first byte of what may be a header
// on, its own deadline holds, by at the latest.
func (t *transport) headerVersion(by time.Time) (int, error) {
	first, err := t.peek(1)
	if err != nil {
		return 0, err
	}
	version, sign := 0, ""
	switch first[0] {
	case signV1[0]:
		version, sign = 1, signV1
	case signV2[0]:
		version, sign = 2, signV2
	default:
		return 0, nil
	}
	if soon := time.Now().Add(headerTimeout); soon.Before(by) {
		if err := t.SetReadDeadline(soon); err != nil {
			return 0, err
		}
	}
	for n := 2; n <= len(sign); n++ { // not more at once: what is no header may be shorter
		begin, err := t.peek(n)
		if err != nil || begin[n-1] != sign[n-1] {
			return 0, nil // it is judged by its first byte
		}
	}
	return version, nil
}

// header reads a header whose sign has been peeked, and no byte behind it. It
// stays peeked.
func (t *transport) header(version int) ([]byte, error) {
	if version == 1 {
		return t.headerV1()
	}
	begin, err := t.peek(fixedV2)
	if err != nil {
		return nil, cut(begin, err)
	}
	size := fixedV2 + int(begin[fixedV2-2])<<8 + int(begin[fixedV2-1])
	if size > maxV2 {
		return nil, fmt.Errorf("a header of %d bytes, at most %d are read", size, maxV2)
	}
	whole, err := t.peek(size)
	if err != nil {
		return nil, cut(whole, err)
	}
	return whole, nil
}

// headerV1 reads a line. Its length shows at its end only.
func (t *transport) headerV1() ([]byte, error) {
	for n := minV1; n <= maxV1; n++ {
		line, err := t.peek(n)
		switch {
		case err != nil:
			return nil, cut(line, err)
		case line[n-1] == '\n':
			return line, nil
		}
	}
	return nil, fmt.Errorf("no end of the line in %d bytes", maxV1)
}

// cut is why a header is not whole.
func cut(got []byte, err error) error {
	switch {
	case isTimeout(err):
		return fmt.Errorf("it is not whole in time: %d bytes", len(got))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it ends after %d bytes", len(got))
	}
	return err
}
