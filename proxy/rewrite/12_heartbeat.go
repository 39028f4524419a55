package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat (12) keeps a classic group's member alive. v0-4, nothing but the
// group is a name (3: KIP-345 instance id, opaque; 4: flexible).
func heartbeat(x *Exchange, req *kmsg.HeartbeatRequest) (outcome[*kmsg.HeartbeatResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = code
		return answer(resp), nil
	}
	req.Group = group
	return forward[*kmsg.HeartbeatResponse](nil), nil
}
