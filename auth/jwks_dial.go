package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	// fetchTimeout bounds one fetch in all: names, TCP, TLS, headers and body.
	fetchTimeout = 5 * time.Second
	// maxDocument bounds what is read of a key set or a discovery document.
	maxDocument = 1 << 20
)

// errAddress is of an address that must not be dialed.
var errAddress = errors.New("is not a public address, and auth.issuers has no private range for it")

// notPublic are the ranges that nobody on the internet has, or that lead
// elsewhere than they seem (IANA's special-purpose registries): our own networks
// and the metadata services of clouds are in them. Of IPv6 only 2000::/3 is public.
//
//nolint:gochecknoglobals // read-only table
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers; Alibaba's metadata
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's wire server
	netip.MustParsePrefix("169.254.0.0/16"),   // metadata of AWS, Azure, GCP
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), // Oracle's metadata
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),   // Teredo, ORCHID, benchmarks
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),
}

// public reports whether an address may be dialed by whoever asks.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Zone() != "" || !ip.IsValid() || ip.Is6() && ip.As16()[0]&0xe0 != 0x20 {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// mayDial says why an address must not be dialed for an issuer.
func (a AllowedIssuer) mayDial(ip netip.Addr) error {
	if ip = ip.Unmap(); !public(ip) && !a.private(ip) {
		return fmt.Errorf("%s %w", ip, errAddress)
	}
	return nil
}

// wire is how fetches reach the world; tests put in their own.
type wire struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, d *net.Dialer, address string) (net.Conn, error)
}

func realWire() wire {
	return wire{
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		dial: func(ctx context.Context, d *net.Dialer, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		},
	}
}

// dialFor dials only addresses that the entry may reach. A name is resolved once
// and what was checked is what is dialed, so that a name which changes between two
// look-ups (DNS rebinding) gains nothing; the socket is looked at once more.
func (n wire) dialFor(a AllowedIssuer) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return a.mayDial(at.Addr())
	}}
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addrs := []netip.Addr{}
		if ip, err := netip.ParseAddr(host); err == nil {
			addrs = append(addrs, ip)
		} else if addrs, err = n.lookup(ctx, host); err != nil {
			return nil, fmt.Errorf("looking up %s: %w", host, err)
		}
		err = fmt.Errorf("%s has no address", host)
		for _, ip := range addrs {
			if refused := a.mayDial(ip); refused != nil {
				err = fmt.Errorf("%s: %w", host, refused)
				continue
			}
			conn, failed := n.dial(ctx, dialer, net.JoinHostPort(ip.Unmap().String(), port))
			if failed == nil {
				return conn, nil
			}
			err = failed
		}
		return nil, err
	}
}

// get reads one document: no proxy, no redirects, no compression, a connection of
// its own. Errors name the address and never what was answered.
func (n wire) get(ctx context.Context, a AllowedIssuer, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := a.plain(from); err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:            n.dialFor(a),
			TLSClientConfig:        &tls.Config{RootCAs: a.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%s: not an address", from)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, whyNot(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered status %d, want 200 without redirects", from, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", from, whyNot(err))
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("%s answered more than %d bytes", from, maxDocument)
	}
	return body, nil
}

// whyNot reduces an error to what a tenant may read: some of net/http's repeat
// what was answered, which may be from somewhere that the tenant cannot reach.
func whyNot(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var name *net.DNSError
	var op *net.OpError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errAddress):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %s", fetchTimeout)
	case errors.As(err, &name):
		return errors.New("its host name cannot be resolved")
	case errors.As(err, &verify):
		return fmt.Errorf("its certificate is not trusted: %w", verify.Err)
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return errors.New("it does not answer as an HTTPS server does")
}
