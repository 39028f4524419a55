package rewrite

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Scenarios may say which ACLs the store holds before, and must hold afterwards:
//
//	-- acls --
//	allow User:alice WRITE topic:orders
//	deny User:*@192.0.2.7 ALL group:app...
//	-- acls after --
//
// A name that ends with ... is a prefix; without @ the host is "*".

// checkACLs compares the store's ACLs with those of a scenario's file.
func (s scenario) checkACLs(t *testing.T, store *fakeStore, after string) {
	t.Helper()
	got := slices.SortedFunc(maps.Keys(store.acls), tenancy.ACL.Compare)
	want := slices.SortedFunc(slices.Values(aclLines(t, after)), tenancy.ACL.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("acls after (-want +got):\n%s", diff)
	}
}

func aclLines(t testing.TB, text string) (all []tenancy.ACL) {
	t.Helper()
	for line := range strings.Lines(text) {
		all = append(all, aclLine(t, line))
	}
	return all
}

func aclLine(t testing.TB, line string) tenancy.ACL {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 4 {
		t.Fatalf("acl %q: want permission, principal, operation and resource", line)
	}
	permission, err1 := kmsg.ParseACLPermissionType(f[0])
	principal, host, hasHost := strings.Cut(f[1], "@")
	operation, err2 := kmsg.ParseACLOperation(f[2])
	kind, name, _ := strings.Cut(f[3], ":")
	resource, err3 := kmsg.ParseACLResourceType(kind)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(line, err1, err2, err3)
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
