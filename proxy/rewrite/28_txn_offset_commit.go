package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// TxnOffsetCommit (28) writes a group's offsets within a transaction. 2: leader
// epoch; 3: flexible, member and generation; 4, 5: new errors only; 6: topics by
// id. Committed metadata is the client's own text and passes.
func txnOffsetCommit(x *Exchange, req *kmsg.TxnOffsetCommitRequest) (outcome[*kmsg.TxnOffsetCommitResponse], error) {
	byID := x.Version >= 6
	txn, code := x.txn(req.TransactionalID, x.needs.Txn)
	if code != 0 {
		return answer(txnOffsetCommitAnswer(req, code)), nil
	}
	group, code := x.group(req.Group, x.needs.Group)
	if code == 0 {
		code = x.groupLimit(group, codePolicyViolation)
	}
	if code != 0 {
		return answer(txnOffsetCommitAnswer(req, code)), nil
	}
	asked, refused := refuseTopics(x, req.Topics, byID,
		func(t *kmsg.TxnOffsetCommitRequestTopic) (*string, *topicID) { return &t.Topic, &t.TopicID }, txnOffsetCommitRefusal)
	unmap := func(resp *kmsg.TxnOffsetCommitResponse) error {
		resp.Topics = answeredTopics(x, resp.Topics, byID,
			func(t *kmsg.TxnOffsetCommitResponseTopic) (*string, *topicID) { return &t.Topic, &t.TopicID }, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrTxnOffsetCommitResponse()
		return answer(resp), unmap(resp)
	}
	req.TransactionalID, req.Group, req.Topics = txn, group, asked
	return forward(unmap), nil
}

// txnOffsetCommitAnswer answers every partition with code.
func txnOffsetCommitAnswer(req *kmsg.TxnOffsetCommitRequest, code int16) *kmsg.TxnOffsetCommitResponse {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	for i := range req.Topics {
		resp.Topics = append(resp.Topics, txnOffsetCommitRefusal(&req.Topics[i], code))
	}
	return resp
}

func txnOffsetCommitRefusal(t *kmsg.TxnOffsetCommitRequestTopic, code int16) kmsg.TxnOffsetCommitResponseTopic {
	row := kmsg.NewTxnOffsetCommitResponseTopic()
	row.Topic, row.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
