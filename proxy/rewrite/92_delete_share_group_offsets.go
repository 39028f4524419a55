package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteShareGroupOffsets (92) makes an empty share group forget topics. v0.
func deleteShareGroupOffsets(x *Exchange, req *kmsg.DeleteShareGroupOffsetsRequest) (outcome[*kmsg.DeleteShareGroupOffsetsResponse], error) {
	group, code := x.group(req.GroupID, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	asked, refused := refuseTopics(x, req.Topics, false,
		func(t *kmsg.DeleteShareGroupOffsetsRequestTopic) (*string, *topicID) { return &t.Topic, nil },
		func(t *kmsg.DeleteShareGroupOffsetsRequestTopic, code int16) kmsg.DeleteShareGroupOffsetsResponseTopic {
			row := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
			row.Topic, row.ErrorCode, row.ErrorMessage = t.Topic, code, standardText(code)
			return row
		})
	unmap := func(resp *kmsg.DeleteShareGroupOffsetsResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		if resp.ErrorCode != 0 {
			refused = nil // Kafka fails as a whole, without rows
		}
		for i := range resp.Topics {
			t := &resp.Topics[i]
			t.ErrorMessage = x.Text(t.ErrorCode, t.ErrorMessage)
		}
		resp.Topics = answeredTopics(x, resp.Topics, false,
			func(t *kmsg.DeleteShareGroupOffsetsResponseTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
		return answer(resp), unmap(resp)
	}
	req.GroupID, req.Topics = group, asked
	return forward(unmap), nil
}
