package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// InitProducerID (22) begins an idempotent (transactional id null) or
// transactional producer. 2: flexible; 3: KIP-360 producer id and epoch; 4, 5:
// new errors only. 6 (two-phase commit, KIP-939) is not served: it lets a
// client keep a transaction open for ever. Producer ids pass: every use of one
// is checked against a transactional id or a partition (protocol.md 2.9).
func initProducerID(x *Exchange, req *kmsg.InitProducerIDRequest) (outcome[*kmsg.InitProducerIDResponse], error) {
	if req.TransactionalID == nil {
		return forward[*kmsg.InitProducerIDResponse](nil), nil
	}
	txn, code := x.txn(*req.TransactionalID, x.needs.Txn)
	if code != 0 {
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code, -1, -1
		return answer(resp), nil
	}
	req.TransactionalID = &txn
	return forward[*kmsg.InitProducerIDResponse](nil), nil
}
