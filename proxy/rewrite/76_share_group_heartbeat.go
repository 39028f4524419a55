package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareGroupHeartbeat (76) is all that a member of a share group (KIP-932) says
// to and hears from the group's coordinator. v1; 0 was the early access of Kafka
// 4.0. A null list of names means "as before" and passes. One name that the
// member may not see refuses the whole request (KafkaApis), by its code alone.
func shareGroupHeartbeat(x *Exchange, req *kmsg.ShareGroupHeartbeatRequest) (outcome[*kmsg.ShareGroupHeartbeatResponse], error) {
	if code := mapShareGroupHeartbeat(x, req); code != 0 {
		resp := kmsg.NewPtrShareGroupHeartbeatResponse()
		resp.ErrorCode = code
		if code == codeGroupLimit {
			resp.ErrorMessage = x.groupLimitText()
		}
		return answer(resp), nil
	}
	return forward(func(resp *kmsg.ShareGroupHeartbeatResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		if resp.Assignment == nil {
			return nil
		}
		topics, ok := learnAssignment(x, resp.Assignment.TopicPartitions,
			func(t *kmsg.ShareGroupHeartbeatResponseAssignmentTopicPartition) topicID { return t.TopicID })
		if !ok {
			unavailable := kmsg.NewShareGroupHeartbeatResponse()
			unavailable.Version, unavailable.ThrottleMillis = resp.Version, resp.ThrottleMillis
			unavailable.ErrorCode = kerr.CoordinatorNotAvailable.Code
			*resp = unavailable
			return nil
		}
		resp.Assignment.TopicPartitions = topics
		return nil
	}), nil
}

// mapShareGroupHeartbeat maps the request in place; code is not 0 if it must not
// be forwarded.
func mapShareGroupHeartbeat(x *Exchange, req *kmsg.ShareGroupHeartbeatRequest) (code int16) {
	group, code := x.group(req.GroupID, x.needs.Group)
	if code != 0 {
		return code
	}
	req.GroupID = group
	for i := range req.SubscribedTopicNames {
		name := &req.SubscribedTopicNames[i]
		if *name, code = x.topic(*name, x.needs.Topic); code != 0 {
			return code
		}
	}
	if req.MemberEpoch != joining {
		return 0
	}
	return x.groupLimit(group, codeGroupLimit)
}
