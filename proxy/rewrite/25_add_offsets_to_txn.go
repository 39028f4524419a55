package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// AddOffsetsToTxn (25) adds a group's offsets to a transaction. v0-4, nothing
// but the transactional id and the group is a name (3: flexible).
func addOffsetsToTxn(x *Exchange, req *kmsg.AddOffsetsToTxnRequest) (outcome[*kmsg.AddOffsetsToTxnResponse], error) {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	txn, code := x.txn(req.TransactionalID, x.needs.Txn)
	if code != 0 {
		resp.ErrorCode = code
		return answer(resp), nil
	}
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		resp.ErrorCode = code
		return answer(resp), nil
	}
	req.TransactionalID, req.Group = txn, group
	return forward[*kmsg.AddOffsetsToTxnResponse](nil), nil
}
