package auth

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// verdict is what the patterns seen so far say of one resource.
type verdict struct {
	spoken      bool // there is such a pattern
	allow, deny Operations
}

func (v *verdict) hear(g grants, who subject) {
	v.spoken = true
	v.user(g, who, who.user)
	v.user(g, who, "*")
}

// user hears what is for one user, or for all of them.
func (v *verdict) user(g grants, who subject, user string) {
	at, _ := slices.BinarySearchFunc(g, user, func(n grant, user string) int { return strings.Compare(n.user, user) })
	for ; at < len(g) && g[at].user == user; at++ {
		if g[at].host.IsValid() && g[at].host != who.addr {
			continue
		}
		v.allow |= g[at].allow
		v.deny |= g[at].deny
	}
}

// section is empty for a type that cannot have ACLs.
func (r *Rules) section(t kmsg.ACLResourceType) *section {
	if t < 0 || t >= sections {
		t = kmsg.ACLResourceTypeUnknown
	}
	return &r.sections[t]
}

// may returns what who may do with one resource, what is implied included;
// spoken is false if there is no ACL of it. It does not allocate and keeps
// nothing of name.
func may[N string | []byte](r *Rules, who subject, t kmsg.ACLResourceType, name N) (ops Operations, spoken bool) {
	s := r.section(t)
	var v verdict
	if s.wildcard != nil {
		v.hear(s.wildcard, who)
	}
	if g, ok := s.literals[string(name)]; ok {
		v.hear(g, who)
	}
	for i := nearest(s.prefixes, name); i >= 0; i = s.prefixes[i].parent {
		if p := &s.prefixes[i]; len(p.name) <= len(name) && string(name[:len(p.name)]) == p.name {
			v.hear(p.grants, who)
		}
	}
	return v.allow &^ v.deny, v.spoken
}

// nearest is the last prefix that does not sort behind name, -1 if all do. Every
// prefix of name that is in the list is this one or one of its parents: what
// stands between the two begins with it.
func nearest[N string | []byte](list []prefix, name N) int {
	low, high := 0, len(list)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if list[mid].name <= string(name) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// mayAny returns what who may do with at least one resource of that type that
// could exist (Authorizer.authorizeByResourceType, KIP-679): with one that only
// "*" names; else what an ALLOW gives, unless a DENY of the same name, of a
// prefix of it, or of "*" takes it away again. Unlike Kafka, which is only asked
// for WRITE here, it counts implied operations too; and where Kafka tries a topic
// of the name "hardcode", this one has no name. It takes longer the more ACLs
// there are. unmatched is what may be done with what no ACL speaks of.
func (r *Rules) mayAny(who subject, t kmsg.ACLResourceType, unmatched Operations) Operations {
	s := r.section(t)
	var all verdict
	unnamed := unmatched
	if s.wildcard != nil {
		all.hear(s.wildcard, who)
		unnamed = all.allow &^ all.deny
	}
	var named Operations
	denied := make([]Operations, len(s.prefixes)) // by each prefix and its parents
	for i, p := range s.prefixes {
		var v verdict
		v.hear(p.grants, who)
		denied[i] = v.deny
		if p.parent >= 0 {
			denied[i] |= denied[p.parent]
		}
		named |= v.allow &^ denied[i]
	}
	for name, g := range s.literals {
		var v verdict
		if v.hear(g, who); v.allow == 0 {
			continue
		}
		for i := nearest(s.prefixes, name); i >= 0; i = s.prefixes[i].parent {
			if strings.HasPrefix(name, s.prefixes[i].name) {
				v.deny |= denied[i]
				break
			}
		}
		named |= v.allow &^ v.deny
	}
	return unnamed | named&^all.deny
}
