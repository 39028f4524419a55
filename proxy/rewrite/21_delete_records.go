package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// invalidLowWatermark is Kafka's DeleteRecordsResponse.INVALID_LOW_WATERMARK.
const invalidLowWatermark = -1

// DeleteRecords (21) moves the start of partitions forward. v0-2, nothing but
// the topic is a name (2: flexible).
func deleteRecords(x *Exchange, req *kmsg.DeleteRecordsRequest) (outcome[*kmsg.DeleteRecordsResponse], error) {
	asked, refused := forwardTopics(x, req.Topics,
		func(t *kmsg.DeleteRecordsRequestTopic) *string { return &t.Topic },
		refuseDeleteRecords)
	unmap := func(resp *kmsg.DeleteRecordsResponse) error {
		err := unmapTopics(x, resp.Topics, func(t *kmsg.DeleteRecordsResponseTopic) *string { return &t.Topic })
		resp.Topics = splice(resp.Topics, refused)
		return err
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDeleteRecordsResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

func refuseDeleteRecords(t *kmsg.DeleteRecordsRequestTopic, code int16) kmsg.DeleteRecordsResponseTopic {
	row := kmsg.NewDeleteRecordsResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewDeleteRecordsResponseTopicPartition()
		part.Partition, part.LowWatermark, part.ErrorCode = p.Partition, invalidLowWatermark, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
