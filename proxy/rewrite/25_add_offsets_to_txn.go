package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// AddOffsetsToTxn (25) adds a group's offsets to a transaction. v0-4, nothing
// but the transactional id and the group is a name (3: flexible).
func addOffsetsToTxn(x *Exchange, req *kmsg.AddOffsetsToTxnRequest) (outcome[*kmsg.AddOffsetsToTxnResponse], error) {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	txn, ok := x.physicalTxn(req.TransactionalID)
	if !ok {
		resp.ErrorCode = invalidTxn()
		return answer(resp), nil
	}
	group, ok := x.physicalGroup(req.Group)
	if !ok {
		resp.ErrorCode = invalidGroup()
		return answer(resp), nil
	}
	req.TransactionalID, req.Group = txn, group
	return forward[*kmsg.AddOffsetsToTxnResponse](nil), nil
}
