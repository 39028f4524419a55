package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncGroup (14) gives a classic group's assignments out: the leader brings
// them, every member gets its own. 3: KIP-345 instance id; 4: flexible; 5: the
// protocol type, by which alone one knows whether an assignment names topics;
// before that it is the type with which the member joined.
func syncGroup(x *Exchange, req *kmsg.SyncGroupRequest) (outcome[*kmsg.SyncGroupResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		return answer(syncGroupRefusal(code)), nil
	}
	protocolType, ok := syncGroupType(x, req)
	if !ok {
		// Nobody knows the type just now. The client finds the coordinator
		// again and rejoins, which tells us.
		return answer(syncGroupRefusal(kerr.CoordinatorNotAvailable.Code)), nil
	}
	req.Group = group
	if protocolType != consumerProtocol {
		return forward[*kmsg.SyncGroupResponse](nil), nil
	}
	for i := range req.GroupAssignment {
		a := &req.GroupAssignment[i]
		mapped, err := mapAssignment(a.MemberAssignment, x.toPhysical)
		if err != nil {
			return answer(syncGroupRefusal(kerr.InconsistentGroupProtocol.Code)), nil
		}
		a.MemberAssignment = mapped
	}
	return forward(func(resp *kmsg.SyncGroupResponse) error {
		resp.MemberAssignment = unmapBlob(x, mapAssignment, resp.MemberAssignment)
		return nil
	}), nil
}

func syncGroupType(x *Exchange, req *kmsg.SyncGroupRequest) (protocolType string, ok bool) {
	if req.ProtocolType != nil {
		return *req.ProtocolType, true
	}
	return x.groupType(req.Group)
}

func syncGroupRefusal(code int16) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode, resp.MemberAssignment = code, []byte{}
	return resp
}
