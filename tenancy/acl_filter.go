package tenancy

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ACLFilter selects ACLs as Kafka's AclBindingFilter does. Nil matches every
// text, ANY (1) everything of its kind. MATCH (2) as the pattern selects what
// speaks of a resource of that name: its literal, "*" and the prefixes of it.
type ACLFilter struct {
	Resource   kmsg.ACLResourceType
	Pattern    kmsg.ACLResourcePatternType
	Name       *string
	Principal  *string
	Host       *string
	Operation  kmsg.ACLOperation
	Permission kmsg.ACLPermissionType
}

// Matches reports whether the filter selects an ACL
// (org.apache.kafka.common.resource.ResourcePatternFilter.matches and
// org.apache.kafka.common.acl.AccessControlEntryFilter.matches).
func (f ACLFilter) Matches(a ACL) bool {
	return (f.Resource == kmsg.ACLResourceTypeAny || f.Resource == a.Resource) && f.pattern(a) &&
		(f.Principal == nil || *f.Principal == a.Principal) &&
		(f.Host == nil || *f.Host == a.Host) &&
		(f.Operation == kmsg.ACLOperationAny || f.Operation == a.Operation) &&
		(f.Permission == kmsg.ACLPermissionTypeAny || f.Permission == a.Permission)
}

func (f ACLFilter) pattern(a ACL) bool {
	switch {
	case f.Pattern != kmsg.ACLResourcePatternTypeAny && f.Pattern != kmsg.ACLResourcePatternTypeMatch && f.Pattern != a.Pattern:
		return false
	case f.Name == nil:
		return true
	case f.Pattern != kmsg.ACLResourcePatternTypeMatch:
		return *f.Name == a.Name
	case a.Pattern == kmsg.ACLResourcePatternTypePrefixed:
		return strings.HasPrefix(*f.Name, a.Name)
	}
	return *f.Name == a.Name || a.Name == "*"
}

// Select returns those that the filter selects, in their order.
func (f ACLFilter) Select(all []ACL) []ACL {
	var some []ACL
	for _, a := range all {
		if f.Matches(a) {
			some = append(some, a)
		}
	}
	return some
}
