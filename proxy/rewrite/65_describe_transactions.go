package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// DescribeTransactions (65) shows transactions and their partitions. v0. A
// transaction that commits offsets holds partitions of __consumer_offsets:
// they, as all that is not this instance's, are dropped.
func describeTransactions(x *Exchange, req *kmsg.DescribeTransactionsRequest) (outcome[*kmsg.DescribeTransactionsResponse], error) {
	type state = kmsg.DescribeTransactionsResponseTransactionState
	asked := make([]string, 0, len(req.TransactionalIDs))
	var refused []placed[state]
	for i, id := range req.TransactionalIDs {
		physical, ok := x.physicalTxn(id)
		if ok {
			asked = append(asked, physical)
			continue
		}
		row := kmsg.NewDescribeTransactionsResponseTransactionState()
		row.TransactionalID, row.ErrorCode = id, invalidTxn()
		refused = append(refused, placed[state]{i, row})
	}
	unmap := func(resp *kmsg.DescribeTransactionsResponse) error {
		rows := own(x, resp.TransactionStates, func(s *state) *string { return &s.TransactionalID })
		for i := range rows {
			rows[i].Topics = own(x, rows[i].Topics, func(t *kmsg.DescribeTransactionsResponseTransactionStateTopic) *string { return &t.Topic })
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
