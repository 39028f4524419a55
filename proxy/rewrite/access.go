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
	if x.Guard == nil {
		return auth.AllOperations
	}
	may := x.Guard.May(t, name)
	if t == kmsg.ACLResourceTypeTopic {
		if a, ok := x.Space.Alias(tenancy.KindTopic, name); ok && a.ReadOnly {
			may &= readOnly
		}
	}
	return may
}

// readOnly is what may be done at most with a topic that is only shared.
const readOnly = auth.Operations(1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationDescribe | 1<<kmsg.ACLOperationDescribeConfigs)

// topic maps a topic's virtual name for a request that needs op of it. code is 0
// or why the topic is refused: TOPIC_AUTHORIZATION_FAILED first, as in Kafka, or
// UNKNOWN_TOPIC_OR_PARTITION for a name that no topic may have (where Kafka says
// INVALID_TOPIC_EXCEPTION the rewrite does).
func (x *Exchange) topic(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	physical, err := x.Space.Topic(virtual)
	if err != nil {
		return "", kerr.UnknownTopicOrPartition.Code
	}
	if !x.may(kmsg.ACLResourceTypeTopic, virtual).Has(op) {
		return "", kerr.TopicAuthorizationFailed.Code
	}
	return physical, 0
}

// group is topic for groups: INVALID_GROUP_ID or GROUP_AUTHORIZATION_FAILED.
func (x *Exchange) group(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	physical = x.Space.Physical(tenancy.KindGroup, virtual)
	if virtual == "" || len(physical) > maxIDBytes {
		return "", kerr.InvalidGroupID.Code
	}
	if !x.may(kmsg.ACLResourceTypeGroup, virtual).Has(op) {
		return "", kerr.GroupAuthorizationFailed.Code
	}
	return physical, 0
}

// txn is topic for transactional ids: INVALID_REQUEST, as Kafka's
// TransactionCoordinator says for "", or TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
func (x *Exchange) txn(virtual string, op kmsg.ACLOperation) (physical string, code int16) {
	physical = x.Space.Physical(tenancy.KindTxn, virtual)
	if virtual == "" || len(physical) > maxIDBytes {
		return "", kerr.InvalidRequest.Code
	}
	if !x.may(kmsg.ACLResourceTypeTransactionalId, virtual).Has(op) {
		return "", kerr.TransactionalIDAuthorizationFailed.Code
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
