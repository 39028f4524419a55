package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetCommit (8) writes a group's offsets. 2-4: retention; 6: leader epoch;
// 7: KIP-345 instance id; 8: flexible; 9: KIP-848 members; 10: topics by id
// (KIP-848). Committed metadata is the client's own text and passes.
func offsetCommit(x *Exchange, req *kmsg.OffsetCommitRequest) (outcome[*kmsg.OffsetCommitResponse], error) {
	byID := x.Version >= 10
	group, code := x.group(req.Group, x.needs.Group)
	if code == 0 {
		code = x.groupLimit(group, codePolicyViolation)
	}
	if code != 0 {
		return answer(offsetCommitAnswer(req, code)), nil
	}
	asked, refused := refuseTopics(x, req.Topics, byID,
		func(t *kmsg.OffsetCommitRequestTopic) (*string, *topicID) { return &t.Topic, &t.TopicID }, offsetCommitRefusal)
	unmap := func(resp *kmsg.OffsetCommitResponse) error {
		resp.Topics = answeredTopics(x, resp.Topics, byID,
			func(t *kmsg.OffsetCommitResponseTopic) (*string, *topicID) { return &t.Topic, &t.TopicID }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrOffsetCommitResponse()
		return answer(resp), unmap(resp)
	}
	req.Group, req.Topics = group, asked
	return forward(unmap), nil
}

// offsetCommitAnswer answers every partition with code.
func offsetCommitAnswer(req *kmsg.OffsetCommitRequest, code int16) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for i := range req.Topics {
		resp.Topics = append(resp.Topics, offsetCommitRefusal(&req.Topics[i], code))
	}
	return resp
}

func offsetCommitRefusal(t *kmsg.OffsetCommitRequestTopic, code int16) kmsg.OffsetCommitResponseTopic {
	row := kmsg.NewOffsetCommitResponseTopic()
	row.Topic, row.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetCommitResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
