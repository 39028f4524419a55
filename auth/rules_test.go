package auth

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"weir/tenancy"
)

// acl reads "allow|deny User:alice@host OPERATION TYPE:name", where a name that
// ends with ... is a prefix; for tables of ACLs that can be read.
func acl(tb testing.TB, text string) tenancy.ACL {
	tb.Helper()
	f := strings.Fields(text)
	permission, err1 := kmsg.ParseACLPermissionType(f[0])
	principal, host, hasHost := strings.Cut(f[1], "@")
	operation, err2 := kmsg.ParseACLOperation(f[2])
	kind, name, _ := strings.Cut(f[3], ":")
	resource, err3 := kmsg.ParseACLResourceType(kind)
	if err1 != nil || err2 != nil || err3 != nil {
		tb.Fatal(text, err1, err2, err3)
	}
	if !hasHost {
		host = "*"
	}
	a := tenancy.ACL{
		Resource: resource, Pattern: kmsg.ACLResourcePatternTypeLiteral, Name: name,
		Principal: principal, Host: host, Operation: operation, Permission: permission,
	}
	if prefix, ok := strings.CutSuffix(name, "..."); ok {
		a.Pattern, a.Name = kmsg.ACLResourcePatternTypePrefixed, prefix
	}
	return a
}

func acls(tb testing.TB, texts ...string) []tenancy.ACL {
	tb.Helper()
	all := make([]tenancy.ACL, len(texts))
	for i, text := range texts {
		all[i] = acl(tb, text)
	}
	return all
}

func operations(ops ...kmsg.ACLOperation) (set Operations) {
	for _, op := range ops {
		set |= 1 << op
	}
	return set
}

func TestMay(t *testing.T) {
	const (
		topic, group  = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup
		read, write   = kmsg.ACLOperationRead, kmsg.ACLOperationWrite
		describe      = kmsg.ACLOperationDescribe
		alterConfigs  = kmsg.ACLOperationAlterConfigs
		describeConfs = kmsg.ACLOperationDescribeConfigs
	)
	alice := subject{user: "alice", addr: netip.MustParseAddr("192.0.2.7")}
	none := operations()
	for _, tc := range []struct {
		why     string
		acls    []string
		t       kmsg.ACLResourceType
		name    string
		want    Operations
		unknown bool // no ACL speaks of it
	}{
		{"no ACL at all", nil, topic, "orders", none, true},
		{"literal", []string{"allow User:alice WRITE topic:orders"}, topic, "orders", operations(write, describe), false},
		{"another name", []string{"allow User:alice WRITE topic:orders"}, topic, "orders2", none, true},
		{"another type", []string{"allow User:alice READ group:orders"}, topic, "orders", none, true},
		{"a group", []string{"allow User:alice READ group:orders"}, group, "orders", operations(read, describe), false},
		{"literal *", []string{"allow User:alice READ topic:*"}, topic, "orders", operations(read, describe), false},
		{"prefix", []string{"allow User:alice READ topic:ord..."}, topic, "orders", operations(read, describe), false},
		{"prefix that is the name", []string{"allow User:alice READ topic:orders..."}, topic, "orders", operations(read, describe), false},
		{"name shorter than the prefix", []string{"allow User:alice READ topic:orders..."}, topic, "order", none, true},
		{"prefix * is no wildcard", []string{"allow User:alice READ topic:*..."}, topic, "orders", none, true},
		{"a literal is no prefix", []string{"allow User:alice READ topic:ord"}, topic, "orders", none, true},
		{"another user's ACL takes the default away", []string{"allow User:bob READ topic:orders"}, topic, "orders", none, false},
		{"everybody", []string{"allow User:* READ topic:orders"}, topic, "orders", operations(read, describe), false},
		{"no user", []string{"allow Group:alice READ topic:orders"}, topic, "orders", none, false},
		{"its address", []string{"allow User:alice@192.0.2.7 READ topic:orders"}, topic, "orders", operations(read, describe), false},
		{"another address", []string{"allow User:alice@192.0.2.8 READ topic:orders"}, topic, "orders", none, false},
		{"deny beats allow", []string{"allow User:alice ALL topic:orders", "deny User:* READ topic:ord..."}, topic, "orders", AllOperations &^ operations(read), false},
		{"deny of what is implied", []string{"allow User:alice READ topic:orders", "deny User:alice DESCRIBE topic:*"}, topic, "orders", operations(read), false},
		{"deny implies nothing", []string{"allow User:alice DESCRIBE topic:orders", "deny User:alice READ topic:orders"}, topic, "orders", operations(describe), false},
		{"deny all", []string{"allow User:alice ALL topic:orders", "deny User:alice ALL topic:*"}, topic, "orders", none, false},
		{"configs", []string{"allow User:alice ALTER_CONFIGS topic:orders"}, topic, "orders", operations(alterConfigs, describeConfs), false},
		{"all", []string{"allow User:alice ALL topic:orders"}, topic, "orders", AllOperations, false},
		{
			"prefixes of prefixes",
			[]string{"allow User:alice READ topic:a...", "allow User:alice WRITE topic:ab...", "allow User:alice ALTER topic:abd...", "deny User:alice DESCRIBE topic:abc..."},
			topic, "abcd", operations(read, write), false,
		},
		{
			"prefixes beside each other",
			[]string{"allow User:alice READ topic:a...", "allow User:alice ALTER topic:aabb...", "allow User:alice ALTER topic:aa...", "allow User:alice WRITE topic:ab..."},
			topic, "abc", operations(read, write, describe), false,
		},
	} {
		r := NewRules(acls(t, tc.acls...))
		got, spoken := may(r, alice, tc.t, tc.name)
		if got != tc.want || spoken == tc.unknown {
			t.Errorf("%s: %b, spoken of: %t; want %b, %t", tc.why, got, spoken, tc.want, !tc.unknown)
		}
	}
}

