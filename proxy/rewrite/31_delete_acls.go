package rewrite

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DeleteAcls (31) removes what any of the filters selects, and answers with it
// for each filter. v1-3, nothing but their fields (2: flexible, 3: resource type
// USER, which is refused).
func deleteACLs(x *Exchange, req *kmsg.DeleteACLsRequest) (outcome[*kmsg.DeleteACLsResponse], error) {
	resp := kmsg.NewPtrDeleteACLsResponse()
	resp.Results = make([]kmsg.DeleteACLsResponseResult, len(req.Filters))
	refuse := func(code int16, msg *string) (outcome[*kmsg.DeleteACLsResponse], error) {
		for i := range resp.Results {
			if r := &resp.Results[i]; r.ErrorCode == 0 {
				*r = kmsg.DeleteACLsResponseResult{ErrorCode: code, ErrorMessage: msg}
			}
		}
		return answer(resp), nil
	}
	if code := x.cluster(x.needs.Cluster); code != 0 {
		return refuse(code, standardText(code))
	}
	if len(req.Filters) > maxACLFilters {
		return refuse(codePolicyViolation, new("Too many filters in one request; nothing was deleted."))
	}
	all, err := x.Store.ACLs(x.Ctx, x.Instance)
	if code := storeCode(err); code != 0 {
		return refuse(code, standardText(code))
	}
	if len(req.Filters)*len(all) > maxACLMatches {
		return refuse(codePolicyViolation, new(fmt.Sprintf("Too many filters for %d ACLs; nothing was deleted: send at most %d at once.", len(all), maxACLMatches/len(all))))
	}
	filters := filtersOf(req, resp)
	rows := 0
	for i, f := range filters {
		if f == nil {
			continue
		}
		for _, a := range f.Select(all) {
			if rows++; rows > maxACLRows {
				return refuse(codePolicyViolation, new("The filters select too much for one answer; nothing was deleted."))
			}
			resp.Results[i].MatchingACLs = append(resp.Results[i].MatchingACLs, matchingRow(a))
		}
	}
	if code, msg := x.changeACLs(nil, selectedBy(filters, all)); code != 0 {
		return refuse(code, msg)
	}
	return answer(resp), nil
}

// filtersOf reads the request's filters; nil is one that is refused in its place.
func filtersOf(req *kmsg.DeleteACLsRequest, resp *kmsg.DeleteACLsResponse) []*tenancy.ACLFilter {
	filters := make([]*tenancy.ACLFilter, len(req.Filters))
	for i, r := range req.Filters {
		f := tenancy.ACLFilter{
			Resource: r.ResourceType, Pattern: r.ResourcePatternType, Name: r.ResourceName,
			Principal: r.Principal, Host: r.Host, Operation: r.Operation, Permission: r.PermissionType,
		}
		if why := badFilter(f); why != "" {
			resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = codeInvalidRequest, &why
			continue
		}
		filters[i] = &f
	}
	return filters
}

// selectedBy returns what at least one filter selects, once each.
func selectedBy(filters []*tenancy.ACLFilter, all []tenancy.ACL) (some []tenancy.ACL) {
	for _, a := range all {
		for _, f := range filters {
			if f != nil && f.Matches(a) {
				some = append(some, a)
				break
			}
		}
	}
	return some
}

func matchingRow(a tenancy.ACL) kmsg.DeleteACLsResponseResultMatchingACL {
	row := kmsg.NewDeleteACLsResponseResultMatchingACL()
	row.ResourceType, row.ResourcePatternType, row.ResourceName = a.Resource, a.Pattern, a.Name
	row.Principal, row.Host, row.Operation, row.PermissionType = a.Principal, a.Host, a.Operation, a.Permission
	return row
}
