package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Types of coordinator. 2 is the share group's state (group:topicId:partition),
// which only brokers ask for.
const (
	coordinatorGroup int8 = 0
	coordinatorTxn   int8 = 1
	coordinatorShare int8 = 2
)

// noNode is the node of a coordinator that is not known, beside host "" and
// port -1 (Kafka's Node.noNode).
const noNode = -1

// FindCoordinator (10) says which broker keeps a group or a transactional id.
// 0: groups only; 1: type; 3: flexible; 4: a batch of keys (KIP-699), whose
// answer repeats the key; 5: nothing new (TRANSACTION_ABORTABLE); 6: type 2
// (KIP-932), refused as for every client that is not a broker.
func findCoordinator(x *Exchange, req *kmsg.FindCoordinatorRequest) (outcome[*kmsg.FindCoordinatorResponse], error) {
	if x.Version >= 4 {
		return findCoordinators(x, req)
	}
	physical, code := coordinatorKey(x, req.CoordinatorType, req.CoordinatorKey)
	if code != 0 {
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		resp.NodeID, resp.Port = noNode, noNode
		return answer(resp), nil
	}
	req.CoordinatorKey = physical
	return forward(func(resp *kmsg.FindCoordinatorResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		resp.NodeID, resp.Host, resp.Port = coordinatorAddress(x, resp.NodeID)
		return nil
	}), nil
}

// findCoordinators is FindCoordinator from v4 on.
func findCoordinators(x *Exchange, req *kmsg.FindCoordinatorRequest) (outcome[*kmsg.FindCoordinatorResponse], error) {
	asked := make([]string, 0, len(req.CoordinatorKeys))
	var refused []placed[kmsg.FindCoordinatorResponseCoordinator]
	for i, key := range req.CoordinatorKeys {
		physical, code := coordinatorKey(x, req.CoordinatorType, key)
		if code == 0 {
			asked = append(asked, physical)
			continue
		}
		row := kmsg.NewFindCoordinatorResponseCoordinator()
		row.Key, row.ErrorCode, row.ErrorMessage = key, code, standardText(code)
		row.NodeID, row.Port = noNode, noNode
		refused = append(refused, placed[kmsg.FindCoordinatorResponseCoordinator]{i, row})
	}
	unmap := func(resp *kmsg.FindCoordinatorResponse) error {
		rows := own(x, coordinatorKind(req.CoordinatorType), resp.Coordinators, func(c *kmsg.FindCoordinatorResponseCoordinator) *string { return &c.Key })
		for i := range rows {
			c := &rows[i]
			c.ErrorMessage = x.Text(c.ErrorCode, c.ErrorMessage)
			c.NodeID, c.Host, c.Port = coordinatorAddress(x, c.NodeID)
		}
		resp.Coordinators = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrFindCoordinatorResponse()
		return answer(resp), unmap(resp)
	}
	req.CoordinatorKeys = asked
	return forward(unmap), nil
}

// coordinatorKey maps a key by the type of its coordinator; code is not 0 if it
// must not be forwarded.
func coordinatorKey(x *Exchange, kind int8, key string) (physical string, code int16) {
	switch kind {
	case coordinatorGroup:
		return x.group(key, x.needs.Group)
	case coordinatorTxn:
		return x.txn(key, x.needs.Txn)
	case coordinatorShare:
		return "", kerr.ClusterAuthorizationFailed.Code
	}
	return "", kerr.InvalidRequest.Code
}

// coordinatorKind is the kind of name that a coordinator's key is.
func coordinatorKind(of int8) tenancy.Kind {
	if of == coordinatorTxn {
		return tenancy.KindTxn
	}
	return tenancy.KindGroup
}

// coordinatorAddress is where this client reaches node.
func coordinatorAddress(x *Exchange, node int32) (int32, string, int32) {
	if node < 0 {
		return noNode, "", noNode
	}
	host, port := x.Address(node)
	return node, host, port
}
