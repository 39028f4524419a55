package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// InitProducerID (22) begins an idempotent (transactional id null) or
// transactional producer. 2: flexible; 3: KIP-360 producer id and epoch; 4, 5:
// new errors only. 6 (two-phase commit, KIP-939) is not served: it lets a
// client keep a transaction open for ever. Producer ids pass: every use of one
// is checked against a transactional id or a partition (protocol.md 2.9). Without
// a transactional id IDEMPOTENT_WRITE on the cluster or WRITE on any topic is
// needed (KIP-679).
func initProducerID(x *Exchange, req *kmsg.InitProducerIDRequest) (outcome[*kmsg.InitProducerIDResponse], error) {
	if req.TransactionalID == nil {
		code := x.cluster(x.needs.Cluster)
		if code == 0 || x.mayAny(kmsg.ACLResourceTypeTopic, opWrite) {
			return forward[*kmsg.InitProducerIDResponse](nil), nil
		}
		return answer(initProducerIDRefusal(code)), nil
	}
	txn, code := x.txn(*req.TransactionalID, x.needs.Txn)
	if code != 0 {
		return answer(initProducerIDRefusal(code)), nil
	}
	req.TransactionalID = &txn
	return forward[*kmsg.InitProducerIDResponse](nil), nil
}

func initProducerIDRefusal(code int16) *kmsg.InitProducerIDResponse {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code, -1, -1
	return resp
}
