package tenancy

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.0/16":           "10.1.0.0/16",
		"10.1.2.3":              "10.1.2.3/32",
		"0.0.0.0/0":             "0.0.0.0/0",
		"2001:DB8::/32":         "2001:db8::/32",
		"2001:db8::1":           "2001:db8::1/128",
		"::/0":                  "::/0",
		"::ffff:10.1.2.3":       "10.1.2.3/32",
		"::ffff:10.0.0.0/104":   "10.0.0.0/8",
		"::ffff:0.0.0.0/96":     "0.0.0.0/0",
		"10.1.2.3/16":           "write 10.1.0.0/16, or 10.1.2.3 for the one address",
		"2001:db8::1/32":        "write 2001:db8::/32",
		"::ffff:0:0/95":         "write it as IPv4",
		"fe80::1%eth0":          `address "fe80::1%eth0" has a zone`,
		"fe80::%eth0/64":        "has a zone",
		"10.1.0.0/33":           "neither an IP address nor a range",
		"10.1.0.0/-1":           "neither an IP address nor a range",
		"10.1.0.0/016":          "neither an IP address nor a range",
		"010.1.0.0":             "neither an IP address nor a range",
		"10.1.0":                "neither an IP address nor a range",
		"10.1.0.0/255.255.0.0":  "neither an IP address nor a range",
		" 10.1.0.0/16":          "neither an IP address nor a range",
		"":                      `"" is neither an IP address nor a range`,
		"\x1b[31m\n":            `"\x1b[31m\n" is neither`,
		strings.Repeat("x", 99): strings.Repeat("x", 80) + `" is neither`,
	} {
		got, err := ParseRange(text)
		switch {
		case err == nil && got.String() != want:
			t.Errorf("%q is read as %s, want %s", text, got, want)
		case err != nil && (!errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, text := range []string{"10.1.0.0/16", "::ffff:10.0.0.0/104", "fe80::1%eth0", "::/0", "10.1.2.3/16", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseRange(text)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q: the error has a control character", text)
			}
			return
		}
		if err := (Network{CIDR: p}).Check(); err != nil {
			t.Errorf("%q is read as %s: %v", text, p, err)
		}
		if again, err := ParseRange(p.String()); err != nil || again != p {
			t.Errorf("%q is read as %s, that as %s: %v", text, p, again, err)
		}
	})
}

