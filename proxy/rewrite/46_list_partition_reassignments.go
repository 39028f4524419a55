package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ListPartitionReassignments (46) shows which replicas are on the move; every
// `kafka-topics --describe` asks for it. v0.
//
// Null means all: the controller is asked for all, since it names only what is
// moving, and what is not this instance's is dropped.
func listReassignments(x *Exchange, req *kmsg.ListPartitionReassignmentsRequest) (outcome[*kmsg.ListPartitionReassignmentsResponse], error) {
	if code := x.cluster(x.needs.Cluster); code != 0 {
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	if req.Topics != nil {
		// As in Kafka: no operation on the topics, and silence about what does not exist.
		req.Topics, _ = forwardTopics(x, req.Topics, func(t *kmsg.ListPartitionReassignmentsRequestTopic) *string { return &t.Topic },
			func(*kmsg.ListPartitionReassignmentsRequestTopic, int16) struct{} { return struct{}{} })
	}
	return forward(func(resp *kmsg.ListPartitionReassignmentsResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		resp.Topics = own(x, tenancy.KindTopic, resp.Topics, func(t *kmsg.ListPartitionReassignmentsResponseTopic) *string { return &t.Topic })
		return nil
	}), nil
}
