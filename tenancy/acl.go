package tenancy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// MaxACLs is how many ACLs an instance may have: each gateway holds them in memory.
	MaxACLs = 10_000
	// MaxACLText is how long an ACL's name and principal may be, in bytes. Kafka
	// has topics of up to 249; longer groups are reached by a prefix.
	MaxACLText = 512

	// ClusterName is the name of the only resource of type CLUSTER.
	ClusterName = "kafka-cluster"
)

// ErrACL is of an ACL that cannot be: the text says why, and names nothing but what was sent.
var ErrACL = errors.New("invalid acl")

// ACL allows or denies a principal of one instance an operation on what a
// pattern matches (KIP-11, KIP-290). All names are virtual. Comparable: an
// instance has a set of them.
type ACL struct {
	Resource   kmsg.ACLResourceType        `json:"resource"` // topic, group, cluster or transactional id
	Pattern    kmsg.ACLResourcePatternType `json:"pattern"`  // literal or prefixed
	Name       string                      `json:"name"`     // "*" with literal: all; "kafka-cluster" for the cluster
	Principal  string                      `json:"principal"`
	Host       string                      `json:"host"` // the client's address, or "*"
	Operation  kmsg.ACLOperation           `json:"operation"`
	Permission kmsg.ACLPermissionType      `json:"permission"` // allow or deny
}

// ACLs is an instance's set at one moment, in a fixed order. Immutable; a view
// whose set did not change keeps the very same pointer, so that what was made of
// it can be kept too.
type ACLs struct {
	All []ACL

	once sync.Once
	made any
}

// Made returns what the first caller's make made of the set, and keeps it for as
// long as the set lives. Any goroutine; those that come meanwhile wait. It is
// package auth's: there is room for one thing.
func (a *ACLs) Made(make func() any) any {
	a.once.Do(func() { a.made = make() })
	return a.made
}

// Compare orders ACLs: those of one type of resource, one name and one pattern
// stand together.
func (a ACL) Compare(b ACL) int {
	return cmp.Or(
		cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Name, b.Name), cmp.Compare(a.Pattern, b.Pattern),
		strings.Compare(a.Principal, b.Principal), cmp.Compare(a.Permission, b.Permission),
		cmp.Compare(a.Operation, b.Operation), strings.Compare(a.Host, b.Host),
	)
}

// Check wraps ErrACL if there can be no such ACL. It is what Kafka's
// AclControlManager.validateNewAcl and AclApis say, and its kafka-acls tool: an
// operation that the type of resource does not have (AclEntry.supportedOperations)
// is refused, where a broker would keep an ACL that does nothing; and so is a
// host that is no address.
func (a ACL) Check() error {
	if why := a.wrong(); why != "" {
		return fmt.Errorf("%w: %s", ErrACL, why)
	}
	return nil
}

func (a ACL) wrong() string {
	kind, principal, _ := strings.Cut(a.Principal, ":")
	host, hostErr := netip.ParseAddr(a.Host)
	switch operations := aclOperations(a.Resource); {
	case operations == nil:
		return fmt.Sprintf("resource type %d is none of topic, group, cluster and transactional id", a.Resource)
	case a.Pattern != kmsg.ACLResourcePatternTypeLiteral && a.Pattern != kmsg.ACLResourcePatternTypePrefixed:
		return fmt.Sprintf("pattern type %d is neither literal nor prefixed", a.Pattern)
	case a.Name == "":
		return "the resource name is empty"
	case len(a.Name) > MaxACLText:
		return fmt.Sprintf("the resource name has %d bytes, at most %d", len(a.Name), MaxACLText)
	case !utf8.ValidString(a.Name) || !utf8.ValidString(a.Principal):
		return "the resource name or the principal is not UTF-8"
	case a.Resource == kmsg.ACLResourceTypeCluster && a.Name != ClusterName:
		return "the only valid name for the cluster resource is " + ClusterName
	case kind == "" || principal == "":
		return fmt.Sprintf("principal %.80q is not of the form User:name", a.Principal)
	case len(a.Principal) > MaxACLText:
		return fmt.Sprintf("the principal has %d bytes, at most %d", len(a.Principal), MaxACLText)
	case a.Host != "*" && hostErr != nil:
		return fmt.Sprintf("host %.80q is neither an IP address nor *", a.Host)
	case host.Zone() != "": // of any length, and nothing that a client's address here has
		return fmt.Sprintf("host %.80q has a zone: leave it out", a.Host)
	case a.Operation != kmsg.ACLOperationAll && !slices.Contains(operations, a.Operation):
		return fmt.Sprintf("resource type %s has no operation %s (%d)", a.Resource, a.Operation, a.Operation)
	case a.Permission != kmsg.ACLPermissionTypeAllow && a.Permission != kmsg.ACLPermissionTypeDeny:
		return fmt.Sprintf("permission type %d is neither allow nor deny", a.Permission)
	}
	return ""
}

// aclOperations are those that a type of resource has, besides ALL (Kafka's
// AclEntry.supportedOperations); nil for a type that has no ACLs here.
func aclOperations(t kmsg.ACLResourceType) []kmsg.ACLOperation {
	switch t {
	case kmsg.ACLResourceTypeTopic:
		return []kmsg.ACLOperation{
			kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe,
			kmsg.ACLOperationDelete, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
		}
	case kmsg.ACLResourceTypeGroup:
		return []kmsg.ACLOperation{
			kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete,
			kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
		}
	case kmsg.ACLResourceTypeCluster:
		return []kmsg.ACLOperation{
			kmsg.ACLOperationCreate, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
			kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe,
		}
	case kmsg.ACLResourceTypeTransactionalId:
		return []kmsg.ACLOperation{kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite}
	}
	return nil
}

// ACLs reads an instance's ACLs, in order of Compare; ErrNotFound if there is no
// such instance.
func (s *Store) ACLs(ctx context.Context, id InstanceID) ([]ACL, error) {
	fields, err := s.settings(ctx, id, settingsACLs)
	if err != nil {
		return nil, err
	}
	acls, err := decodeSettings[ACL](id, settingsACLs, fields)
	slices.SortFunc(acls, ACL.Compare)
	return acls, err
}

// ChangeACLs adds and removes ACLs, all or nothing; one that is there already, or
// not there, is no error, and one that is in both is there afterwards. ErrACL if
// one to add cannot be, ErrNotFound if there is no such instance, ErrFull beyond
// MaxACLs. With ErrUnannounced it was done all the same.
func (s *Store) ChangeACLs(ctx context.Context, id InstanceID, add, remove []ACL) (Revision, error) {
	c := settingsChange{kind: settingsACLs, most: MaxACLs, put: make(map[string]string, len(add))}
	for _, a := range add {
		if err := a.Check(); err != nil {
			return 0, fmt.Errorf("instance %s: %w", id, err)
		}
		field, err := json.Marshal(a)
		if err != nil {
			return 0, fmt.Errorf("acl of instance %s: %w", id, err)
		}
		c.put[string(field)] = string(field)
	}
	if len(c.put) > MaxACLs {
		return 0, fmt.Errorf("instance %s may have %d acls at most: %w", id, MaxACLs, ErrFull)
	}
	for _, a := range remove {
		field, err := json.Marshal(a)
		if err != nil {
			return 0, fmt.Errorf("acl of instance %s: %w", id, err)
		}
		if _, stays := c.put[string(field)]; !stays {
			c.remove = append(c.remove, string(field))
		}
	}
	return s.change(ctx, id, c)
}
