package rewrite

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// Needs are the operations that a key demands of what its request names, by type
// of resource (protocol.md 4). Zero: a request of this key names no such thing,
// or its rewrite says itself what it takes.
type Needs struct {
	Topic, Group, Txn, Cluster kmsg.ACLOperation
}

// clusterName is the name of the only CLUSTER resource.
const clusterName = "kafka-cluster"

// may returns what the session may do with one resource, by its virtual name.
func (x *Exchange) may(t kmsg.ACLResourceType, name string) auth.Operations {
	may := auth.AllOperations
	if x.Guard != nil {
		may = x.Guard.May(t, name)
	}
	if t == kmsg.ACLResourceTypeTopic && x.shared(name) {
		may &= readOnly
	}
	return may
}

// mayBytes is may for a name in a buffer; without aliases it does not allocate.
func (x *Exchange) mayBytes(t kmsg.ACLResourceType, name []byte) auth.Operations {
	if x.Space.Aliases() != nil {
		return x.may(t, string(name))
	}
	if x.Guard == nil {
		return auth.AllOperations
	}
	return x.Guard.MayBytes(t, name)
}

// allows reports whether the session may do op with one topic, by its virtual name.
func (x *Exchange) allows(topic string, op kmsg.ACLOperation) bool {
	return x.may(kmsg.ACLResourceTypeTopic, topic).Has(op)
}

// mayAny reports whether the session may do op with any resource of that type
// (Kafka's authorizeByResourceType). A topic that is only shared can be written
// by nobody, but every instance can have one of its own.
func (x *Exchange) mayAny(t kmsg.ACLResourceType, op kmsg.ACLOperation) bool {
	return x.Guard == nil || x.Guard.MayAny(t, op)
}

// generation changes with the ACLs in force.
func (x *Exchange) generation() uint64 {
	if x.Guard == nil {
		return 0
	}
	return x.Guard.Generation()
}

// readOnly is what may be done at most with a topic that is only shared.
const readOnly = auth.Operations(1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationDescribe | 1<<kmsg.ACLOperationDescribeConfigs)

// topic maps a topic's virtual name for a request that needs op of it. code is 0
// or why the topic is refused: TOPIC_AUTHORIZATION_FAILED first, as in Kafka, or
// UNKNOWN_TOPIC_OR_PARTITION for a name that no topic may have (where Kafka says
// INVALID_TOPIC_EXCEPTION the rewrite does).
func (x *Exchange) topic(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	if !x.allows(virtual, op) {
		return "", kerr.TopicAuthorizationFailed.Code
	}
	physical, err := x.Space.Topic(virtual)
	if err != nil {
		return "", kerr.UnknownTopicOrPartition.Code
	}
	return physical, 0
}

// group is topic for groups: GROUP_AUTHORIZATION_FAILED or INVALID_GROUP_ID.
func (x *Exchange) group(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	if !x.may(kmsg.ACLResourceTypeGroup, virtual).Has(op) {
		return "", kerr.GroupAuthorizationFailed.Code
	}
	physical = x.Space.Physical(tenancy.KindGroup, virtual)
	if virtual == "" || len(physical) > maxIDBytes {
		return "", kerr.InvalidGroupID.Code
	}
	return physical, 0
}

// txn is topic for transactional ids: TRANSACTIONAL_ID_AUTHORIZATION_FAILED or,
// as Kafka's TransactionCoordinator says for "", INVALID_REQUEST.
func (x *Exchange) txn(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	if !x.may(kmsg.ACLResourceTypeTransactionalId, virtual).Has(op) {
		return "", kerr.TransactionalIDAuthorizationFailed.Code
	}
	physical = x.Space.Physical(tenancy.KindTxn, virtual)
	if virtual == "" || len(physical) > maxIDBytes {
		return "", kerr.InvalidRequest.Code
	}
	return physical, 0
}

// cluster checks an operation on the instance as a whole:
// CLUSTER_AUTHORIZATION_FAILED or 0.
func (x *Exchange) cluster(op kmsg.ACLOperation) (code int16) {
	if !x.may(kmsg.ACLResourceTypeCluster, clusterName).Has(op) {
		return kerr.ClusterAuthorizationFailed.Code
	}
	return 0
}

// applyWait is how long an answer waits at most until a change of users, ACLs or
// quotas is in force on every gateway. It is in force soon after in any case.
const applyWait = 2 * time.Second

// applied waits until rev is in force everywhere, so that a client that has its
// answer can rely on it; within bounds, since one gateway may hang.
func (x *Exchange) applied(rev tenancy.Revision) {
	ctx, cancel := context.WithTimeout(x.Ctx, applyWait)
	defer cancel()
	_, _, _ = x.Store.WaitApplied(ctx, rev)
}
