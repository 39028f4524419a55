package auth

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Operations is a set of Kafka's ACL operations: bit 1<<code for each, as in the
// protocol's authorized_operations.
type Operations uint32

// Every operation that a resource of an instance can have.
const AllOperations Operations = 1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationWrite | 1<<kmsg.ACLOperationCreate |
	1<<kmsg.ACLOperationDelete | 1<<kmsg.ACLOperationAlter | 1<<kmsg.ACLOperationDescribe | 1<<kmsg.ACLOperationClusterAction |
	1<<kmsg.ACLOperationDescribeConfigs | 1<<kmsg.ACLOperationAlterConfigs | 1<<kmsg.ACLOperationIdempotentWrite

// Has reports whether op is in the set. ACLOperationUnknown (0) means "no
// operation is needed" and is in every set.
func (o Operations) Has(op kmsg.ACLOperation) bool {
	return op == kmsg.ACLOperationUnknown || o&(1<<op) != 0
}

// allows is what an ALLOW of op gives (StandardAuthorizerData.findResult).
func allows(op kmsg.ACLOperation) Operations {
	switch op {
	case kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDelete, kmsg.ACLOperationAlter:
		return 1<<op | 1<<kmsg.ACLOperationDescribe
	case kmsg.ACLOperationAlterConfigs:
		return 1<<op | 1<<kmsg.ACLOperationDescribeConfigs
	}
	return denies(op)
}

// denies is what a DENY of op takes: nothing that op implies.
func denies(op kmsg.ACLOperation) Operations {
	if op == kmsg.ACLOperationAll {
		return AllOperations
	}
	return 1 << op & AllOperations
}

// Rules are an instance's ACLs, indexed for being asked what somebody may do, as
// Kafka's StandardAuthorizer has it: an ACL speaks of a resource if its pattern
// is LITERAL with its name or "*", or PREFIXED with a beginning of it. A DENY
// beats every ALLOW; of a resource of which no ACL speaks at all, whoever is
// meant, the default of the instance's plan holds. Immutable, any goroutine.
type Rules struct {
	sections [sections]section // by resource type
}

// sections is how many resource types there are room for: those that have ACLs
// here are topic (2), group (3), cluster (4) and transactional id (5).
const sections = kmsg.ACLResourceTypeTransactionalId + 1

// section is the ACLs of one type of resource.
type section struct {
	literals map[string]grants
	wildcard grants // of LITERAL "*"; nil: there is none
	prefixes []prefix
}

// prefix is what all PREFIXED ACLs of one name say. They are sorted by name.
type prefix struct {
	name   string
	parent int // the longest other prefix that this one begins with; -1: none
	grants grants
}

// grants is what one pattern says, in order of user. Not nil, but empty if it
// only speaks of principals that nobody here can be.
type grants []grant

// grant is what one pattern gives to, and takes from, one user at one address.
type grant struct {
	user        string     // "*": every user
	host        netip.Addr // the zero Addr: everywhere
	allow, deny Operations
}

// subject is who asks.
type subject struct {
	user string
	addr netip.Addr
}

// NewRules indexes acls. Those of a kind that there is not are left out.
func NewRules(acls []tenancy.ACL) *Rules {
	r := &Rules{}
	prefixes := [sections]map[string]grants{}
	for _, a := range acls {
		if a.Resource <= kmsg.ACLResourceTypeAny || a.Resource >= sections {
			continue
		}
		s := &r.sections[a.Resource]
		switch {
		case a.Pattern == kmsg.ACLResourcePatternTypeLiteral && a.Name == "*":
			s.wildcard = s.wildcard.with(a)
		case a.Pattern == kmsg.ACLResourcePatternTypeLiteral:
			if s.literals == nil {
				s.literals = map[string]grants{}
			}
			s.literals[a.Name] = s.literals[a.Name].with(a)
		case a.Pattern == kmsg.ACLResourcePatternTypePrefixed:
			if prefixes[a.Resource] == nil {
				prefixes[a.Resource] = map[string]grants{}
			}
			prefixes[a.Resource][a.Name] = prefixes[a.Resource][a.Name].with(a)
		}
	}
	for t := range r.sections {
		s := &r.sections[t]
		s.wildcard = s.wildcard.merged()
		for name, g := range s.literals {
			s.literals[name] = g.merged()
		}
		s.prefixes = sortedPrefixes(prefixes[t])
	}
	return r
}

// with adds an ACL's grant. A principal that is no user, or a host that is no
// address, is nobody: the pattern is spoken of all the same.
func (g grants) with(a tenancy.ACL) grants {
	if g == nil {
		g = grants{}
	}
	user, isUser := strings.CutPrefix(a.Principal, "User:")
	n := grant{user: user}
	if a.Host != "*" {
		addr, err := netip.ParseAddr(a.Host)
		if err != nil {
			return g
		}
		n.host = addr.Unmap().WithZone("")
	}
	switch a.Permission {
	case kmsg.ACLPermissionTypeAllow:
		n.allow = allows(a.Operation)
	case kmsg.ACLPermissionTypeDeny:
		n.deny = denies(a.Operation)
	}
	if !isUser {
		return g
	}
	return append(g, n)
}

// merged sorts by user, makes one of what is for the same user and address, and
// keeps nil nil.
func (g grants) merged() grants {
	if g == nil {
		return nil
	}
	slices.SortFunc(g, func(a, b grant) int { return cmp.Or(strings.Compare(a.user, b.user), a.host.Compare(b.host)) })
	kept := g[:0]
	for _, n := range g {
		if last := len(kept) - 1; last >= 0 && kept[last].user == n.user && kept[last].host == n.host {
			kept[last].allow |= n.allow
			kept[last].deny |= n.deny
			continue
		}
		kept = append(kept, n)
	}
	return slices.Clip(kept)
}

func sortedPrefixes(byName map[string]grants) []prefix {
	all := make([]prefix, 0, len(byName))
	for name, g := range byName {
		all = append(all, prefix{name: name, grants: g.merged()})
	}
	slices.SortFunc(all, func(a, b prefix) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		// What begins with a name stands right behind it: the parent is the one
		// before, or one that it begins with itself.
		p := i - 1
		for p >= 0 && !strings.HasPrefix(all[i].name, all[p].name) {
			p = all[p].parent
		}
		all[i].parent = p
	}
	return all
}
