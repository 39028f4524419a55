package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/proxy"
)

// What the file says reaches the listener and the ports of its brokers, and no other.
func TestProxyProtocol(t *testing.T) {
	with := func(lines string) string {
		return strings.Replace(good, "    plaintext: true\n", "    plaintext: true\n    proxy_protocol:\n"+lines, 1)
	}
	ten := netip.MustParsePrefix("10.0.8.0/24")
	for name, test := range map[string]struct {
		text string
		want *proxy.Balancers
	}{
		"none":     {good, nil},
		"shortest": {with("      from: [10.0.8.0/24]\n"), &proxy.Balancers{From: []netip.Prefix{ten}, Required: true}},
		"one address": {with("      from: [10.0.8.1, \"2001:db8::1\"]\n      mode: required\n"), &proxy.Balancers{
			From: []netip.Prefix{netip.MustParsePrefix("10.0.8.1/32"), netip.MustParsePrefix("2001:db8::1/128")}, Required: true,
		}},
		"allowed, text": {with("      from: [10.0.8.0/24]\n      mode: allowed\n      endpoint: {cloud: otc, type: 0xE5}\n"), &proxy.Balancers{
			From: []netip.Prefix{ten}, Endpoint: &proxy.EndpointTLV{Cloud: "otc", Type: 0xE5},
		}},
		"a number": {with("      from: [10.0.8.0/24]\n      endpoint: {cloud: otc, type: 229, offset: 4, form: uint64}\n"), &proxy.Balancers{
			From: []netip.Prefix{ten}, Required: true, Endpoint: &proxy.EndpointTLV{Cloud: "otc", Type: 229, Offset: 4, Form: proxy.EndpointUint64},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, test.text)
			if err != nil {
				t.Fatal(err)
			}
			f, err := c.faces(discardLog())
			if err != nil {
				t.Fatal(err)
			}
			if len(f.listeners) != 3 {
				t.Fatalf("%d listeners", len(f.listeners))
			}
			for i, l := range f.listeners {
				if diff := cmp.Diff(test.want, l.Balancers, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
					t.Errorf("listener %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}