// Addresses are compared, not their texts: Java writes 2001:db8:0:0:0:0:0:1.
func TestMayAddress(t *testing.T) {
	r := NewRules(acls(t, "allow User:*@2001:db8:0:0:0:0:0:1 READ topic:a", "allow User:*@::ffff:192.0.2.7 READ topic:b"))
	for name, addr := range map[string]string{"a": "2001:db8::1", "b": "192.0.2.7"} {
		if ops, _ := may(r, subject{"alice", netip.MustParseAddr(addr)}, kmsg.ACLResourceTypeTopic, name); !ops.Has(kmsg.ACLOperationRead) {
			t.Errorf("%s at %s: %b", name, addr, ops)
		}
	}
}

func TestMayAny(t *testing.T) {
	alice := subject{user: "alice"}
	for _, tc := range []struct {
		why       string
		acls      []string
		unmatched Operations
		want      bool // WRITE
	}{
		{"nothing", nil, 0, false},
		{"nothing, and that is allowed", nil, AllOperations, true},
		{"a literal", []string{"allow User:alice WRITE topic:a"}, 0, true},
		{"a literal that is denied", []string{"allow User:alice WRITE topic:a", "deny User:* WRITE topic:a"}, 0, false},
		{"a literal with a denied prefix", []string{"allow User:alice WRITE topic:abc", "deny User:alice ALL topic:a..."}, 0, false},
		{"a literal with a denied prefix behind another", []string{"allow User:alice WRITE topic:abc", "allow User:bob READ topic:ab...", "deny User:alice ALL topic:a..."}, 0, false},
		{"a prefix", []string{"allow User:alice WRITE topic:a..."}, 0, true},
		{"a prefix with a denied one", []string{"allow User:alice WRITE topic:ab...", "deny User:alice WRITE topic:a..."}, 0, false},
		{"a prefix that is denied", []string{"allow User:alice WRITE topic:ab...", "deny User:alice WRITE topic:ab..."}, 0, false},
		{"a prefix with one denied a step further", []string{"allow User:alice WRITE topic:abc...", "deny User:alice READ topic:ab...", "deny User:alice WRITE topic:a..."}, 0, false},
		{"a prefix with a denied part", []string{"allow User:alice WRITE topic:a...", "deny User:alice WRITE topic:ab..."}, 0, true},
		{"a prefix beside a denied one", []string{"allow User:alice WRITE topic:ab...", "deny User:alice WRITE topic:aa..."}, 0, true},
		{"all, but some", []string{"allow User:alice WRITE topic:*", "deny User:alice WRITE topic:a..."}, 0, true},
		{"some, but none", []string{"allow User:alice WRITE topic:a", "deny User:alice WRITE topic:*"}, AllOperations, false},
		{"all for others", []string{"allow User:bob WRITE topic:*"}, AllOperations, false},
		{"one for others", []string{"allow User:bob WRITE topic:a"}, AllOperations, true},
		{"another type", []string{"allow User:alice READ group:a"}, 0, false},
	} {
		got := NewRules(acls(t, tc.acls...)).mayAny(alice, kmsg.ACLResourceTypeTopic, tc.unmatched).Has(kmsg.ACLOperationWrite)
		if got != tc.want {
			t.Errorf("%s: %t", tc.why, got)
		}
	}
}

