package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

const topic = kmsg.ACLResourceTypeTopic

// grant puts ACLs, and a plan, in force for an instance.
func (d *directory) grant(id tenancy.InstanceID, plan string, acls ...tenancy.ACL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.views[id] = &tenancy.View{Instance: tenancy.Instance{ID: id, Plan: plan}, ACLs: &tenancy.ACLs{All: acls}, Access: &tenancy.Access{}}
}

func newGuards() (*directory, *Authenticator) {
	dir := &directory{views: map[tenancy.InstanceID]*tenancy.View{}}
	dir.grant("one", "open")
	return dir, New(Config{Directory: dir, Pepper: []byte("p"), Defaults: func(plan string) Defaults { return Defaults{DenyACLs: plan == "closed"} }})
}

// A change is in force at the next question, and Generation tells of it.
func TestGuardFollowsTheDirectory(t *testing.T) {
	dir, auth := newGuards()
	g := auth.Guard(Principal{Instance: "one", User: "alice"}, netip.MustParseAddr("::ffff:192.0.2.7"))
	last := g.Generation()
	for _, step := range []struct {
		what string
		do   func()
		want Operations
		any  bool // may WRITE to any topic
		same bool // nothing changed
	}{
		{"no ACLs", func() {}, AllOperations, true, true},
		{"nothing happens", func() {}, AllOperations, true, true},
		{"an ACL for somebody else", func() { dir.grant("one", "open", acl(t, "allow User:bob WRITE topic:*")) }, 0, false, false},
		{"nothing happens then", func() {}, 0, false, true},
		{"an ACL", func() { dir.grant("one", "open", acl(t, "allow User:alice@192.0.2.7 WRITE topic:*")) }, operations(kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe), true, false},
		{"a plan that denies", func() { dir.grant("one", "closed") }, 0, false, false},
		{"an ACL of that plan", func() { dir.grant("one", "closed", acl(t, "allow User:alice READ topic:orders")) }, operations(kmsg.ACLOperationRead, kmsg.ACLOperationDescribe), false, false},
		{"a plan that allows", func() { dir.grant("one", "open") }, AllOperations, true, false},
	} {
		step.do()
		for range 2 {
			if got, bytes := g.May(topic, "orders"), g.MayBytes(topic, []byte("orders")); got != step.want || bytes != step.want {
				t.Errorf("%s: %b, %b by bytes, want %b", step.what, got, bytes, step.want)
			}
			if got := g.MayAny(topic, kmsg.ACLOperationWrite); got != step.any {
				t.Errorf("%s: may write to any topic: %t", step.what, got)
			}
		}
		gen := g.Generation()
		if (gen == last) != step.same {
			t.Errorf("%s: generation %d after %d", step.what, gen, last)
		}
		last = gen
	}
	delete(dir.views, "one")
	if got := g.May(topic, "orders"); got != 0 || g.MayAny(topic, kmsg.ACLOperationRead) {
		t.Errorf("without its instance: %b", got)
	}
}

// A type that cannot have ACLs is as if there were none of it.
func TestGuardUnknownTypes(t *testing.T) {
	dir, auth := newGuards()
	dir.grant("one", "open", acl(t, "deny User:* ALL topic:*"), tenancy.ACL{Resource: 7, Pattern: 3, Name: "*", Principal: "User:*", Host: "*", Operation: 2, Permission: 2})
	g := auth.Guard(Principal{Instance: "one", User: "alice"}, netip.Addr{})
	for _, kind := range []kmsg.ACLResourceType{-1, 0, 1, 6, 7, 127} {
		if g.May(kind, "x") != AllOperations || !g.MayAny(kind, kmsg.ACLOperationRead) {
			t.Errorf("type %d: %b", kind, g.May(kind, "x"))
		}
	}
	if g.May(topic, "x") != 0 {
		t.Error("the topic is not denied")
	}
}

