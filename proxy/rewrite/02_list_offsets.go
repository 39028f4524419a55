package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// ListOffsets (2) finds offsets by time. 1: one offset per partition; 2:
// isolation level; 4: leader epochs; 6: flexible; 7, 8, 9, 11: the special
// timestamps -3 to -6, which pass; 10: a time-out for remote storage.
func listOffsets(x *Exchange, req *kmsg.ListOffsetsRequest) (outcome[*kmsg.ListOffsetsResponse], error) {
	if req.ReplicaID != consumerReplica {
		resp := kmsg.NewPtrListOffsetsResponse()
		for i := range req.Topics {
			resp.Topics = append(resp.Topics, refuseListOffsets(&req.Topics[i], codeTopicDenied))
		}
		return answer(resp), nil
	}
	asked, refused := forwardTopics(x, req.Topics,
		func(t *kmsg.ListOffsetsRequestTopic) *string { return &t.Topic },
		refuseListOffsets)
	unmap := func(resp *kmsg.ListOffsetsResponse) error {
		err := unmapTopics(x, resp.Topics, func(t *kmsg.ListOffsetsResponseTopic) *string { return &t.Topic })
		resp.Topics = splice(resp.Topics, refused)
		return err
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrListOffsetsResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

// refuseListOffsets answers every partition of a topic with code.
func refuseListOffsets(t *kmsg.ListOffsetsRequestTopic, code int16) kmsg.ListOffsetsResponseTopic {
	row := kmsg.NewListOffsetsResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewListOffsetsResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
