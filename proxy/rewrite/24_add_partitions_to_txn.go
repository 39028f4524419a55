package rewrite

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// AddPartitionsToTxn (24) adds partitions to a transaction. 3: flexible. 4 and
// up are the brokers' own batches, which need rights over the whole cluster:
// not served. One topic that fails fails them all, as in Kafka: nothing is
// forwarded and the others are OPERATION_NOT_ATTEMPTED.
func addPartitionsToTxn(x *Exchange, req *kmsg.AddPartitionsToTxnRequest) (outcome[*kmsg.AddPartitionsToTxnResponse], error) {
	txn, code := x.txn(req.TransactionalID, x.needs.Txn)
	if code != 0 {
		return answer(addPartitionsAnswer(req, func(string) int16 { return code })), nil
	}
	codes := make(map[string]int16, len(req.Topics))
	failed := false
	for _, t := range req.Topics {
		_, codes[t.Topic] = x.topic(t.Topic, x.needs.Topic)
		failed = failed || codes[t.Topic] != 0
	}
	if failed {
		return answer(addPartitionsAnswer(req, func(topic string) int16 {
			return cmp.Or(codes[topic], kerr.OperationNotAttempted.Code)
		})), nil
	}
	req.TransactionalID = txn
	for i := range req.Topics {
		req.Topics[i].Topic = x.Space.Physical(tenancy.KindTopic, req.Topics[i].Topic)
	}
	return forward(func(resp *kmsg.AddPartitionsToTxnResponse) error {
		resp.Topics = own(x, tenancy.KindTopic, resp.Topics, func(t *kmsg.AddPartitionsToTxnResponseTopic) *string { return &t.Topic })
		return nil
	}), nil
}

// addPartitionsAnswer answers every partition with its topic's code.
func addPartitionsAnswer(req *kmsg.AddPartitionsToTxnRequest, code func(topic string) int16) *kmsg.AddPartitionsToTxnResponse {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	for _, t := range req.Topics {
		row := kmsg.NewAddPartitionsToTxnResponseTopic()
		row.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			part.Partition, part.ErrorCode = p, code(t.Topic)
			row.Partitions = append(row.Partitions, part)
		}
		resp.Topics = append(resp.Topics, row)
	}
	return resp
}