// reference is StandardAuthorizer as one reads it: one ACL after the other.
type reference []tenancy.ACL

func (acls reference) speaksOf(a tenancy.ACL, t kmsg.ACLResourceType, name string) bool {
	return a.Resource == t && (a.Pattern == kmsg.ACLResourcePatternTypePrefixed && strings.HasPrefix(name, a.Name) ||
		a.Pattern == kmsg.ACLResourcePatternTypeLiteral && (a.Name == name || a.Name == "*"))
}

func (acls reference) means(a tenancy.ACL, who subject) bool {
	return (a.Principal == "User:*" || a.Principal == "User:"+who.user) && (a.Host == "*" || a.Host == who.addr.String())
}

func (acls reference) concerns(a tenancy.ACL, op kmsg.ACLOperation) bool {
	if a.Operation == op || a.Operation == kmsg.ACLOperationAll {
		return true
	}
	if a.Permission == kmsg.ACLPermissionTypeDeny {
		return false
	}
	switch op {
	case kmsg.ACLOperationDescribe:
		return slices.Contains([]kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDelete, kmsg.ACLOperationAlter}, a.Operation)
	case kmsg.ACLOperationDescribeConfigs:
		return a.Operation == kmsg.ACLOperationAlterConfigs
	}
	return false
}

func (acls reference) may(who subject, op kmsg.ACLOperation, t kmsg.ACLResourceType, name string, unmatched bool) bool {
	spoken, allowed := false, false
	for _, a := range acls {
		if !acls.speaksOf(a, t, name) {
			continue
		}
		spoken = true
		if !acls.means(a, who) || !acls.concerns(a, op) {
			continue
		}
		if a.Permission == kmsg.ACLPermissionTypeDeny {
			return false
		}
		allowed = true
	}
	return allowed || !spoken && unmatched
}

// mayAny is Authorizer.authorizeByResourceType, but for "hardcode" and implied operations.
func (acls reference) mayAny(who subject, op kmsg.ACLOperation, t kmsg.ACLResourceType, unmatched bool) bool {
	if acls.may(who, op, t, "\xff\xff", unmatched) { // as good as any name that none of them is
		return true
	}
	denied := map[kmsg.ACLResourcePatternType][]string{}
	allowed := map[kmsg.ACLResourcePatternType][]string{}
	for _, a := range acls {
		if a.Resource != t || !acls.means(a, who) || !acls.concerns(a, op) {
			continue
		}
		wildcard := a.Pattern == kmsg.ACLResourcePatternTypeLiteral && a.Name == "*"
		if a.Permission == kmsg.ACLPermissionTypeDeny {
			if wildcard {
				return false
			}
			denied[a.Pattern] = append(denied[a.Pattern], a.Name)
		} else if !wildcard {
			allowed[a.Pattern] = append(allowed[a.Pattern], a.Name)
		}
	}
	for pattern, names := range allowed {
		for _, name := range names {
			dominated := slices.ContainsFunc(denied[kmsg.ACLResourcePatternTypePrefixed], func(p string) bool { return strings.HasPrefix(name, p) })
			same := pattern == kmsg.ACLResourcePatternTypeLiteral && slices.Contains(denied[pattern], name)
			if !dominated && !same {
				return true
			}
		}
	}
	return false
}

