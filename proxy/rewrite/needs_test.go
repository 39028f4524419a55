package rewrite

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// needed is the table of operations of protocol.md section 4, in its order, and
// what KafkaApis asks beyond it.
func needed() []need {
	const topic, group, txn, cluster = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeTransactionalId, kmsg.ACLResourceTypeCluster
	return []need{
		{topic, opWrite, []int16{0, 24}},
		{topic, opRead, []int16{1, 8, 28, 47, 61, 78, 79, 91, 92}},
		{topic, opDescribe, []int16{2, 3, 9, 23, 68, 75, 76, 88}},
		{topic, opCreate, []int16{19}},
		{topic, opDelete, []int16{20, 21}},
		{topic, opAlter, []int16{37}},
		{topic, opDescribeConfigs, []int16{32}},
		{topic, opAlterConfigs, []int16{33, 44}},
		{group, opRead, []int16{8, 11, 12, 13, 14, 25, 28, 68, 76, 78, 79, 88, 91, 93}},
		{group, opDescribe, []int16{9, 10, 15, 16, 69, 77, 89, 90}},
		{group, opDelete, []int16{42, 47, 92}},
		{group, opDescribeConfigs, []int16{32}},
		{group, opAlterConfigs, []int16{33, 44}},
		{txn, opWrite, []int16{0, 22, 24, 25, 26, 28}},
		{txn, opDescribe, []int16{10, 65, 66}},
		{cluster, opIdempotentWrite, []int16{22}},
		{cluster, opAlter, []int16{30, 31, 51}},
		{cluster, opAlterConfigs, []int16{49}},
		{cluster, opDescribe, []int16{29, 35, 46, 50}},
		{cluster, opDescribeConfigs, []int16{48, 74}},

		{topic, opDescribe, []int16{65, 69, 77, 89, 90}}, // topics that answers name
		{cluster, opDescribeConfigs, []int16{32}},        // configs of brokers (ConfigHelper)
	}
}

type need struct {
	resource  kmsg.ACLResourceType
	operation kmsg.ACLOperation
	keys      []int16
}

func TestNeeds(t *testing.T) {
	for _, api := range Table() {
		want := map[kmsg.ACLResourceType]kmsg.ACLOperation{}
		for _, n := range needed() {
			if slices.Contains(n.keys, int16(api.Key)) {
				want[n.resource] = n.operation
			}
		}
		for resource, got := range needsOf(api) {
			if got != want[resource] {
				t.Errorf("%s needs %v of a %v, want %v", api.Key.Name(), got, resource, want[resource])
			}
		}
	}
}

func needsOf(api API) map[kmsg.ACLResourceType]kmsg.ACLOperation {
	return map[kmsg.ACLResourceType]kmsg.ACLOperation{
		kmsg.ACLResourceTypeTopic:           api.Needs.Topic,
		kmsg.ACLResourceTypeGroup:           api.Needs.Group,
		kmsg.ACLResourceTypeTransactionalId: api.Needs.Txn,
		kmsg.ACLResourceTypeCluster:         api.Needs.Cluster,
	}
}

// freeOfNeeds are the keys whose requests name topics, groups or transactional ids of
// which no operation is needed, and why.
func freeOfNeeds() map[kmsg.Key]string {
	return map[kmsg.Key]string{
		kmsg.DescribeLogDirs:                       "KafkaApis asks DESCRIBE of the cluster and no more",
		kmsg.ListPartitionReassignments:            "KafkaApis asks DESCRIBE of the cluster and no more",
		kmsg.ElectLeaders:                          "always refused",
		kmsg.AlterPartitionAssignments:             "always refused",
		kmsg.DescribeQuorum:                        "always refused",
		kmsg.StreamsGroupTopologyDescriptionUpdate: "a text of the member's; KafkaApis asks READ of the group and no more",
	}
}

// A key whose request names something needs a right to it.
func TestWhatIsNamedIsAuthorised(t *testing.T) {
	const topic, group, txn = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeTransactionalId
	names := map[string][]kmsg.ACLResourceType{
		"topic_name": {topic}, "topic_id": {topic}, "topic_regex": {topic},
		"group_id":         {group},
		"transactional_id": {txn}, "transactional_id_regex": {txn},
		"coordinator_key": {group, txn},
		"resource_name":   {topic, group},
	}
	for _, api := range Table() {
		named := map[kmsg.ACLResourceType]bool{}
		for _, field := range fieldsOf(int16(api.Key), "req") {
			for _, resource := range names[field.meaning] {
				named[resource] = true
			}
		}
		needs, why := needsOf(api), freeOfNeeds()[api.Key]
		missing := false
		for resource := range named {
			if needs[resource] == 0 {
				missing = true
				if why == "" {
					t.Errorf("a request of %s names a %v, and needs no operation of it", api.Key.Name(), resource)
				}
			}
		}
		if why != "" && !missing {
			t.Errorf("%s is said to need nothing because %q, and needs it all", api.Key.Name(), why)
		}
	}
}
