package admin

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
	"weir/upstream"
)

// IdentityUser begins the names of all users that a gateway makes in a pool; the
// instance's id follows.
const IdentityUser = "weir-"

// userOf is the name of an instance's principal, without Kafka's "User:".
func userOf(id tenancy.InstanceID) string { return IdentityUser + string(id) }

// grantsOf is what an instance's principal may do in its pool, and so what anybody
// may do who is taken for the instance: everything under its prefix, everything
// with what is its own by an alias, and reading what is shared with it. Nothing on
// the cluster: DESCRIBE there would show the groups, users and ACLs of all
// (KafkaApis.handleListGroupsRequest and others), and IDEMPOTENT_WRITE is implied
// by WRITE on any topic since Kafka 2.8 (KIP-679).
func grantsOf(id tenancy.InstanceID, aliases []tenancy.Alias) []upstream.Grant {
	prefix := tenancy.NewNamespace(id).Prefix()
	var all []upstream.Grant
	for _, kind := range []tenancy.Kind{tenancy.KindTopic, tenancy.KindGroup, tenancy.KindTxn} {
		all = append(all, upstream.Grant{Resource: resourceOf(kind), Name: prefix, Prefixed: true, Operation: kmsg.ACLOperationAll})
	}
	for _, a := range aliases {
		if a.Physical == "*" {
			continue // Kafka takes the literal name * for every name there is
		}
		operations := []kmsg.ACLOperation{kmsg.ACLOperationAll}
		if a.ReadOnly {
			operations = []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs}
		}
		for _, op := range operations {
			all = append(all, upstream.Grant{Resource: resourceOf(a.Kind), Name: a.Physical, Operation: op})
		}
	}
	return all
}

func resourceOf(kind tenancy.Kind) kmsg.ACLResourceType {
	switch kind {
	case tenancy.KindGroup:
		return kmsg.ACLResourceTypeGroup
	case tenancy.KindTxn:
		return kmsg.ACLResourceTypeTransactionalId
	case tenancy.KindTopic:
	}
	return kmsg.ACLResourceTypeTopic
}
