package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat (12) keeps a classic group's member alive. v0-4, nothing but the
// group is a name (3: KIP-345 instance id, opaque; 4: flexible).
func heartbeat(x *Exchange, req *kmsg.HeartbeatRequest) (outcome[*kmsg.HeartbeatResponse], error) {
	if req.Group == "" {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return answer(resp), nil
	}
	req.Group = x.Space.Physical(req.Group)
	return forward[*kmsg.HeartbeatResponse](nil), nil
}