func TestCheckNetwork(t *testing.T) {
	endpoint := func(cloud, id string) Network { return Network{Endpoint: Endpoint{cloud, id}} }
	for _, tc := range []struct {
		n    Network
		want string // "field: part of why" of each mistake
	}{
		{direct("10.1.0.0/16"), ""},
		{behind("aws", "vpce-0a1b", "10.0.0.0/8"), ""},
		{endpoint("aws", "vpce-0"), ""},
		{endpoint("azure", "4294967295"), ""},
		{endpoint("gcp", "18446744073709551615"), ""},
		{endpoint("vpcep-1", strings.Repeat("~", 128)), ""},
		{noted(direct("::/0"), strings.Repeat("ü", 100)), ""},
		{Network{}, "cidr: neither a range nor an endpoint"},
		{Network{Comment: "x"}, "cidr: neither a range nor an endpoint"},
		{direct("10.1.2.3/16"), "cidr: write 10.1.0.0/16"},
		{direct("::ffff:10.0.0.0/104"), "cidr: range ::ffff:10.0.0.0/104 is of IPv4"},
		{endpoint("", "vpce-0a1b"), `cloud: endpoint "vpce-0a1b" is of no cloud`},
		{endpoint("AWS", "vpce-0a1b"), `cloud: cloud "AWS" is not`},
		{endpoint(strings.Repeat("a", 33), "x"), "cloud: is not 1 to 32"},
		{endpoint("aws\n", "x"), "cloud: is not 1 to 32"},
		{endpoint("aws", ""), "endpoint: id is missing"},
		{endpoint("aws", "vpce-"), `endpoint: "vpce-" is none of aws`},
		{endpoint("aws", "vpce-0A1B"), "endpoint: is none of aws"},
		{endpoint("aws", "vpce-0a1b\n"), "endpoint: printable"},
		{endpoint("azure", "4294967296"), "endpoint: is none of azure"},
		{endpoint("azure", "007"), "endpoint: is none of azure"},
		{endpoint("gcp", "-1"), "endpoint: is none of gcp"},
		{endpoint("other", "a b"), "endpoint: printable"},
		{endpoint("other", "ü"), "endpoint: printable"},
		{endpoint("other", strings.Repeat("x", 129)), "endpoint: has 129 bytes"},
		{noted(direct("10.1.0.0/16"), strings.Repeat("x", 201)), "comment: has 201 characters"},
		{noted(direct("10.1.0.0/16"), "two\nlines"), `comment: "two\nlines" is not one line`},
		{noted(direct("10.1.0.0/16"), "\xff"), "comment: UTF-8"},
		{noted(behind("", " ", "10.1.2.3/16"), "\x00"), "cidr: write|cloud: no cloud|endpoint: printable|comment: one line"},
	} {
		var want []string
		if tc.want != "" {
			want = strings.Split(tc.want, "|")
		}
		got := tc.n.Mistakes()
		if len(got) != len(want) {
			t.Errorf("%+v: %q, want %q", tc.n, got, want)
			continue
		}
		for i, m := range got {
			if field, why, _ := strings.Cut(want[i], ": "); m.Field != field || !strings.Contains(m.Why, why) {
				t.Errorf("%+v: %q, want %q", tc.n, m, want[i])
			}
		}
		err := tc.n.Check()
		if (err == nil) != (tc.want == "") || err != nil && (!errors.Is(err, ErrNetwork) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%+v: Check says %v", tc.n, err)
		}
	}
}

// drawAddr draws from few bits, so that ranges and addresses meet.
func drawAddr(t *rapid.T) netip.Addr {
	b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 10, 128, 255}), 4, 4).Draw(t, "address")
	switch rapid.IntRange(0, 3).Draw(t, "family") {
	case 0:
		a := [16]byte{0: 0x20, 1: 0x01}
		copy(a[6:], b)
		return netip.AddrFrom16(a)
	case 1:
		return netip.AddrFrom16(netip.AddrFrom4([4]byte(b)).As16()) // IPv4-mapped
	}
	return netip.AddrFrom4([4]byte(b))
}

func drawEndpoint(t *rapid.T) Endpoint {
	return rapid.SampledFrom([]Endpoint{{}, {}, {"aws", "vpce-01"}, {"aws", "vpce-02"}, {"gcp", "1"}, {"azure", "1"}}).Draw(t, "endpoint")
}

func drawNetwork(t *rapid.T) Network {
	n := Network{Endpoint: drawEndpoint(t)}
	if n.Endpoint == (Endpoint{}) || rapid.IntRange(0, 5).Draw(t, "whole") > 0 {
		addr := drawAddr(t).Unmap()
		n.CIDR = netip.PrefixFrom(addr, rapid.IntRange(0, addr.BitLen()).Draw(t, "bits")).Masked()
	}
	return n
}

// However many networks there are, they let in who the obvious loop lets in.
func TestNetworkTableProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &Access{Networks: rapid.SliceOfN(rapid.Custom(drawNetwork), 0, 60).Draw(t, "networks")}
		for range 20 {
			from := From{Addr: drawAddr(t), Endpoint: drawEndpoint(t)}
			addr, want, narrowest := from.Addr.Unmap(), false, -2
			for _, n := range a.Networks {
				if n.Endpoint != from.Endpoint || n.CIDR.IsValid() && !n.CIDR.Contains(addr) {
					continue
				}
				want, narrowest = true, max(narrowest, n.CIDR.Bits())
			}
			if got := a.Allows(from); got != want {
				t.Fatalf("%v of %v: %v, want %v", from, a.Networks, got, want)
			}
			by, ok := AllowedBy(a.Networks, from)
			if ok != want || ok && (by.CIDR.Bits() != narrowest || by.Endpoint != from.Endpoint) {
				t.Fatalf("%v of %v: by %v, %v; want one of %d bits", from, a.Networks, by, ok, narrowest)
			}
		}
	})
}

