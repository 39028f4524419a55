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
		msg := standardText(code)
		if code == 0 {
			more := int(t.Count) - cmp.Or(have[physical], int(t.Count)-1)
			if req.ValidateOnly {
				more = 0
			}
			code, msg = x.checkGrowth(&t, physical, space, more)
		}
		if code != 0 {
			row := kmsg.NewCreatePartitionsResponseTopic()
			row.Topic, row.ErrorCode, row.ErrorMessage = t.Topic, code, msg
			place(&refused, i, row)
			continue
		}
		t.Topic = physical
		asked = append(asked, t)
		grown[physical] = int(t.Count)
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

// checkGrowth judges how many partitions a topic is to have, more of which are to be
// charged; code 0 lets it pass. As in Kafka nothing is charged for what is refused
// (ReplicationControlManager).
func (x *Exchange) checkGrowth(t *kmsg.CreatePartitionsRequestTopic, physical string, space *room, more int) (code int16, msg *string) {
	switch {
	case t.Assignment != nil:
		return codeAssignment, new("brokers cannot be chosen here; leave the assignment out")
	case t.Count > maxPartitions:
		return codePolicyViolation, tooManyPartitions(t.Count)
	}
	if code, msg = space.grow(physical, t.Count); code != 0 {
		return code, msg
	}
	if code = x.mutate(more, 3); code != 0 {
		return code, standardText(code)
	}
	return 0, nil
}

func tooManyPartitions(n int32) *string {
	return new(fmt.Sprintf("a topic may have at most %d partitions, not %d", maxPartitions, n))
}
