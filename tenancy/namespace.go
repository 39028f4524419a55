package tenancy

import (
	"errors"
	"fmt"
	"strings"
)

// Why a topic's name cannot be mapped. Kafka answers both with
// INVALID_TOPIC_EXCEPTION (17) when a topic is created or looked up, and with
// UNKNOWN_TOPIC_OR_PARTITION (3) elsewhere.
var (
	ErrTopicName     = errors.New("invalid topic name")
	ErrTopicReserved = errors.New("reserved topic name")
)

const (
	maxPhysicalTopic = 249   // org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH
	maxPhysicalName  = 32767 // a STRING's length is an INT16 in the Kafka protocol
)

// Kind is a kind of name. Each has a namespace of its own in Kafka.
type Kind string

// The kinds of names that an instance has.
const (
	KindTopic Kind = "topic"
	KindGroup Kind = "group"
	KindTxn   Kind = "transactional-id"
)

// Namespace is the total, reversible map between an instance's names and the
// pool's: physical = <instance id> "." <virtual>, but for aliases. Made only by
// NewNamespace; immutable, any goroutine.
//
// Because an instance id has neither '.' nor '_',
//   - the first '.' of a physical name ends the id, so the map is injective and
//     the owner can be read off;
//   - no prefix begins with another one, so a prefix test (also the pool's own
//     PREFIXED ACLs) never matches a neighbour;
//   - names that Kafka refuses because they differ only by '.' and '_' collide
//     within one instance or not at all: no instance learns of another's names;
//   - order is kept, so cursors and sorted listings survive.
//
// An alias says that one virtual name is another physical one, which is under no
// instance's prefix. Its own prefixed form is then nobody's, so the union of both
// maps stays injective (protocol.md 7). Order is not kept where there are aliases.
type Namespace struct {
	prefix  string
	aliases *aliasMaps // nil: none
}

// NewNamespace returns the namespace of one instance.
func NewNamespace(id InstanceID, aliases ...Alias) Namespace {
	return Namespace{prefix: string(id) + ".", aliases: newAliasMaps(aliases)}
}

// Prefix is what every physical name of this namespace begins with, but for aliases.
func (n Namespace) Prefix() string { return n.prefix }

// Physical maps a name of that kind that is known to be valid. The caller
// refuses "" first: the prefix would make it valid. Use Topic for topics that a
// client names.
func (n Namespace) Physical(kind Kind, virtual string) string {
	if a, ok := n.alias(kind, virtual); ok {
		return a.Physical
	}
	return n.prefix + virtual
}

// Virtual is the inverse of Physical; ok is false for a name of somebody else.
func (n Namespace) Virtual(kind Kind, physical string) (virtual string, ok bool) {
	if n.aliases == nil {
		return strings.CutPrefix(physical, n.prefix)
	}
	if a, ok := n.aliases.byPhysical[aliasKey{kind, physical}]; ok {
		return a.Virtual, true
	}
	virtual, ok = strings.CutPrefix(physical, n.prefix)
	if _, aliased := n.alias(kind, virtual); aliased {
		return "", false // the prefixed form of an alias is nobody's
	}
	return virtual, ok
}

// MaxTopic is how long a virtual topic name may be, in characters.
func (n Namespace) MaxTopic() int { return maxPhysicalTopic - len(n.prefix) }

// MaxName is how long any other virtual name (group, transactional id) may be, in bytes.
func (n Namespace) MaxName() int { return maxPhysicalName - len(n.prefix) }

// Topic checks a topic's virtual name and maps it. The rule is Kafka's own
// (org.apache.kafka.common.internals.Topic.validate) less the room for the
// prefix, and it holds before mapping: "", "." and ".." would become valid by it.
// Names that clients take for internal topics are refused too. The error wraps
// ErrTopicName or ErrTopicReserved and shows only what the client sent.
func (n Namespace) Topic(virtual string) (physical string, err error) {
	if a, ok := n.alias(KindTopic, virtual); ok {
		return a.Physical, nil
	}
	switch virtual {
	case "", ".", "..":
		return "", fmt.Errorf("%w: %q", ErrTopicName, virtual)
	case "__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata":
		return "", fmt.Errorf("%w: %q", ErrTopicReserved, virtual)
	}
	if len(virtual) > n.MaxTopic() {
		return "", fmt.Errorf("%w: %d characters, at most %d", ErrTopicName, len(virtual), n.MaxTopic())
	}
	for i := range len(virtual) {
		if c := rune(virtual[i]); !isAlnum(c) && c != '.' && c != '_' && c != '-' {
			return "", fmt.Errorf("%w: character %d of %q is not one of a-z A-Z 0-9 . _ -", ErrTopicName, i+1, virtual)
		}
	}
	return n.prefix + virtual, nil
}
