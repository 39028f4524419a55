package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// AlterShareGroupOffsets (91) says from where an empty share group reads. v0.
func alterShareGroupOffsets(x *Exchange, req *kmsg.AlterShareGroupOffsetsRequest) (outcome[*kmsg.AlterShareGroupOffsetsResponse], error) {
	group, code := x.group(req.GroupID, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrAlterShareGroupOffsetsResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	asked, refused := refuseTopics(x, req.Topics, false,
		func(t *kmsg.AlterShareGroupOffsetsRequestTopic) (*string, *topicID) { return &t.Topic, nil }, alterShareOffsetsRefusal)
	unmap := func(resp *kmsg.AlterShareGroupOffsetsResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		if resp.ErrorCode != 0 {
			refused = nil // Kafka fails as a whole, without rows
		}
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
			}
		}
		resp.Topics = answeredTopics(x, resp.Topics, false,
			func(t *kmsg.AlterShareGroupOffsetsResponseTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrAlterShareGroupOffsetsResponse()
		return answer(resp), unmap(resp)
	}
	req.GroupID, req.Topics = group, asked
	return forward(unmap), nil
}

func alterShareOffsetsRefusal(t *kmsg.AlterShareGroupOffsetsRequestTopic, code int16) kmsg.AlterShareGroupOffsetsResponseTopic {
	row := kmsg.NewAlterShareGroupOffsetsResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
		part.Partition, part.ErrorCode, part.ErrorMessage = p.Partition, code, standardText(code)
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
