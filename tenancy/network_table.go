package tenancy

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// networkTable answers where a client may come from. Immutable.
type networkTable struct {
	direct ranges // of who came through no endpoint
	behind map[Endpoint]ranges
}

// fewRanges is up to how many ranges are looked through one by one: a trie of a
// few takes more memory, and most instances have a few.
const fewRanges = 4

// ranges is a set of addresses. Immutable.
type ranges struct {
	all  bool           // every address
	few  []netip.Prefix // nil if many is not
	many *bart.Lite
}

func newNetworkTable(all []Network) networkTable {
	lists := map[Endpoint][]Network{}
	for _, n := range all {
		lists[n.Endpoint] = append(lists[n.Endpoint], n)
	}
	t := networkTable{direct: newRanges(lists[Endpoint{}])}
	delete(lists, Endpoint{})
	if len(lists) > 0 {
		t.behind = make(map[Endpoint]ranges, len(lists))
	}
	for e, list := range lists {
		t.behind[e] = newRanges(list)
	}
	return t
}

// newRanges is of the networks of one endpoint, or of those without one.
func newRanges(list []Network) (r ranges) {
	for _, n := range list {
		switch {
		case n.CIDR.IsValid():
			r.few = append(r.few, n.CIDR)
		case n.Endpoint != Endpoint{}:
			return ranges{all: true} // the others say nothing more
		}
	}
	if len(r.few) <= fewRanges {
		return r
	}
	r.many = new(bart.Lite)
	for _, p := range r.few {
		r.many.Insert(p)
	}
	r.few = nil
	return r
}

// allows is about a plain from.
func (t *networkTable) allows(from From) bool {
	if from.Endpoint == (Endpoint{}) {
		return t.direct.contain(from.Addr)
	}
	r, ok := t.behind[from.Endpoint]
	return ok && r.contain(from.Addr)
}

func (r *ranges) contain(addr netip.Addr) bool {
	if r.all {
		return true
	}
	if r.many != nil {
		return r.many.Contains(addr)
	}
	for _, p := range r.few {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
