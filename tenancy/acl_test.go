package tenancy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// someACL lets alice read a topic.
func someACL(topic string) ACL {
	return ACL{
		Resource: kmsg.ACLResourceTypeTopic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Name: topic,
		Principal: "User:alice", Host: "*", Operation: kmsg.ACLOperationRead, Permission: kmsg.ACLPermissionTypeAllow,
	}
}

func mustACLs(t *testing.T, s *Store, id InstanceID, want ...ACL) {
	t.Helper()
	got, err := s.ACLs(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("acls of %s (-want +got):\n%s", id, diff)
	}
}

// An instance has a set of ACLs, of its own, which goes with it.
func TestACLs(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	a, b, c := someACL("a"), someACL("b"), someACL("c")
	odd := a
	odd.Name, odd.Principal, odd.Host, odd.Permission = "\x00\"ü<", "User:o:d d", "2001:db8::1", kmsg.ACLPermissionTypeDeny
	prefixed := a
	prefixed.Pattern = kmsg.ACLResourcePatternTypePrefixed
	for _, step := range []struct {
		add, remove, want []ACL
	}{
		{want: nil},
		{add: []ACL{b, a, a}, want: []ACL{a, b}},
		{add: []ACL{a}, want: []ACL{a, b}},
		{add: []ACL{c}, remove: []ACL{b, someACL("never there")}, want: []ACL{a, c}},
		{add: []ACL{a}, remove: []ACL{a}, want: []ACL{a, c}},
		{add: []ACL{odd, prefixed}, want: []ACL{odd, a, prefixed, c}},
		{remove: []ACL{odd, a, prefixed, c, c}, want: nil},
	} {
		if _, err := s.ChangeACLs(ctx, "orders", step.add, step.remove); err != nil {
			t.Fatal(err)
		}
		mustACLs(t, s, "orders", step.want...)
	}
	mustACLs(t, s, "bills")

	if _, err := s.ChangeACLs(ctx, "orders", []ACL{a}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := s.ChangeACLs(ctx, "orders", []ACL{b, {}}, []ACL{a})
	wantErr(t, "one that cannot be", err, ErrACL)
	mustACLs(t, s, "orders", a)

	mustUpdate(t, s, "orders", setState(StateDeleted))
	if n := rdb.Exists(ctx, settingsKey("orders", settingsACLs)).Val(); n != 0 {
		t.Error("the ACLs of a deleted instance are kept")
	}
	for _, id := range []InstanceID{"orders", "nobody"} {
		_, err := s.ACLs(ctx, id)
		wantErr(t, "reading those of "+string(id), err, ErrNotFound)
		_, err = s.ChangeACLs(ctx, id, []ACL{a}, nil)
		wantErr(t, "changing those of "+string(id), err, ErrNotFound)
		if n := rdb.Exists(ctx, settingsKey(id, settingsACLs)).Val(); n != 0 {
			t.Errorf("%s has ACLs again", id)
		}
	}
}

// As many as there may be, and none of those that are too many.
func TestMaxACLs(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	all := make([]ACL, MaxACLs+1)
	for i := range all {
		all[i] = someACL(fmt.Sprint(i))
	}
	_, err := s.ChangeACLs(ctx, "orders", all, nil)
	wantErr(t, "one too many at once", err, ErrFull)
	mustACLs(t, s, "orders")
	if _, err := s.ChangeACLs(ctx, "orders", all[1:], nil); err != nil {
		t.Fatal(err)
	}
	_, err = s.ChangeACLs(ctx, "orders", all[:2], nil)
	wantErr(t, "one too many", err, ErrFull)
	if _, err := s.ChangeACLs(ctx, "orders", all[:1], all[1:2]); err != nil {
		t.Errorf("one for another: %v", err)
	}
	if got, err := s.ACLs(ctx, "orders"); err != nil || len(got) != MaxACLs || slices.Contains(got, all[1]) {
		t.Errorf("%d ACLs, %v", len(got), err)
	}
}

func TestCheckACL(t *testing.T) {
	long := strings.Repeat("x", MaxACLText+1)
	for why, change := range map[string]func(*ACL){
		"":                            func(*ACL) {},
		"is none of topic, group":     func(a *ACL) { a.Resource = kmsg.ACLResourceTypeUser },
		"is neither literal nor":      func(a *ACL) { a.Pattern = kmsg.ACLResourcePatternTypeMatch },
		"resource name is empty":      func(a *ACL) { a.Name = "" },
		"resource name has 513 bytes": func(a *ACL) { a.Name = long },
		"not UTF-8":                   func(a *ACL) { a.Name = "\xff" },
		"only valid name":             func(a *ACL) { a.Resource, a.Operation = kmsg.ACLResourceTypeCluster, kmsg.ACLOperationAlter },
		`principal ":alice" is not`:   func(a *ACL) { a.Principal = ":alice" },
		`principal "" is not`:         func(a *ACL) { a.Principal = "" },
		"principal has 518 bytes":     func(a *ACL) { a.Principal = "User:" + long },
		`host "" is neither`:          func(a *ACL) { a.Host = "" },
		`has a zone`:                  func(a *ACL) { a.Host = "fe80::1%" + strings.Repeat("x", 1<<15) },
		`host "10.0.0.0/8" is`:        func(a *ACL) { a.Host = "10.0.0.0/8" },
		"has no operation IDEMPOTENT": func(a *ACL) { a.Operation = kmsg.ACLOperationIdempotentWrite },
		"permission type 1 is":        func(a *ACL) { a.Permission = kmsg.ACLPermissionTypeAny },
	} {
		a := someACL("orders")
		change(&a)
		if err := a.Check(); why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("want %q, got %v", why, err)
		}
	}
}

