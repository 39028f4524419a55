package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// ownsAll reports whether all topics that a KIP-848 member says to own are this
// instance's.
func (x *Exchange) ownsAll(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) bool {
	ids := make([]topicID, len(topics))
	for i, t := range topics {
		ids[i] = t.TopicID
	}
	owned := x.ownTopics(ids)
	for _, id := range ids {
		if _, ok := owned[id]; !ok {
			return false
		}
	}
	return true
}

// learnAssignment keeps the topics of an assignment that are this instance's
// (the pool learns their ids by the question). It is false if the pool could not say whose one is:
// dropping that one would be silent loss, since the broker does not repeat an
// assignment unless the member seems not to have heard it.
func (x *Exchange) learnAssignment(a *kmsg.ConsumerGroupHeartbeatResponseAssignment) bool {
	ids := make([]topicID, len(a.Topics))
	for i, t := range a.Topics {
		ids[i] = t.TopicID
	}
	names := map[topicID]string{}
	if len(ids) > 0 {
		names = x.Pool.TopicNames(x.Ctx, ids)
	}
	kept := a.Topics[:0]
	for _, t := range a.Topics {
		physical, ok := names[t.TopicID]
		if !ok {
			return false
		}
		if _, ok := x.Space.Virtual(physical); ok {
			kept = append(kept, t)
		}
	}
	a.Topics = kept
	return true
}
