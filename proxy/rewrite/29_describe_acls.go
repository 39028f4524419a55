package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeAcls (29) lists the ACLs that one filter selects, those of one pattern
// together. v1-3, 2: flexible, 3: resource type USER, which is refused.
func describeACLs(x *Exchange, req *kmsg.DescribeACLsRequest) (outcome[*kmsg.DescribeACLsResponse], error) {
	resp := kmsg.NewPtrDescribeACLsResponse()
	refuse := func(code int16, msg *string) (outcome[*kmsg.DescribeACLsResponse], error) {
		resp.ErrorCode, resp.ErrorMessage = code, msg
		return answer(resp), nil
	}
	if code := x.cluster(x.needs.Cluster); code != 0 {
		return refuse(code, standardText(code))
	}
	filter := tenancy.ACLFilter{
		Resource: req.ResourceType, Pattern: req.ResourcePatternType, Name: req.ResourceName,
		Principal: req.Principal, Host: req.Host, Operation: req.Operation, Permission: req.PermissionType,
	}
	if why := badFilter(filter); why != "" {
		return refuse(codeInvalidRequest, &why)
	}
	all, err := x.Store.ACLs(x.Ctx, x.Instance)
	if code := storeCode(err); code != 0 {
		return refuse(code, standardText(code))
	}
	for _, a := range filter.Select(all) {
		last := len(resp.Resources) - 1
		if last < 0 || !samePattern(resp.Resources[last], a) {
			row := kmsg.NewDescribeACLsResponseResource()
			row.ResourceType, row.ResourceName, row.ResourcePatternType = a.Resource, a.Name, a.Pattern
			resp.Resources = append(resp.Resources, row)
			last++
		}
		row := kmsg.NewDescribeACLsResponseResourceACL()
		row.Principal, row.Host, row.Operation, row.PermissionType = a.Principal, a.Host, a.Operation, a.Permission
		resp.Resources[last].ACLs = append(resp.Resources[last].ACLs, row)
	}
	return answer(resp), nil
}

func samePattern(r kmsg.DescribeACLsResponseResource, a tenancy.ACL) bool {
	return r.ResourceType == a.Resource && r.ResourceName == a.Name && r.ResourcePatternType == a.Pattern
}
