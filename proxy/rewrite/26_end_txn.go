package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// EndTxn (26) commits or aborts a transaction. 3: flexible; 5: the answer
// brings the next producer id and epoch (KIP-890), which pass.
func endTxn(x *Exchange, req *kmsg.EndTxnRequest) (outcome[*kmsg.EndTxnResponse], error) {
	txn, code := x.txn(req.TransactionalID, x.needs.Txn)
	if code != 0 {
		resp := kmsg.NewPtrEndTxnResponse()
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code, -1, -1
		return answer(resp), nil
	}
	req.TransactionalID = txn
	return forward[*kmsg.EndTxnResponse](nil), nil
}
