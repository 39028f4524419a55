package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ListTransactions (66) lists the transactions that one broker coordinates;
// clients ask every broker. 1: duration filter (KIP-994); 2: pattern over
// transactional ids (KIP-1152). The broker looks at those of the whole pool: the
// pattern is always set where there is one, and what is not this instance's, or may
// not be described, is dropped in any case.
func listTransactions(x *Exchange, req *kmsg.ListTransactionsRequest) (outcome[*kmsg.ListTransactionsResponse], error) {
	pattern := x.everyPattern(tenancy.KindTxn)
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		var err error
		if pattern, err = x.physicalPattern(tenancy.KindTxn, *p); err != nil {
			resp := kmsg.NewPtrListTransactionsResponse()
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			return answer(resp), nil
		}
	}
	req.TransactionalIDPattern = &pattern // not encoded before v2
	if len(pattern) > maxIDBytes {        // hundreds of aliases: all are listed, and the others' dropped
		req.TransactionalIDPattern = nil
	}
	return forward(func(resp *kmsg.ListTransactionsResponse) error {
		rows := own(x, tenancy.KindTxn, resp.TransactionStates, func(s *kmsg.ListTransactionsResponseTransactionState) *string { return &s.TransactionalID })
		resp.TransactionStates = slices.DeleteFunc(rows, func(s kmsg.ListTransactionsResponseTransactionState) bool {
			return !x.may(kmsg.ACLResourceTypeTransactionalId, s.TransactionalID).Has(x.needs.Txn)
		})
		return nil
	}), nil
}