// Nobody comes from nowhere, or in by what is no network.
func TestNetworksClosed(t *testing.T) {
	everywhere := []Network{direct("0.0.0.0/0"), direct("::/0")}
	for what, a := range map[string]*Access{
		"few": {Networks: everywhere}, "many": {Networks: append(manyNetworks(100), everywhere...)}, "none": {}, "broken": {Networks: []Network{{}}},
	} {
		if a.Allows(From{}) || a.Allows(From{Endpoint: Endpoint{"aws", "vpce-01"}}) {
			t.Errorf("%s: who comes from nowhere is let in", what)
		}
		zoned := From{Addr: netip.MustParseAddr("fe80::1%eth0")}
		if got, want := a.Allows(zoned), len(a.Networks) > 1; got != want {
			t.Errorf("%s: from %s: %v, want %v", what, zoned.Addr, got, want)
		}
	}
	if _, ok := AllowedBy([]Network{{}}, From{Addr: netip.MustParseAddr("192.0.2.1")}); ok {
		t.Error("what is no network lets somebody in")
	}
}

func BenchmarkAllows(b *testing.B) {
	for _, n := range []int{1, 4, 100, MaxNetworks} {
		all := manyNetworks(n)
		for what, addr := range map[string]netip.Addr{"allowed": all[n-1].CIDR.Addr().Next(), "refused": netip.MustParseAddr("192.0.2.1")} {
			b.Run(fmt.Sprintf("%d/%s", n, what), func(b *testing.B) {
				a, from := &Access{Networks: all}, From{Addr: addr}
				a.Allows(from)
				b.ReportAllocs()
				for b.Loop() {
					if a.Allows(from) != (what == "allowed") {
						b.Fatal("wrong")
					}
				}
			})
		}
	}
	b.Run("5000 endpoints", func(b *testing.B) {
		a, from := &Access{Networks: manyEndpoints(MaxNetworks)}, From{Addr: netip.MustParseAddr("10.0.0.1"), Endpoint: Endpoint{"aws", "vpce-0a1"}}
		a.Allows(from)
		b.ReportAllocs()
		for b.Loop() {
			if !a.Allows(from) {
				b.Fatal("wrong")
			}
		}
	})
}

func manyEndpoints(n int) []Network {
	all := make([]Network, n)
	for i := range all {
		all[i] = behind("aws", fmt.Sprintf("vpce-0%x", i), "10.0.0.0/8")
	}
	return all
}

// The time and the memory that a table takes beside the networks themselves.
func BenchmarkCompileNetworks(b *testing.B) {
	random := make([]Network, MaxNetworks)
	for i := range random { // far apart: the worst for a trie
		x := uint32(i) * 2654435761
		random[i] = Network{CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), 0}), 24)}
	}
	for what, all := range map[string][]Network{
		"1": manyNetworks(1), "4": manyNetworks(4), "100": manyNetworks(100), "5000 in a row": manyNetworks(MaxNetworks),
		"5000 apart": random, "5000 endpoints": manyEndpoints(MaxNetworks),
	} {
		b.Run(what, func(b *testing.B) {
			var keep networkTable
			before := heap()
			for b.Loop() {
				keep = newNetworkTable(all)
			}
			b.ReportMetric(float64(heap()-before), "B-kept")
			runtime.KeepAlive(keep)
			b.ReportAllocs()
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a gateway's directory pays for a change of an instance with many networks.
func BenchmarkDecodeNetworks(b *testing.B) {
	c, err := networksChange("orders", manyNetworks(MaxNetworks))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := decodeNetworks("orders", c.put); err != nil {
			b.Fatal(err)
		}
	}
}
