package rewrite

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// fickleGuard allows and denies by turns: the worst that a change of ACLs in the
// middle of a request could look like.
type fickleGuard struct{ asked int }

func (g *fickleGuard) May(kmsg.ACLResourceType, string) auth.Operations {
	g.asked++
	if g.asked%2 == 0 {
		return 0
	}
	return auth.AllOperations
}

func (g *fickleGuard) MayBytes(t kmsg.ACLResourceType, name []byte) auth.Operations {
	return g.May(t, string(name))
}
func (g *fickleGuard) MayAny(kmsg.ACLResourceType, kmsg.ACLOperation) bool { return true }
func (g *fickleGuard) Generation() uint64                                  { return 0 }

// What a request is judged by does not change between the walk that counts and
// the one that writes: each topic is asked about once.
func TestFastAsksOnce(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.Fetch} {
		api := Table()[rowOf[key]-1]
		for v := api.Min; v <= api.Max; v++ {
			x := fastExchange(key, v)
			topics := []string{"orders", "a", "orders", "a"}
			body := produceBody(v, 1, func(*kmsg.ProduceRequest) {}, topics...)
			if key == kmsg.Fetch {
				body = fetchBody(v, func(r *kmsg.FetchRequest) { r.SessionEpoch = -1 }, topics...)
			}
			mustMap(t, x, body) // all ids are known now
			guard := &fickleGuard{}
			x.Guard = guard
			forwarded := kmsg.RequestForKey(int16(key))
			forwarded.SetVersion(v)
			if err := forwarded.ReadFrom(join(mustMap(t, x, body).Request)); err != nil {
				t.Fatalf("%s v%d: what is forwarded is broken: %v", key.Name(), v, err)
			}
			n := 0
			switch req := forwarded.(type) {
			case *kmsg.ProduceRequest:
				n = len(req.Topics)
			case *kmsg.FetchRequest:
				n = len(req.Topics)
			}
			if n != 2 || guard.asked != len(topics) {
				t.Errorf("%s v%d: %d topics are forwarded and %d questions asked, want 2 and %d", key.Name(), v, n, guard.asked, len(topics))
			}
		}
	}
}

// A fetch session ends with the rules that it was opened by, and the broker may
// close it for the next one.
func TestFetchSessionEndsWithItsRules(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		f := newFetcher(t, version)
		guard := &fakeGuard{}
		f.x.Guard = guard
		f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		f.answered(f.wantForwarded(7, 1, 7, 1), 7, 0)

		guard.change(guardRule{kind: kmsg.ACLResourceTypeTopic, name: "orders", op: opRead})
		f.wantNotFound(7, 2)
		f.wantNotFound(7, 2, "a")
		// The client begins anew: what it may not read any more is refused, and so
		// there is no session.
		plan, req, _ := f.ask(0, 0, "orders")
		if req != nil || plan.Answer == nil {
			t.Fatalf("v%d: a fetch of nothing that may be read was forwarded", version)
		}
		plan = f.wantForwarded(0, 0, 0, -1, "orders", "a")
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(version)
		pieces, err := plan.Unmap(encode(resp))
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.ReadFrom(join(pieces)); err != nil || len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 29 {
			t.Fatalf("v%d: answer %s, error %v; want one topic refused with 29", version, show(t, resp), err)
		}
		// Without it there is a session again, and the old one makes way.
		f.answered(f.wantForwarded(0, 0, 7, 0, "a"), 9, 0)
		f.wantForwarded(9, 1, 9, 1)
		f.wantNotFound(7, 3)
	})
}

// Rules that change while a full fetch is with the broker are not those that its
// partitions were judged by.
func TestFetchSessionIsOfTheRulesAtItsRequest(t *testing.T) {
	f := newFetcher(t, 18)
	guard := &fakeGuard{}
	f.x.Guard = guard
	plan := f.wantForwarded(0, 0, 0, 0, "orders")
	guard.change()
	f.answered(plan, 7, 0)
	f.wantNotFound(7, 1)
}

// oneView is a directory of one instance.
type oneView struct{ view *tenancy.View }

func (d oneView) View(tenancy.InstanceID) (*tenancy.View, bool) { return d.view, true }

// realGuard is alice's guard, with n ACLs of which one allows her everything on
// "orders"; the others are of other topics, each second a prefix.
func realGuard(n int) *auth.Guard {
	acls := &tenancy.ACLs{}
	for i := range n {
		a := tenancy.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Name: "orders",
			Principal: "User:alice", Host: "*", Operation: kmsg.ACLOperationAll, Permission: kmsg.ACLPermissionTypeAllow,
		}
		if i > 0 {
			a.Name = fmt.Sprintf("other-%d", i)
			a.Pattern += kmsg.ACLResourcePatternType(i % 2)
		}
		acls.All = append(acls.All, a)
	}
	a := auth.New(auth.Config{Directory: oneView{&tenancy.View{ACLs: acls, Access: &tenancy.Access{}}}, Pepper: []byte("p"), Log: slog.New(slog.DiscardHandler)})
	return a.Guard(auth.Principal{Instance: "acme", User: "alice"}, netip.MustParseAddr("192.0.2.1"))
}

// ACLs cost the fast path no allocation.
func TestFastAllocationsWithACLs(t *testing.T) {
	for _, acls := range []int{0, 1, 100} {
		guard := realGuard(acls)
		for _, c := range fastCases() {
			c.x.Guard = guard
			c.run(t)
			if n := testing.AllocsPerRun(20, func() { c.run(t) }); n > c.most {
				t.Errorf("%s, %d ACLs: an exchange allocates %v times, want at most %v", c.name, acls, n, c.most)
			}
		}
	}
}

// BenchmarkFastACLs is the mapping of one Produce request of 1 KiB, by name and by id.
func BenchmarkFastACLs(b *testing.B) {
	for _, v := range []int16{11, 13} {
		for _, acls := range []int{-1, 0, 1, 100, 10_000} {
			name := fmt.Sprintf("Produce/v%d/%d ACLs", v, acls)
			x := fastExchange(kmsg.Produce, v)
			if acls < 0 {
				name = fmt.Sprintf("Produce/v%d/no guard", v)
			} else {
				x.Guard = realGuard(acls)
			}
			api, body := Table()[rowOf[kmsg.Produce]-1], bigProduce(v, 1, 1<<10)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := api.Plan(x, body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