// What one connection remembers is bounded, by number and by length.
func TestGuardForgets(t *testing.T) {
	dir, auth := newGuards()
	dir.grant("one", "open", acl(t, "allow User:alice READ topic:*"))
	g := auth.Guard(Principal{Instance: "one", User: "alice"}, netip.Addr{})
	for i := range 10 * maxDecisions {
		g.May(topic, fmt.Sprint(i))
		if n := len(g.decisions[topic]); n == 0 || n > maxDecisions {
			t.Fatalf("remembers %d decisions", n)
		}
	}
	before := len(g.decisions[topic])
	if g.May(topic, string(make([]byte, 32000))); len(g.decisions[topic]) != before {
		t.Error("remembers a name of 32,000 bytes")
	}
}

// Sessions share an instance's rules, whoever asks first.
func TestGuardsShareRules(t *testing.T) {
	dir, auth := newGuards()
	dir.grant("one", "open", acl(t, "allow User:alice READ topic:*"))
	var guards [8]*Guard
	var wg sync.WaitGroup
	for i := range guards {
		guards[i] = auth.Guard(Principal{Instance: "one", User: "alice"}, netip.Addr{})
		wg.Go(func() {
			for range 100 {
				if !guards[i].May(topic, "orders").Has(kmsg.ACLOperationRead) || guards[i].Generation() != 1 {
					t.Error("denied, or changed")
				}
			}
		})
	}
	wg.Wait()
	for _, g := range guards {
		if g.rules != guards[0].rules {
			t.Fatal("two sessions have rules of their own")
		}
	}
}

func TestMayDoesNotAllocate(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		g, name := manyACLs(t, n)
		rules := NewRules(manyRules(t, n))
		g.MayBytes(topic, name)
		if allocs := testing.AllocsPerRun(100, func() { g.MayBytes(topic, name); g.Generation() }); allocs != 0 {
			t.Errorf("%d ACLs, remembered: %v allocations", n, allocs)
		}
		if allocs := testing.AllocsPerRun(100, func() { may(rules, g.who, topic, name) }); allocs != 0 {
			t.Errorf("%d ACLs, looked up: %v allocations", n, allocs)
		}
	}
}

// manyRules are n ACLs: half of them of one topic each, the others prefixes;
// every tenth is for alice.
func manyRules(tb testing.TB, n int) []tenancy.ACL {
	var all []tenancy.ACL
	for i := range n {
		user, dots := fmt.Sprintf("user%d", i%500), ""
		if i%10 == 0 {
			user = "alice"
		}
		if i%2 == 1 {
			dots = "..."
		}
		all = append(all, acl(tb, fmt.Sprintf("allow User:%s READ topic:orders-%d%s", user, i, dots)))
	}
	return all
}

func manyACLs(tb testing.TB, n int) (g *Guard, name []byte) {
	dir, auth := newGuards()
	dir.grant("one", "open", manyRules(tb, n)...)
	return auth.Guard(Principal{Instance: "one", User: "alice"}, netip.MustParseAddr("192.0.2.7")), []byte("orders-0")
}

func BenchmarkMay(b *testing.B) {
	for _, n := range []int{0, 1, 100, 10_000} {
		g, name := manyACLs(b, n)
		b.Run(fmt.Sprintf("%d/remembered", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.MayBytes(topic, name)
			}
		})
		rules := NewRules(manyRules(b, n))
		b.Run(fmt.Sprintf("%d/looked-up", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				may(rules, g.who, topic, name)
			}
		})
		b.Run(fmt.Sprintf("%d/any", n), func(b *testing.B) {
			for b.Loop() {
				rules.mayAny(g.who, topic, AllOperations)
			}
		})
		b.Run(fmt.Sprintf("%d/compile", n), func(b *testing.B) {
			all := manyRules(b, n)
			b.ReportAllocs()
			for b.Loop() {
				NewRules(all)
			}
		})
	}
}
