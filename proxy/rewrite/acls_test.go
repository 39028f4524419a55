package rewrite

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// lookup is a directory of one view.
type lookup struct{ view *tenancy.View }

func (l lookup) View(tenancy.InstanceID) (*tenancy.View, bool) { return l.view, true }

// guarded returns an exchange of alice, under these ACLs.
func guarded(t *testing.T, key kmsg.Key, acls ...string) *Exchange {
	t.Helper()
	view := &tenancy.View{ACLs: &tenancy.ACLs{}}
	for _, line := range acls {
		view.ACLs.All = append(view.ACLs.All, aclLine(t, line))
	}
	a := auth.New(auth.Config{Directory: lookup{view}, Pepper: []byte("p")})
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: int16(key), Version: 3}
	x.Guard = a.Guard(auth.Principal{Instance: "acme", User: "alice"}, netip.MustParseAddr("192.0.2.1"))
	return x
}

// locally runs a request that the gateway answers by itself.
func locally[P kmsg.Response](t *testing.T, x *Exchange, req kmsg.Request) P {
	t.Helper()
	req.SetVersion(x.Version)
	api, _ := Lookup(x.Key, x.Version)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil || plan.Answer == nil {
		t.Fatalf("%+v, %v", plan, err)
	}
	resp := req.ResponseKind().(P)
	resp.SetVersion(x.Version)
	if err := resp.ReadFrom(join(plan.Answer)); err != nil {
		t.Fatal(err)
	}
	return resp
}

// aclRequests are one request of each key that reaches everything.
func aclRequests() (*kmsg.DescribeACLsRequest, *kmsg.CreateACLsRequest, *kmsg.DeleteACLsRequest) {
	describe := kmsg.NewPtrDescribeACLsRequest()
	describe.ResourceType, describe.ResourcePatternType, describe.Operation, describe.PermissionType = 1, 1, 1, 1
	create := kmsg.NewPtrCreateACLsRequest()
	one := kmsg.NewCreateACLsRequestCreation()
	one.ResourceType, one.ResourceName, one.Principal, one.Host, one.Operation, one.PermissionType = 2, "t", "User:a", "*", 3, 3
	create.Creations = append(create.Creations, one, kmsg.NewCreateACLsRequestCreation())
	remove := kmsg.NewPtrDeleteACLsRequest()
	filter := kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.ResourcePatternType, filter.Operation, filter.PermissionType = 1, 1, 1, 1
	remove.Filters = append(remove.Filters, filter, filter)
	return describe, create, remove
}

// Reading ACLs takes DESCRIBE of the cluster and changing them ALTER, whatever
// the request holds (AclApis.authorizeClusterOperation comes first).
func TestACLsNeedTheCluster(t *testing.T) {
	describe, create, remove := aclRequests()
	const denied = 31
	for _, tc := range []struct {
		acl           string
		reads, writes bool
	}{
		{"allow User:alice ALTER cluster:kafka-cluster", true, true},
		{"allow User:alice DESCRIBE cluster:kafka-cluster", true, false},
		{"deny User:* DESCRIBE cluster:kafka-cluster", false, false},
		{"allow User:bob ALL cluster:kafka-cluster", false, false},
		{"allow User:alice ALL topic:*", true, true}, // none of the cluster: allowed by default
	} {
		x := guarded(t, kmsg.DescribeACLs, tc.acl)
		if got := locally[*kmsg.DescribeACLsResponse](t, x, describe); (got.ErrorCode != denied) != tc.reads || !tc.reads && got.ErrorMessage == nil {
			t.Errorf("describe, %s: %+v", tc.acl, got)
		}
		x.Key = int16(kmsg.CreateACLs)
		made := locally[*kmsg.CreateACLsResponse](t, x, create).Results
		x.Key = int16(kmsg.DeleteACLs)
		gone := locally[*kmsg.DeleteACLsResponse](t, x, remove).Results
		if !tc.writes && (len(x.Store.(*fakeStore).acls) != 0 || x.Store.(*fakeStore).rev != 0) {
			t.Errorf("%s: the store was changed", tc.acl)
		}
		for i := range 2 {
			if (made[i].ErrorCode != denied) != tc.writes || (gone[i].ErrorCode != denied) != tc.writes {
				t.Errorf("%s: created %+v, deleted %+v", tc.acl, made, gone)
			}
		}
	}
}

