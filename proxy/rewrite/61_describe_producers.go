package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// DescribeProducers (61) shows who produces to partitions: producer ids of the
// instance's own partitions, which are its own producers'. v0.
func describeProducers(x *Exchange, req *kmsg.DescribeProducersRequest) (outcome[*kmsg.DescribeProducersResponse], error) {
	asked, refused := refuseTopics(x, req.Topics, false,
		func(t *kmsg.DescribeProducersRequestTopic) (*string, *topicID) { return &t.Topic, nil }, describeProducersRefusal)
	unmap := func(resp *kmsg.DescribeProducersResponse) error {
		for _, t := range resp.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
			}
		}
		resp.Topics = answeredTopics(x, resp.Topics, false,
			func(t *kmsg.DescribeProducersResponseTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDescribeProducersResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

func describeProducersRefusal(t *kmsg.DescribeProducersRequestTopic, code int16) kmsg.DescribeProducersResponseTopic {
	row := kmsg.NewDescribeProducersResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewDescribeProducersResponseTopicPartition()
		part.Partition, part.ErrorCode, part.ErrorMessage = p, code, standardText(code)
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
