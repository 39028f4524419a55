package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup (11) makes a client a member of a classic group. 1: rebalance
// timeout; 5: KIP-345 instance id; 6: flexible; 7: the answer names the
// protocol type; 8: reason; 9: skip assignment. The metadata of type "consumer"
// is mapped; the leader gets everybody's, unmapped again.
func joinGroup(x *Exchange, req *kmsg.JoinGroupRequest) (outcome[*kmsg.JoinGroupResponse], error) {
	virtual := req.Group
	group, code := x.group(virtual, x.needs.Group)
	if code == 0 {
		code = x.groupLimit(group, codePolicyViolation)
	}
	if code != 0 {
		return answer(joinGroupRefusal(x, req, code)), nil
	}
	req.Group = group
	if req.ProtocolType == consumerProtocol {
		for i := range req.Protocols {
			p := &req.Protocols[i]
			mapped, err := mapSubscription(p.Metadata, x.toPhysical)
			if err != nil {
				return answer(joinGroupRefusal(x, req, kerr.InconsistentGroupProtocol.Code)), nil
			}
			p.Metadata = mapped
		}
	}
	return forward(func(resp *kmsg.JoinGroupResponse) error {
		if resp.ErrorCode == 0 {
			x.rememberGroupType(virtual, req.ProtocolType)
		}
		if req.ProtocolType != consumerProtocol {
			return nil
		}
		for i := range resp.Members {
			m := &resp.Members[i]
			m.ProtocolMetadata = unmapBlob(x, mapSubscription, m.ProtocolMetadata)
		}
		return nil
	}), nil
}

func joinGroupRefusal(x *Exchange, req *kmsg.JoinGroupRequest, code int16) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.Generation, resp.MemberID = code, -1, req.MemberID
	if x.Version < 7 { // null from then on
		resp.Protocol = new(string)
	}
	return resp
}

// unmapBlob unmaps a blob of a response. One that cannot be read may hold names
// of the pool: the client gets an empty one. No client of the gateway can have
// sent it.
func unmapBlob(x *Exchange, walk func([]byte, nameMap) ([]byte, error), blob []byte) []byte {
	unmapped, err := walk(blob, x.toVirtual)
	if err != nil {
		return []byte{}
	}
	return unmapped
}
