package tenancy

import (
	"slices"
	"sync"
)

// nameIndex finds instances by their display names, which are unique within a
// tenant only. Written by the directory's Run only, read by any goroutine.
type nameIndex struct {
	mu    sync.RWMutex
	first map[string]InstanceID // nearly always the only one
	more  map[string]map[InstanceID]struct{}
}

// Named returns the instances of all tenants that bear a display name, in order of
// id; none before the directory has loaded them (Ready). Any goroutine. It costs one
// look into a map, however many instances there are, and sorting those found.
func (d *Directory) Named(name string) []InstanceID {
	x := &d.names
	x.mu.RLock()
	defer x.mu.RUnlock()
	id, ok := x.first[name]
	if !ok {
		return nil
	}
	all := append(make([]InstanceID, 0, 1+len(x.more[name])), id)
	for other := range x.more[name] {
		all = append(all, other)
	}
	slices.Sort(all)
	return all
}

// change takes an instance from one name to the next; "" is none.
func (x *nameIndex) change(id InstanceID, was, now string) {
	if was == now {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if was != "" {
		x.remove(was, id)
	}
	if now != "" {
		x.add(now, id)
	}
}

func (x *nameIndex) add(name string, id InstanceID) {
	if x.first == nil {
		x.first, x.more = map[string]InstanceID{}, map[string]map[InstanceID]struct{}{}
	}
	if _, taken := x.first[name]; !taken {
		x.first[name] = id
		return
	}
	if x.more[name] == nil {
		x.more[name] = map[InstanceID]struct{}{}
	}
	x.more[name][id] = struct{}{}
}

func (x *nameIndex) remove(name string, id InstanceID) {
	others := x.more[name]
	if x.first[name] == id {
		delete(x.first, name)
		for other := range others { // any of them
			x.first[name] = other
			delete(others, other)
			break
		}
	} else {
		delete(others, id)
	}
	if len(others) == 0 {
		delete(x.more, name)
	}
}
