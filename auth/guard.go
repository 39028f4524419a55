package auth

import (
	"net/netip"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

const (
	// maxDecisions bounds what one connection remembers of one type of resource.
	maxDecisions = 128
	// maxDecisionName is the longest name that it remembers, in bytes: of any topic.
	maxDecisionName = 249
)

// Guard says what one session may do, by the ACLs that are in force at the
// moment: every question looks at the directory, so a change holds from the next
// question on. Any goroutine.
type Guard struct {
	auth     *Authenticator
	instance tenancy.InstanceID
	who      subject

	mu  sync.Mutex
	now inForce
	gen uint64
	// What follows is as of now.
	rules     *Rules // nil until asked
	decisions [sections]map[string]Operations
	anyKnown  [sections]bool
	any       [sections]Operations
}

// inForce is all that the answers depend on. Comparable.
type inForce struct {
	acls *tenancy.ACLs
	deny bool // the plan's default
}

// Guard returns the guard of a session of p, whose client is at addr.
func (a *Authenticator) Guard(p Principal, addr netip.Addr) *Guard {
	return &Guard{auth: a, instance: p.Instance, who: subject{user: p.User, addr: addr.Unmap().WithZone("")}}
}

// May returns what the session may do with one resource, implied operations
// included. The cluster's name is "kafka-cluster".
func (g *Guard) May(t kmsg.ACLResourceType, name string) Operations { return ask(g, t, name) }

// MayBytes is May for a name in a buffer; it does not allocate, but to remember.
func (g *Guard) MayBytes(t kmsg.ACLResourceType, name []byte) Operations { return ask(g, t, name) }

func ask[N string | []byte](g *Guard, t kmsg.ACLResourceType, name N) Operations {
	now, ok := g.look()
	if !ok {
		return 0
	}
	if now.none() {
		return now.unmatched()
	}
	if t < 0 || t >= sections {
		return now.unmatched() // there are no ACLs of it
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	if ops, ok := g.decisions[t][string(name)]; ok {
		return ops
	}
	ops, spoken := may(g.compiled(), g.who, t, name)
	if !spoken {
		ops = now.unmatched()
	}
	if len(name) <= maxDecisionName {
		g.remember(t, string(name), ops)
	}
	return ops
}

// MayAny reports whether the session may do op with at least one resource of
// that type that could exist (Kafka's authorizeByResourceType).
func (g *Guard) MayAny(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool {
	now, ok := g.look()
	if !ok {
		return false
	}
	if now.none() || t < 0 || t >= sections {
		return now.unmatched().Has(op)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	if !g.anyKnown[t] {
		g.any[t], g.anyKnown[t] = g.compiled().mayAny(g.who, t, now.unmatched()), true
	}
	return g.any[t].Has(op)
}

// Generation changes whenever the ACLs in force have: what was allowed before
// must be asked for again.
func (g *Guard) Generation() uint64 {
	now, ok := g.look()
	g.mu.Lock()
	defer g.mu.Unlock()
	if ok {
		g.turn(now)
	}
	return g.gen
}

// look sees what is in force; ok is false if the instance is gone.
func (g *Guard) look() (now inForce, ok bool) {
	view, ok := g.auth.directory.View(g.instance)
	if !ok {
		return inForce{}, false
	}
	return inForce{acls: view.ACLs, deny: g.auth.defaults(view.Instance.Plan).DenyACLs}, true
}

func (n inForce) none() bool { return n.acls == nil || len(n.acls.All) == 0 }

func (n inForce) unmatched() Operations {
	if n.deny {
		return 0
	}
	return AllOperations
}

// turn forgets what was as of something else than now. Under mu.
func (g *Guard) turn(now inForce) {
	if now == g.now {
		return
	}
	g.now, g.rules = now, nil
	g.gen++
	clear(g.decisions[:])
	g.anyKnown = [sections]bool{}
}

// compiled returns the rules in force, which all sessions of the instance share. Under mu.
func (g *Guard) compiled() *Rules {
	if g.rules == nil {
		g.rules = rulesOf(g.now.acls)
	}
	return g.rules
}

// rulesOf returns the rules of a set. They are kept with it, so that they are
// made once, by whoever asks first, and go when it does.
func rulesOf(acls *tenancy.ACLs) *Rules {
	return acls.Made(func() any { return NewRules(acls.All) }).(*Rules)
}

// remember keeps a decision; when there are too many it begins anew. Under mu.
func (g *Guard) remember(t kmsg.ACLResourceType, name string, ops Operations) {
	if g.decisions[t] == nil || len(g.decisions[t]) >= maxDecisions {
		g.decisions[t] = make(map[string]Operations, 8)
	}
	g.decisions[t][name] = ops
}