// What fails in the store is told in our own words, and of every entry that it concerned.
func TestACLsWithoutStore(t *testing.T) {
	describe, create, remove := aclRequests()
	for err, code := range map[error]int16{
		errors.New("dial tcp redis.internal:6379"): kerr.RequestTimedOut.Code,
		tenancy.ErrNotFound:                        kerr.RequestTimedOut.Code,
		tenancy.ErrFull:                            kerr.PolicyViolation.Code,
		tenancy.ErrUnannounced:                     0, // it is written
	} {
		x := guarded(t, kmsg.DescribeACLs)
		x.Store.(*fakeStore).err = err
		if got := locally[*kmsg.DescribeACLsResponse](t, x, describe); got.ErrorCode != code || len(got.Resources) > 0 {
			t.Errorf("describe, %v: %+v", err, got)
		}
		x.Key = int16(kmsg.CreateACLs)
		made := locally[*kmsg.CreateACLsResponse](t, x, create).Results
		if made[0].ErrorCode != code || made[1].ErrorCode != kerr.InvalidRequest.Code {
			t.Errorf("create, %v: %+v", err, made)
		}
		x.Key = int16(kmsg.DeleteACLs)
		for _, r := range locally[*kmsg.DeleteACLsResponse](t, x, remove).Results {
			if r.ErrorCode != code || r.ErrorCode != 0 && len(r.MatchingACLs) > 0 {
				t.Errorf("delete, %v: %+v", err, r)
			}
		}
	}
}

// Kafka closes the connection on some of these.
func TestACLFilterCodes(t *testing.T) {
	good := tenancy.ACLFilter{Resource: 1, Pattern: 1, Operation: 1, Permission: 1}
	set := func(f tenancy.ACLFilter, field int, v int8) tenancy.ACLFilter {
		switch field {
		case 0:
			f.Resource = kmsg.ACLResourceType(v)
		case 1:
			f.Pattern = kmsg.ACLResourcePatternType(v)
		case 2:
			f.Operation = kmsg.ACLOperation(v)
		case 3:
			f.Permission = kmsg.ACLPermissionType(v)
		}
		return f
	}
	for field, most := range []int8{5, 4, 15, 3} {
		for v := int8(-2); v < 20; v++ {
			if got, want := badFilter(set(good, field, v)) == "", v >= 1 && v <= most; got != want {
				t.Errorf("field %d is %d: %t, want %t", field, v, got, want)
			}
		}
	}
}

// A small request cannot make a huge answer, nor much work: nothing is deleted then.
func TestDeleteACLsIsBounded(t *testing.T) {
	_, _, remove := aclRequests()
	for _, tc := range []struct{ filters, acls int }{{maxACLFilters + 1, 1}, {maxACLFilters, maxACLRows/maxACLFilters + 1}} {
		x := guarded(t, kmsg.DeleteACLs)
		store := x.Store.(*fakeStore)
		for i := range tc.acls {
			store.acls[aclLine(t, "allow User:a READ topic:"+strconv.Itoa(i))] = true
		}
		req := *remove
		req.Filters = slices.Repeat(remove.Filters[:1], tc.filters)
		for _, r := range locally[*kmsg.DeleteACLsResponse](t, x, &req).Results {
			if r.ErrorCode != kerr.PolicyViolation.Code || len(r.MatchingACLs) > 0 {
				t.Fatalf("%+v: %+v", tc, r)
			}
		}
		if len(store.acls) != tc.acls {
			t.Errorf("%+v: deleted some", tc)
		}
	}
}