// Operations by type are those of Kafka's AclEntry.supportedOperations, and ALL.
func TestACLOperations(t *testing.T) {
	const all = kmsg.ACLOperationAll
	for kind, want := range map[kmsg.ACLResourceType][]kmsg.ACLOperation{
		kmsg.ACLResourceTypeTopic:           {all, 3, 4, 5, 6, 7, 8, 10, 11},
		kmsg.ACLResourceTypeGroup:           {all, 3, 6, 8, 10, 11},
		kmsg.ACLResourceTypeCluster:         {all, 5, 7, 8, 9, 10, 11, 12},
		kmsg.ACLResourceTypeTransactionalId: {all, 4, 8},
	} {
		a := someACL(ClusterName)
		a.Resource = kind
		for op := kmsg.ACLOperation(-1); op < 20; op++ {
			a.Operation = op
			if got := a.Check() == nil; got != slices.Contains(want, op) {
				t.Errorf("%s of %s: %t", op, kind, got)
			}
		}
	}
}

// A directory sees a change in milliseconds, and hands out the same set for as
// long as there was none: also when a user or the instance changed.
func TestDirectoryFollowsACLs(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1").waitReady()
	view := func() *View { v, _ := g.View("orders"); return v }
	none := view().ACLs

	begin := time.Now()
	rev, err := s.ChangeACLs(ctx, "orders", []ACL{someACL("a")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	t.Logf("in force %s after the change began", time.Since(begin))
	first := view().ACLs
	if first == none || !slices.Equal(first.All, []ACL{someACL("a")}) || len(none.All) != 0 {
		t.Fatalf("in force: %+v, before: %+v", first.All, none.All)
	}
	_, rev, err = s.PutUser(ctx, "orders", User{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	rev, err = s.ChangeACLs(ctx, "orders", []ACL{someACL("a")}, nil) // no news
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	if view().Users["bob"].Name != "bob" || view().ACLs != first {
		t.Error("a change of something else made another set of ACLs")
	}
	made := 0
	for range 2 {
		if got := first.Made(func() any { made++; return "rules" }); got != "rules" || made != 1 {
			t.Errorf("made %v, %d times", got, made)
		}
	}
	g2 := run(t, s, "gw-2").waitReady()
	if v, _ := g2.View("orders"); !slices.Equal(v.ACLs.All, first.All) {
		t.Errorf("a gateway that starts later has %+v", v.ACLs.All)
	}
}
