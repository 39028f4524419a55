package tenancy

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
