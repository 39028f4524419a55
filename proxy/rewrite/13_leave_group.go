package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// LeaveGroup (13) takes members out of a classic group. v0-5, nothing but the
// group is a name (3: a batch of members; 4: flexible; 5: reasons).
func leaveGroup(x *Exchange, req *kmsg.LeaveGroupRequest) (outcome[*kmsg.LeaveGroupResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = code
		return answer(resp), nil
	}
	req.Group = group
	return forward[*kmsg.LeaveGroupResponse](nil), nil
}
