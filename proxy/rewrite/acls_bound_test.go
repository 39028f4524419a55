package rewrite

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Many filters are not held against many ACLs: a request of 10 KiB would cost seconds.
func TestDeleteACLsManyTimesMany(t *testing.T) {
	s := newSession(newFakePool())
	acl := tenancy.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Principal: "User:u", Host: "*",
		Operation: opRead, Permission: kmsg.ACLPermissionTypeAllow,
	}
	var acls []tenancy.ACL
	for i := range 2000 {
		acl.Name = fmt.Sprint("t", i)
		acls = append(acls, acl)
	}
	if _, err := s.Store.ChangeACLs(t.Context(), s.Instance, acls, nil); err != nil {
		t.Fatal(err)
	}
	for filters, code := range map[int]int16{524: 0, 525: codePolicyViolation} {
		req := kmsg.NewPtrDeleteACLsRequest()
		req.SetVersion(3)
		for range filters {
			f := kmsg.NewDeleteACLsRequestFilter()
			f.ResourceType, f.ResourcePatternType = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeLiteral
			f.ResourceName, f.Operation, f.PermissionType = new("none"), kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
			req.Filters = append(req.Filters, f)
		}
		api, _ := Lookup(req.Key(), 3)
		plan, err := api.Plan(&Exchange{Session: s, Ctx: t.Context(), Key: req.Key(), Version: 3}, req.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrDeleteACLsResponse()
		resp.SetVersion(3)
		if err := resp.ReadFrom(join(plan.Answer)); err != nil || len(resp.Results) != filters || resp.Results[0].ErrorCode != code {
			t.Errorf("%d filters: %v, want code %d in each: %v", filters, err, code, resp.Results[0])
		}
	}
}

// A pattern of more names than a Kafka string holds is not sent.
func TestListTransactionsOfManyAliases(t *testing.T) {
	s := newSession(newFakePool())
	var aliases []tenancy.Alias
	for i := range 400 {
		aliases = append(aliases, tenancy.Alias{Kind: tenancy.KindTxn, Virtual: fmt.Sprint(i), Physical: strings.Repeat("p", 100) + fmt.Sprint(i)})
	}
	s.Space = tenancy.NewNamespace("acme", aliases...)
	req := kmsg.NewPtrListTransactionsRequest()
	req.SetVersion(2)
	api, _ := Lookup(req.Key(), 2)
	plan, err := api.Plan(&Exchange{Session: s, Ctx: t.Context(), Key: req.Key(), Version: 2}, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := req.ReadFrom(join(plan.Request)); err != nil || req.TransactionalIDPattern != nil {
		t.Errorf("pattern of %d bytes: %v", len(*req.TransactionalIDPattern), err)
	}
}
