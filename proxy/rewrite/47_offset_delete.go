package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetDelete (47) deletes a group's offsets for topics that it does not
// subscribe to; the broker knows what it subscribes to because the embedded
// consumer protocol is mapped. v0.
func offsetDelete(x *Exchange, req *kmsg.OffsetDeleteRequest) (outcome[*kmsg.OffsetDeleteResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = code
		return answer(resp), nil
	}
	asked, refused := refuseTopics(x, req.Topics, false,
		func(t *kmsg.OffsetDeleteRequestTopic) (*string, *topicID) { return &t.Topic, nil }, offsetDeleteRefusal)
	unmap := func(resp *kmsg.OffsetDeleteResponse) error {
		if resp.ErrorCode != 0 {
			refused = nil // Kafka fails as a whole, without rows
		}
		resp.Topics = answeredTopics(x, resp.Topics, false,
			func(t *kmsg.OffsetDeleteResponseTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrOffsetDeleteResponse()
		return answer(resp), unmap(resp)
	}
	req.Group, req.Topics = group, asked
	return forward(unmap), nil
}

func offsetDeleteRefusal(t *kmsg.OffsetDeleteRequestTopic, code int16) kmsg.OffsetDeleteResponseTopic {
	row := kmsg.NewOffsetDeleteResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetDeleteResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
