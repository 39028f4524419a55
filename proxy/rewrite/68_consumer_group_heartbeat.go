package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupHeartbeat (68) is all that a member of a KIP-848 group says and
// hears. 1: subscription by pattern. Null lists and a null pattern mean "as
// before", an empty pattern clears it: they pass.
func consumerGroupHeartbeat(x *Exchange, req *kmsg.ConsumerGroupHeartbeatRequest) (outcome[*kmsg.ConsumerGroupHeartbeatResponse], error) {
	if code := mapConsumerGroupHeartbeat(x, req); code != 0 {
		resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	return forward(func(resp *kmsg.ConsumerGroupHeartbeatResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		if resp.Assignment == nil {
			return nil
		}
		if !x.learnAssignment(resp.Assignment) {
			unavailable := kmsg.NewConsumerGroupHeartbeatResponse()
			unavailable.Version, unavailable.ThrottleMillis = resp.Version, resp.ThrottleMillis
			unavailable.ErrorCode = kerr.CoordinatorNotAvailable.Code
			*resp = unavailable
		}
		return nil
	}), nil
}

// mapConsumerGroupHeartbeat maps the request in place; code is not 0 if it must
// not be forwarded.
func mapConsumerGroupHeartbeat(x *Exchange, req *kmsg.ConsumerGroupHeartbeatRequest) (code int16) {
	group, ok := x.physicalGroup(req.Group)
	if !ok {
		return invalidGroup()
	}
	req.Group = group
	for i := range req.SubscribedTopicNames {
		name := &req.SubscribedTopicNames[i]
		if *name, ok = x.physicalTopic(*name); !ok {
			return kerr.UnknownTopicOrPartition.Code
		}
	}
	if p := req.SubscribedTopicRegex; p != nil && *p != "" {
		pattern, err := x.physicalPattern(*p)
		if err != nil {
			return kerr.InvalidRegularExpression.Code
		}
		req.SubscribedTopicRegex = &pattern
	}
	if !x.ownsAll(req.Topics) {
		return kerr.UnknownTopicID.Code
	}
	return 0
}
