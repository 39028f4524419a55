package rewrite

import (
	"slices"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupHeartbeat (68) is all that a member of a KIP-848 group says and
// hears. 1: subscription by pattern. Null lists and a null pattern mean "as
// before", an empty pattern clears it: they pass.
//
// The broker resolves a pattern by its own rights and not by this instance's ACLs:
// a member may be assigned a topic that it may not describe (Kafka leaves those
// out), and is then refused when it fetches it.
func consumerGroupHeartbeat(x *Exchange, req *kmsg.ConsumerGroupHeartbeatRequest) (outcome[*kmsg.ConsumerGroupHeartbeatResponse], error) {
	if code := mapConsumerGroupHeartbeat(x, req); code != 0 {
		resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		if code == codeGroupLimit {
			resp.ErrorMessage = x.groupLimitText()
		}
		return answer(resp), nil
	}
	return forward(func(resp *kmsg.ConsumerGroupHeartbeatResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		if resp.Assignment == nil {
			return nil
		}
		topics, ok := learnAssignment(x, resp.Assignment.Topics,
			func(t *kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic) topicID { return t.TopicID })
		if !ok {
			unavailable := kmsg.NewConsumerGroupHeartbeatResponse()
			unavailable.Version, unavailable.ThrottleMillis = resp.Version, resp.ThrottleMillis
			unavailable.ErrorCode = kerr.CoordinatorNotAvailable.Code
			*resp = unavailable
			return nil
		}
		resp.Assignment.Topics = topics
		return nil
	}), nil
}

// mapConsumerGroupHeartbeat maps the request in place; code is not 0 if it must
// not be forwarded.
func mapConsumerGroupHeartbeat(x *Exchange, req *kmsg.ConsumerGroupHeartbeatRequest) (code int16) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		return code
	}
	req.Group = group
	for _, name := range req.SubscribedTopicNames { // before anything else is said of any
		if !x.allows(name, x.needs.Topic) {
			return codeTopicDenied
		}
	}
	for i := range req.SubscribedTopicNames {
		name := &req.SubscribedTopicNames[i]
		if *name, code = x.topic(*name, x.needs.Topic); code != 0 {
			return code
		}
	}
	if p := req.SubscribedTopicRegex; p != nil && *p != "" {
		pattern, err := x.physicalPattern(tenancy.KindTopic, *p)
		if err != nil {
			return kerr.InvalidRegularExpression.Code
		}
		req.SubscribedTopicRegex = &pattern
	}
	if !ownsAll(x, req.Topics) {
		return kerr.UnknownTopicID.Code
	}
	if req.MemberEpoch != joining { // who is a member has a group
		return 0
	}
	return x.groupLimit(group, codeGroupLimit)
}

// joining is the epoch with which a member joins (KIP-848, KIP-932, KIP-1071).
const joining int32 = 0

// ownsAll reports whether all topics that a member says to own are this
// instance's. One that is remembered passes even if it has been deleted since:
// the member says that it owns it until it has heard of the deletion, and an
// error would end the consumer.
func ownsAll(x *Exchange, topics []kmsg.ConsumerGroupHeartbeatRequestTopic) bool {
	x.ageIDs()
	knowIDs(x, topics, func(t *kmsg.ConsumerGroupHeartbeatRequestTopic) topicID { return t.TopicID })
	for _, t := range topics {
		if !x.ownsID(t.TopicID) {
			return false
		}
	}
	return true
}

// learnAssignment keeps the topics of an assignment that are this instance's
// and remembers their ids. It is false if the pool could not say whose one is:
// to drop that one would be silent loss, since the broker does not repeat an
// assignment unless the member seems not to have heard it.
func learnAssignment[T any](x *Exchange, topics []T, id func(*T) topicID) ([]T, bool) {
	var ask []topicID
	for i := range topics {
		if id := id(&topics[i]); !x.ownsID(id) {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return topics, true
	}
	names := x.Pool.TopicNames(x.Ctx, x.Space, ask)
	for _, id := range ask {
		if _, ok := names[id]; !ok {
			return nil, false
		}
	}
	topics = slices.DeleteFunc(topics, func(t T) bool {
		physical, asked := names[id(&t)]
		_, own := x.Space.Virtual(tenancy.KindTopic, physical)
		return asked && !own
	})
	x.learnIDs(ask)
	return topics, true
}
