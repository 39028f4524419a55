package tenancy

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MaxACLs is how many ACLs an instance may have.
const MaxACLs = 10_000

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
type ACLs struct{ All []ACL }

// ACLs reads an instance's ACLs; ErrNotFound if there is no such instance.
func (s *Store) ACLs(ctx context.Context, id InstanceID) ([]ACL, error) {
	fields, err := s.settings(ctx, id, settingsACLs)
	if err != nil {
		return nil, err
	}
	return decodeSettings[ACL](id, settingsACLs, fields)
}

// ChangeACLs adds and removes ACLs, all or nothing; one that is there already, or
// not there, is no error. ErrNotFound if there is no such instance, ErrFull
// beyond MaxACLs.
func (s *Store) ChangeACLs(ctx context.Context, id InstanceID, add, remove []ACL) (Revision, error) {
	c := settingsChange{kind: settingsACLs, most: MaxACLs, put: make(map[string]string, len(add))}
	for _, a := range remove {
		field, err := json.Marshal(a)
		if err != nil {
			return 0, fmt.Errorf("acl of instance %s: %w", id, err)
		}
		c.remove = append(c.remove, string(field))
	}
	for _, a := range add {
		field, err := json.Marshal(a)
		if err != nil {
			return 0, fmt.Errorf("acl of instance %s: %w", id, err)
		}
		c.put[string(field)] = string(field)
	}
	return s.change(ctx, id, c)
}
