package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// CreateAcls (30) adds ACLs. One that cannot be is refused in its place; the
// others are made together, or none of them. v1-3, nothing but their fields (2:
// flexible, 3: resource type USER, which is refused).
func createACLs(x *Exchange, req *kmsg.CreateACLsRequest) (outcome[*kmsg.CreateACLsResponse], error) {
	resp := kmsg.NewPtrCreateACLsResponse()
	resp.Results = make([]kmsg.CreateACLsResponseResult, len(req.Creations))
	if code := x.cluster(x.needs.Cluster); code != 0 {
		for i := range resp.Results {
			resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = code, standardText(code)
		}
		return answer(resp), nil
	}
	var add []tenancy.ACL
	for i, c := range req.Creations {
		a := tenancy.ACL{
			Resource: c.ResourceType, Pattern: c.ResourcePatternType, Name: c.ResourceName,
			Principal: c.Principal, Host: c.Host, Operation: c.Operation, Permission: c.PermissionType,
		}
		if err := a.Check(); err != nil {
			resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = codeInvalidRequest, new(err.Error())
			continue
		}
		add = append(add, a)
	}
	if code, msg := x.changeACLs(add, nil); code != 0 {
		for i := range resp.Results {
			if r := &resp.Results[i]; r.ErrorCode == 0 {
				r.ErrorCode, r.ErrorMessage = code, msg
			}
		}
	}
	return answer(resp), nil
}
