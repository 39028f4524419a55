package rewrite

import (
	"cmp"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreatePartitions (37) adds partitions to topics. v0-3, nothing but the topic
// is a name (2: flexible; 3: THROTTLING_QUOTA_EXCEEDED). Where replicas go is the pool's business.
// What does not fit within the instance's limit is refused with POLICY_VIOLATION, in
// the order of the request (limits_room.go).
func createPartitions(x *Exchange, req *kmsg.CreatePartitionsRequest) (outcome[*kmsg.CreatePartitionsResponse], error) {
	asked := make([]kmsg.CreatePartitionsRequestTopic, 0, len(req.Topics))
	have := x.partitions(func(yield func(string) bool) {
		for _, t := range req.Topics {
			if physical, code := x.topic(t.Topic, x.needs.Topic); code == 0 && !yield(physical) {
				return
			}
		}
	})
	var refused []placed[kmsg.CreatePartitionsResponseTopic]
	var space *room
	if x.bounds().Partitions > 0 {
		var err error
		if space, err = x.newRoom(x.Ctx, !req.ValidateOnly); err != nil {
			return outcome[*kmsg.CreatePartitionsResponse]{}, err
		}
	}
	grown := map[string]int{}
	for i, t := range req.Topics {
		physical, code := x.topic(t.Topic, x.needs.Topic)
		row := kmsg.NewCreatePartitionsResponseTopic()
		row.Topic = t.Topic
		switch {
		case code != 0:
			row.ErrorCode, row.ErrorMessage = code, standardText(code)
		case t.Assignment != nil:
			row.ErrorCode, row.ErrorMessage = codeAssignment, new("brokers cannot be chosen here; leave the assignment out")
		case t.Count > maxPartitions:
			row.ErrorCode, row.ErrorMessage = codePolicyViolation, tooManyPartitions(t.Count)
		default:
			if !req.ValidateOnly {
				code = x.mutate(int(t.Count)-cmp.Or(have[physical], int(t.Count)-1), 3)
			}
			if code != 0 {
				row.ErrorCode, row.ErrorMessage = code, standardText(code)
				break
			}
			if row.ErrorCode, row.ErrorMessage = space.grow(physical, t.Count); row.ErrorCode != 0 {
				break
			}
			t.Topic = physical
			asked = append(asked, t)
			grown[physical] = int(t.Count)
			continue
		}
		place(&refused, i, row)
	}
	unmap := func(resp *kmsg.CreatePartitionsResponse) error {
		defer space.end()
		if req.ValidateOnly {
			clear(grown)
		}
		for i := range resp.Topics {
			if resp.Topics[i].ErrorCode != 0 {
				delete(grown, resp.Topics[i].Topic)
			}
		}
		space.awaitGrown(grown)
		for i := range resp.Topics {
			resp.Topics[i].ErrorMessage = x.Text(resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage)
		}
		err := unmapTopics(x, resp.Topics, func(t *kmsg.CreatePartitionsResponseTopic) *string { return &t.Topic })
		resp.Topics = splice(resp.Topics, refused)
		return err
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrCreatePartitionsResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

func tooManyPartitions(n int32) *string {
	return new(fmt.Sprintf("a topic may have at most %d partitions, not %d", maxPartitions, n))
}
