package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxAliases is how many aliases an instance may have: every session's names are
// looked up among them, and listings name each of them.
const MaxAliases = 1000

// ErrAliasName is an alias that cannot be: its text says what is wrong with it.
var ErrAliasName = errors.New("invalid alias")

// Alias hands one physical name that existed before the gateway to an instance,
// under a virtual name of its own choice (protocol.md 7).
type Alias struct {
	Kind     Kind   `json:"kind"`
	Virtual  string `json:"virtual"`
	Physical string `json:"physical"`
	// ReadOnly is a share: another instance, or nobody, owns the topic. It can be
	// read and described, never written, altered or deleted. Topics only.
	ReadOnly bool `json:"read_only,omitempty"`
}

type aliasKey struct {
	kind Kind
	name string
}

type aliasMaps struct {
	all                   []Alias
	byVirtual, byPhysical map[aliasKey]Alias
}

func newAliasMaps(all []Alias) *aliasMaps {
	if len(all) == 0 {
		return nil
	}
	m := &aliasMaps{all: all, byVirtual: map[aliasKey]Alias{}, byPhysical: map[aliasKey]Alias{}}
	for _, a := range all {
		m.byVirtual[aliasKey{a.Kind, a.Virtual}] = a
		m.byPhysical[aliasKey{a.Kind, a.Physical}] = a
	}
	return m
}

// Aliases are the names that are not under the prefix. Not to be changed.
func (n Namespace) Aliases() []Alias {
	if n.aliases == nil {
		return nil
	}
	return n.aliases.all
}

// Alias finds the alias of a virtual name.
func (n Namespace) Alias(kind Kind, virtual string) (Alias, bool) { return n.alias(kind, virtual) }

func (n Namespace) alias(kind Kind, virtual string) (Alias, bool) {
	if n.aliases == nil {
		return Alias{}, false
	}
	a, ok := n.aliases.byVirtual[aliasKey{kind, virtual}]
	return a, ok
}

// AliasOf finds the alias of a physical name.
func (n Namespace) AliasOf(kind Kind, physical string) (Alias, bool) {
	if n.aliases == nil {
		return Alias{}, false
	}
	a, ok := n.aliases.byPhysical[aliasKey{kind, physical}]
	return a, ok
}

// Extends reports whether n maps every name that former has an alias for as
// former does, so that what changed from former to n was only added; same, that
// nothing was.
func (n Namespace) Extends(former Namespace) (extends, same bool) {
	for _, a := range former.Aliases() {
		if now, ok := n.alias(a.Kind, a.Virtual); !ok || now != a {
			return false, false
		}
	}
	return true, len(n.Aliases()) == len(former.Aliases())
}

// Check says what is wrong with an alias of that instance as far as names alone
// tell; nil or ErrAliasName. That the physical name is under no instance's prefix
// is for the store to say.
func (a Alias) Check(id InstanceID) error {
	var err error
	switch a.Kind {
	case KindTopic:
		if _, bad := NewNamespace(id).Topic(a.Virtual); bad != nil {
			err = fmt.Errorf("virtual name: %w", bad)
		} else if bad := checkPhysicalTopic(a.Physical); bad != nil {
			err = fmt.Errorf("physical name: %w", bad)
		}
	case KindGroup, KindTxn:
		most := NewNamespace(id).MaxName()
		switch {
		case a.ReadOnly:
			err = errors.New("only topics can be shared read-only")
		case a.Virtual == "" || len(a.Virtual) > most || !utf8.ValidString(a.Virtual):
			err = fmt.Errorf("the virtual name must be 1 to %d bytes of UTF-8", most)
		case a.Physical == "" || len(a.Physical) > maxPhysicalName || !utf8.ValidString(a.Physical):
			err = fmt.Errorf("the physical name must be 1 to %d bytes of UTF-8", maxPhysicalName)
		}
	default:
		err = fmt.Errorf("kind %.40q is not one of %s, %s, %s", string(a.Kind), KindTopic, KindGroup, KindTxn)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAliasName, err)
	}
	return nil
}

// checkPhysicalTopic is Kafka's own rule (Topic.validate), less the topics that
// are Kafka's or a tool's own: they begin with two underscores.
func checkPhysicalTopic(name string) error {
	if strings.HasPrefix(name, "__") {
		return fmt.Errorf("%w: %.80q is internal", ErrTopicReserved, name)
	}
	_, err := Namespace{}.Topic(name)
	return err
}

// label is the part of a physical name that would be an instance's id if the name
// were one of an instance: before the first dot. ok is false if it cannot be.
func (a Alias) label() (id InstanceID, ok bool) {
	label, _, dotted := strings.Cut(a.Physical, ".")
	id, err := ParseInstanceID(label)
	return id, dotted && err == nil
}

// field and backField are where an alias stands in its instance's hash: by each
// of its names, so that neither can be given twice.
func (a Alias) field() string     { return "v " + string(a.Kind) + " " + a.Virtual }
func (a Alias) backField() string { return "p " + string(a.Kind) + " " + a.Physical }

// decodeAliases reads the hash, and insists that each is what its field says.
func decodeAliases(id InstanceID, fields map[string]string) ([]Alias, error) {
	forward := make(map[string]string, len(fields)/2)
	for field, raw := range fields {
		if strings.HasPrefix(field, "v ") {
			forward[field] = raw
		}
	}
	all, err := decodeSettings[Alias](id, settingsAliases, forward)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if forward[a.field()] == "" || fields[a.backField()] == "" {
			return nil, fmt.Errorf("aliases of instance %s: that of %s %.80q in redis is broken", id, a.Kind, a.Virtual)
		}
	}
	return all, nil
}
