package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DeleteGroups (42) deletes groups. v0-3, nothing but the groups and (3) the
// error's text speaks of names (2: flexible).
func deleteGroups(x *Exchange, req *kmsg.DeleteGroupsRequest) (outcome[*kmsg.DeleteGroupsResponse], error) {
	asked, refused := refuseGroups(x, req.Groups, func(group string, code int16) kmsg.DeleteGroupsResponseGroup {
		row := kmsg.NewDeleteGroupsResponseGroup()
		row.Group, row.ErrorCode = group, code
		return row
	})
	unmap := func(resp *kmsg.DeleteGroupsResponse) error {
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.DeleteGroupsResponseGroup) *string { return &g.Group })
		for i := range rows {
			rows[i].ErrorMessage = x.Text(rows[i].ErrorCode, rows[i].ErrorMessage)
		}
		resp.Groups = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDeleteGroupsResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}
