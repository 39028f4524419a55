package rewrite

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
)

// fakeGuard allows all but what its rules deny, or (only) nothing but what its
// rules allow. A rule's name "*" is every name.
type fakeGuard struct {
	mu    sync.Mutex
	rules []guardRule
	only  bool
	gen   uint64
	asked int // how often May or MayBytes was
}

type guardRule struct {
	kind  kmsg.ACLResourceType
	name  string
	op    kmsg.ACLOperation
	allow bool
}

func (g *fakeGuard) May(t kmsg.ACLResourceType, name string) auth.Operations {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	may := auth.AllOperations
	if g.only {
		may = 0
	}
	for _, r := range g.rules {
		switch {
		case r.kind != t || r.name != name && r.name != "*":
		case r.allow:
			may |= implied(r.op)
		default:
			may &^= 1 << r.op
		}
	}
	return may
}

func (g *fakeGuard) MayBytes(t kmsg.ACLResourceType, name []byte) auth.Operations {
	return g.May(t, string(name))
}

func (g *fakeGuard) MayAny(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	matches := func(r guardRule) bool { return r.kind == t && implied(r.op).Has(op) }
	if g.only {
		return slices.ContainsFunc(g.rules, func(r guardRule) bool { return r.allow && matches(r) })
	}
	return !slices.ContainsFunc(g.rules, func(r guardRule) bool { return !r.allow && r.name == "*" && r.kind == t && r.op == op })
}

func (g *fakeGuard) Generation() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gen
}

// change adds rules and makes them the ones in force.
func (g *fakeGuard) change(rules ...guardRule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = append(g.rules, rules...)
	g.gen++
}

// implied is op with what it implies where it is allowed.
func implied(op kmsg.ACLOperation) auth.Operations {
	switch op {
	case opRead, opWrite, opDelete, opAlter:
		return 1<<op | 1<<opDescribe
	case opAlterConfigs:
		return 1<<op | 1<<opDescribeConfigs
	}
	return 1 << op
}

// guardLine reads a scenario's line "deny: topic orders write describe" or
// "allow-only: ...": a type, a name or *, operations. The cluster has no name.
func (g *fakeGuard) guardLine(t testing.TB, line string, allow bool) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) < 2 {
		t.Fatalf("%q: want a type, a name and operations", line)
	}
	r := guardRule{allow: allow, name: words[1]}
	switch words[0] {
	case "topic":
		r.kind = kmsg.ACLResourceTypeTopic
	case "group":
		r.kind = kmsg.ACLResourceTypeGroup
	case "txn":
		r.kind = kmsg.ACLResourceTypeTransactionalId
	case "cluster":
		r.kind, r.name = kmsg.ACLResourceTypeCluster, clusterName
		words = slices.Insert(words, 1, clusterName)
	default:
		t.Fatalf("%q: %q is no type of resource", line, words[0])
	}
	g.only = g.only || allow
	for _, word := range words[2:] {
		op, err := kmsg.ParseACLOperation(word)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		r.op = op
		g.rules = append(g.rules, r)
	}
}
