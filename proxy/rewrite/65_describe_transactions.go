package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeTransactions (65) shows transactions and their partitions. v0. A
// transaction that commits offsets holds partitions of __consumer_offsets:
// they, as all that is not this instance's or may not be described, are dropped.
func describeTransactions(x *Exchange, req *kmsg.DescribeTransactionsRequest) (outcome[*kmsg.DescribeTransactionsResponse], error) {
	type state = kmsg.DescribeTransactionsResponseTransactionState
	asked := make([]string, 0, len(req.TransactionalIDs))
	var refused []placed[state]
	for i, id := range req.TransactionalIDs {
		physical, code := x.txn(id, x.needs.Txn)
		if code == 0 {
			asked = append(asked, physical)
			continue
		}
		row := kmsg.NewDescribeTransactionsResponseTransactionState()
		row.TransactionalID, row.ErrorCode = id, code
		refused = append(refused, placed[state]{i, row})
	}
	unmap := func(resp *kmsg.DescribeTransactionsResponse) error {
		rows := own(x, tenancy.KindTxn, resp.TransactionStates, func(s *state) *string { return &s.TransactionalID })
		for i := range rows {
			topics := own(x, tenancy.KindTopic, rows[i].Topics, func(t *kmsg.DescribeTransactionsResponseTransactionStateTopic) *string { return &t.Topic })
			rows[i].Topics = describable(x, topics, func(t *kmsg.DescribeTransactionsResponseTransactionStateTopic) string { return t.Topic })
		}
		resp.TransactionStates = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDescribeTransactionsResponse()
		return answer(resp), unmap(resp)
	}
	req.TransactionalIDs = asked
	return forward(unmap), nil
}
