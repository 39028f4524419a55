package tenancy

import "strings"

// Namespace is the total, reversible map between an instance's names and the
// pool's: physical = <instance id> "." <virtual>. Made only by NewNamespace.
type Namespace struct{ prefix string }

// NewNamespace returns the namespace of one instance.
func NewNamespace(id InstanceID) Namespace { return Namespace{prefix: string(id) + "."} }

// Prefix is what every physical name of this namespace begins with.
func (n Namespace) Prefix() string { return n.prefix }

// Physical maps any non-empty name (topic, group, transactional id).
func (n Namespace) Physical(virtual string) string { return n.prefix + virtual }

// Virtual is the inverse of Physical; ok is false for a name of somebody else.
func (n Namespace) Virtual(physical string) (virtual string, ok bool) {
	return strings.CutPrefix(physical, n.prefix)
}