func drawACL(t *rapid.T) tenancy.ACL {
	// Few letters, so that names are beginnings of each other.
	name := rapid.StringMatching(`[ab]{1,4}|[ab]{1,4}|[ab]{1,4}|\*`).Draw(t, "name")
	return tenancy.ACL{
		Resource: rapid.SampledFrom([]kmsg.ACLResourceType{2, 2, 2, 3}).Draw(t, "type"),
		Pattern:  rapid.SampledFrom([]kmsg.ACLResourcePatternType{kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLResourcePatternTypePrefixed}).Draw(t, "pattern"),
		Name:     name,
		Principal: rapid.SampledFrom([]string{"User:alice", "User:alice", "User:alice", "User:bob", "User:*", "Group:alice"}).
			Draw(t, "principal"),
		Host: rapid.SampledFrom([]string{"*", "*", "*", "*", "192.0.2.7", "192.0.2.8", "nowhere"}).Draw(t, "host"),
		Operation: rapid.SampledFrom([]kmsg.ACLOperation{
			kmsg.ACLOperationAll, kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationAlterConfigs,
		}).Draw(t, "operation"),
		Permission: rapid.SampledFrom([]kmsg.ACLPermissionType{2, 3}).Draw(t, "permission"),
	}
}

// However an index finds it, the answer is that of reading all ACLs one by one.
func TestRulesAreTheReference(t *testing.T) {
	names := []string{"*", "c"}
	for _, head := range []string{"a", "b", "aa", "ab", "ba", "bb"} {
		names = append(names, head, head+"a", head+"ab", head+"bab", head+"aabb", head+"c")
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(drawACL), 0, 12).Draw(t, "acls")
		who := subject{
			user: rapid.SampledFrom([]string{"alice", "bob", "*"}).Draw(t, "user"),
			addr: netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.7", "192.0.2.8"}).Draw(t, "addr")),
		}
		kind := rapid.SampledFrom([]kmsg.ACLResourceType{2, 2, 2, 3, 4}).Draw(t, "asked type")
		deny := rapid.Bool().Draw(t, "deny by default")
		dir := &directory{views: map[tenancy.InstanceID]*tenancy.View{
			"one": {Instance: tenancy.Instance{ID: "one"}, ACLs: &tenancy.ACLs{All: all}, Access: &tenancy.Access{}},
		}}
		auth := New(Config{Directory: dir, Pepper: []byte("p"), Defaults: func(string) Defaults { return Defaults{DenyACLs: deny} }})
		g := auth.Guard(Principal{Instance: "one", User: who.user}, who.addr)
		for op := kmsg.ACLOperationRead; op <= kmsg.ACLOperationIdempotentWrite; op++ {
			for _, name := range names {
				want := reference(all).may(who, op, kind, name, !deny)
				if got, bytes := g.May(kind, name).Has(op), g.MayBytes(kind, []byte(name)).Has(op); got != want || bytes != want {
					t.Fatalf("%s of %s %q: %t, %t by bytes, want %t", op, kind, name, got, bytes, want)
				}
			}
			if got, want := g.MayAny(kind, op), reference(all).mayAny(who, op, kind, !deny); got != want {
				t.Fatalf("%s of any %s: %t, want %t", op, kind, got, want)
			}
		}
	})
}
