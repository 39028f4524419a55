package auth

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/tenancy"
)

// DefaultClockSkew is how far the clocks of an issuer and a gateway may differ.
const DefaultClockSkew = 30 * time.Second

// ErrIssuerNotAllowed is of an issuer, or of the address of its keys, that the
// operator's configuration does not list.
var ErrIssuerNotAllowed = errors.New("the operator's configuration does not allow it (auth.issuers)")

// AllowedIssuer is one entry of the operator's list of whom tenants may believe:
// from nowhere else are keys fetched (CVE-2025-27817 was such an address in
// clients' hands).
type AllowedIssuer struct {
	// URL of the issuer, exactly; or of all below it, if it ends in "/".
	URL string
	// JWKS are further addresses at which its keys may be, in the same form. Those
	// below URL may be used anyway.
	JWKS []string
	// Roots are who may have signed its certificates; nil: the system's.
	Roots *x509.CertPool
	// Private are ranges of addresses that may be dialed for it although they are
	// not public.
	Private []netip.Prefix
	// ClockSkew is how far its clock may be off. DefaultClockSkew if zero.
	ClockSkew time.Duration
}

// Check says what is wrong with the entry.
func (a AllowedIssuer) Check() error {
	for _, at := range append([]string{a.URL}, a.JWKS...) {
		if err := tenancy.CheckIssuerURL("address", at); err != nil {
			return err
		}
		if err := a.plain(at); err != nil {
			return err
		}
	}
	if a.ClockSkew < 0 {
		return fmt.Errorf("clock skew %s is negative", a.ClockSkew)
	}
	return nil
}

func (a AllowedIssuer) skew() time.Duration { return cmp.Or(a.ClockSkew, DefaultClockSkew) }

// covers reports whether url is the entry's issuer or below it.
func (a AllowedIssuer) covers(url string) bool { return under(a.URL, url) }

// coversKeys reports whether the keys of issuer may be fetched from there.
func (a AllowedIssuer) coversKeys(issuer, jwks string) bool {
	if tenancy.CheckIssuerURL("jwks_uri", jwks) != nil || a.plain(jwks) != nil {
		return false
	}
	return under(a.URL, jwks) || under(strings.TrimSuffix(issuer, "/")+"/", jwks) ||
		slices.ContainsFunc(a.JWKS, func(at string) bool { return under(at, jwks) })
}

// plain refuses http, but for loopback addresses that the entry lists as private:
// whoever is between could put in keys of his own.
func (a AllowedIssuer) plain(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("not an address")
	}
	if u.Scheme == "https" {
		return nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "http" || err != nil || !ip.IsLoopback() || !a.private(ip) {
		return fmt.Errorf("%.80q must begin with https://", raw)
	}
	return nil
}

func (a AllowedIssuer) private(ip netip.Addr) bool {
	return slices.ContainsFunc(a.Private, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// under reports whether an address is entry, or begins with it if it ends in "/".
// Both passed tenancy.CheckIssuerURL, so there are no dots or escapes to lead
// elsewhere, and an entry has a "/" behind its host if it has one at its end.
func under(entry, address string) bool {
	return address == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(address, entry)
}

// allowed finds the entry for an issuer, and checks the address of its keys if
// there is one. The longest entry counts.
func allowed(list []AllowedIssuer, issuer, jwks string) (AllowedIssuer, error) {
	found, ok := AllowedIssuer{}, false
	for _, a := range list {
		if a.covers(issuer) && a.plain(issuer) == nil && (!ok || len(a.URL) > len(found.URL)) {
			found, ok = a, true
		}
	}
	switch {
	case !ok:
		return found, fmt.Errorf("issuer %.200q: %w", issuer, ErrIssuerNotAllowed)
	case jwks != "" && !found.coversKeys(issuer, jwks):
		return found, fmt.Errorf("keys at %.200q: %w", jwks, ErrIssuerNotAllowed)
	}
	return found, nil
}
