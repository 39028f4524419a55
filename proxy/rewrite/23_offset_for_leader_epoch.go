package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// debugReplica is what the schema of OffsetForLeaderEpoch defaults to; clients
// send it or consumerReplica.
const debugReplica int32 = -2

// OffsetForLeaderEpoch (23) says where a leader's epoch ended. 2: the client's
// epoch; 3: replica id (2.4); 4: flexible.
func offsetForLeaderEpoch(x *Exchange, req *kmsg.OffsetForLeaderEpochRequest) (outcome[*kmsg.OffsetForLeaderEpochResponse], error) {
	if req.ReplicaID != consumerReplica && req.ReplicaID != debugReplica {
		resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
		for i := range req.Topics {
			resp.Topics = append(resp.Topics, refuseLeaderEpoch(&req.Topics[i], codeTopicDenied))
		}
		return answer(resp), nil
	}
	req.ReplicaID = consumerReplica
	asked, refused := forwardTopics(x, req.Topics,
		func(t *kmsg.OffsetForLeaderEpochRequestTopic) *string { return &t.Topic },
		refuseLeaderEpoch)
	unmap := func(resp *kmsg.OffsetForLeaderEpochResponse) error {
		err := unmapTopics(x, resp.Topics, func(t *kmsg.OffsetForLeaderEpochResponseTopic) *string { return &t.Topic })
		resp.Topics = splice(resp.Topics, refused)
		return err
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

// refuseLeaderEpoch answers every partition of a topic with code.
func refuseLeaderEpoch(t *kmsg.OffsetForLeaderEpochRequestTopic, code int16) kmsg.OffsetForLeaderEpochResponseTopic {
	row := kmsg.NewOffsetForLeaderEpochResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
