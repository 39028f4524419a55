package proxy

import (
	"sync"

	"weir/tenancy"
)

// registry knows every open connection, and which instance it belongs to.
type registry struct {
	mu    sync.Mutex
	empty *sync.Cond
	all   map[*conn]struct{}
	owned map[tenancy.InstanceID]map[*conn]struct{}
}

func (r *registry) init() {
	r.empty = sync.NewCond(&r.mu)
	r.all = map[*conn]struct{}{}
	r.owned = map[tenancy.InstanceID]map[*conn]struct{}{}
}

func (r *registry) add(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[c] = struct{}{}
}

// own records whose connection c has become. c.principal is set before and
// does not change after.
func (r *registry) own(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := c.principal.Instance
	if r.owned[id] == nil {
		r.owned[id] = map[*conn]struct{}{}
	}
	r.owned[id][c] = struct{}{}
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, c)
	if len(r.all) == 0 {
		r.empty.Broadcast()
	}
	if set := r.owned[c.principal.Instance]; set != nil {
		delete(set, c)
		if len(set) == 0 {
			delete(r.owned, c.principal.Instance)
		}
	}
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// wait returns when no connection is left.
func (r *registry) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) > 0 {
		r.empty.Wait()
	}
}

// each and ofInstance call fn outside the lock, on those that are there now.
func (r *registry) each(fn func(*conn)) {
	r.mu.Lock()
	conns := keys(r.all)
	r.mu.Unlock()
	for _, c := range conns {
		fn(c)
	}
}

func (r *registry) ofInstance(id tenancy.InstanceID, fn func(*conn)) {
	r.mu.Lock()
	conns := keys(r.owned[id])
	r.mu.Unlock()
	for _, c := range conns {
		fn(c)
	}
}

func keys(set map[*conn]struct{}) []*conn {
	conns := make([]*conn, 0, len(set))
	for c := range set {
		conns = append(conns, c)
	}
	return conns
}
