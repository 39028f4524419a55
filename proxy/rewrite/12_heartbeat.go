package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat (12) keeps a classic group's member alive. v0-4, nothing but the
// group is a name (3: KIP-345 instance id, opaque; 4: flexible).
func heartbeat(x *Exchange, req *kmsg.HeartbeatRequest) (outcome[*kmsg.HeartbeatResponse], error) {
	group, ok := x.physicalGroup(req.Group)
	if !ok {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = invalidGroup()
		return answer(resp), nil
	}
	req.Group = group
	return forward[*kmsg.HeartbeatResponse](nil), nil
}
