package tenancy

import "strings"

// Owners returns what says whose a topic or group of a pool is, by its physical
// name and the aliases of this moment; nil before the directory is ready. A topic
// that is only shared with an instance is not its own, and one of an instance of
// another pool is nobody's here. Any goroutine may use the result.
func (d *Directory) Owners(pool string) func(kind Kind, physical string) (InstanceID, bool) {
	select {
	case <-d.ready:
	default:
		return nil
	}
	aliased := map[aliasKey]InstanceID{}
	d.Each(func(v *View) bool {
		for _, a := range v.Space.Aliases() {
			if !a.ReadOnly && v.Instance.Pool == pool {
				aliased[aliasKey{a.Kind, a.Physical}] = v.Instance.ID
			}
		}
		return true
	})
	return func(kind Kind, physical string) (InstanceID, bool) {
		if id, ok := aliased[aliasKey{kind, physical}]; ok {
			return id, true
		}
		label, _, dotted := strings.Cut(physical, ".")
		v, ok := d.View(InstanceID(label))
		if !dotted || !ok || v.Instance.Pool != pool {
			return "", false
		}
		// The prefixed form of an alias is nobody's.
		if _, ok := v.Space.Virtual(kind, physical); !ok {
			return "", false
		}
		return v.Instance.ID, true
	}
}
