package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeGroups (15) shows classic groups and their members. 3: authorized
// operations; 4: KIP-345 instance ids; 5: flexible; 6: error message, and a
// missing group is GROUP_ID_NOT_FOUND where it was state Dead without an error.
func describeGroups(x *Exchange, req *kmsg.DescribeGroupsRequest) (outcome[*kmsg.DescribeGroupsResponse], error) {
	asked, refused := refuseGroups(x, req.Groups, func(group string, code int16) kmsg.DescribeGroupsResponseGroup {
		row := kmsg.NewDescribeGroupsResponseGroup()
		row.Group, row.ErrorCode, row.ErrorMessage = group, code, standardText(code)
		return row
	})
	unmap := func(resp *kmsg.DescribeGroupsResponse) error {
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.DescribeGroupsResponseGroup) *string { return &g.Group })
		for i := range rows {
			describedGroup(x, &rows[i], req.IncludeAuthorizedOperations)
		}
		resp.Groups = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDescribeGroupsResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}

func describedGroup(x *Exchange, g *kmsg.DescribeGroupsResponseGroup, withOperations bool) {
	g.ErrorMessage = x.Text(g.ErrorCode, g.ErrorMessage)
	g.AuthorizedOperations = x.operations(withOperations && g.ErrorCode == 0, kmsg.ACLResourceTypeGroup, g.Group)
	for i := range g.Members {
		m := &g.Members[i]
		m.ClientHost = gatewayClientHost
		if g.ProtocolType == consumerProtocol {
			m.ProtocolMetadata = unmapBlob(x, mapSubscription, m.ProtocolMetadata)
			m.MemberAssignment = unmapBlob(x, mapAssignment, m.MemberAssignment)
		}
	}
}
