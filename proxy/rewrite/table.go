package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// API is one row of the table: what a tenant may send and what becomes of it.
type API struct {
	Key      kmsg.Key
	Min, Max int16
	// Says is the lowest version that ApiVersions advertises where it differs
	// from Min (librdkafka wants to see Produce 0, which is refused; KIP-896).
	Says int16
	// Local keys are answered by the gateway itself and need nothing of the pool.
	Local bool
	// Needs are the operations that the ACLs must allow.
	Needs Needs
	// mapper turns the request's body into a Plan. nil for the keys that package
	// proxy answers before there is a session (ApiVersions, SASL).
	mapper func(x *Exchange, body []byte) (Plan, error)
}

// Short names of the operations that rows need.
const (
	opRead            = kmsg.ACLOperationRead
	opWrite           = kmsg.ACLOperationWrite
	opCreate          = kmsg.ACLOperationCreate
	opDelete          = kmsg.ACLOperationDelete
	opAlter           = kmsg.ACLOperationAlter
	opDescribe        = kmsg.ACLOperationDescribe
	opDescribeConfigs = kmsg.ACLOperationDescribeConfigs
	opAlterConfigs    = kmsg.ACLOperationAlterConfigs
	opIdempotentWrite = kmsg.ACLOperationIdempotentWrite
)

// table is the security boundary: a key or version that is absent is refused
// and not advertised.
var table = []API{ //nolint:gochecknoglobals // read-only table
	{Key: kmsg.Produce, Min: 3, Max: 13, Says: 0, Needs: Needs{Topic: opWrite, Txn: opWrite}, mapper: mapProduce},
	{Key: kmsg.Fetch, Min: 4, Max: 18, Says: 4, Needs: Needs{Topic: opRead}, mapper: mapFetch},
	{Key: kmsg.ListOffsets, Min: 1, Max: 11, Says: 1, Needs: Needs{Topic: opDescribe}, mapper: typed(listOffsets)},
	{Key: kmsg.Metadata, Min: 0, Max: 13, Needs: Needs{Topic: opDescribe}, mapper: typed(metadata)},
	{Key: kmsg.OffsetCommit, Min: 2, Max: 10, Says: 2, Needs: Needs{Topic: opRead, Group: opRead}, mapper: typed(offsetCommit)},
	{Key: kmsg.OffsetFetch, Min: 1, Max: 10, Says: 1, Needs: Needs{Topic: opDescribe, Group: opDescribe}, mapper: typed(offsetFetch)},
	{Key: kmsg.FindCoordinator, Min: 0, Max: 6, Needs: Needs{Group: opDescribe, Txn: opDescribe}, mapper: typed(findCoordinator)},
	{Key: kmsg.JoinGroup, Min: 0, Max: 9, Needs: Needs{Group: opRead}, mapper: typed(joinGroup)},
	{Key: kmsg.Heartbeat, Min: 0, Max: 4, Needs: Needs{Group: opRead}, mapper: typed(heartbeat)},
	{Key: kmsg.LeaveGroup, Min: 0, Max: 5, Needs: Needs{Group: opRead}, mapper: typed(leaveGroup)},
	{Key: kmsg.SyncGroup, Min: 0, Max: 5, Needs: Needs{Group: opRead}, mapper: typed(syncGroup)},
	{Key: kmsg.DescribeGroups, Min: 0, Max: 6, Needs: Needs{Group: opDescribe}, mapper: typed(describeGroups)},
	{Key: kmsg.ListGroups, Min: 0, Max: 5, Needs: Needs{Group: opDescribe}, mapper: typed(listGroups)},
	{Key: kmsg.SASLHandshake, Min: 0, Max: 1, Local: true},
	{Key: kmsg.ApiVersions, Min: 0, Max: 5, Local: true},
	{Key: kmsg.CreateTopics, Min: 2, Max: 7, Says: 2, Needs: Needs{Topic: opCreate}, mapper: typed(createTopics)},
	{Key: kmsg.DeleteTopics, Min: 1, Max: 6, Says: 1, Needs: Needs{Topic: opDelete}, mapper: typed(deleteTopics)},
	{Key: kmsg.DeleteRecords, Min: 0, Max: 2, Needs: Needs{Topic: opDelete}, mapper: typed(deleteRecords)},
	{Key: kmsg.InitProducerID, Min: 0, Max: 5, Needs: Needs{Txn: opWrite, Cluster: opIdempotentWrite}, mapper: typed(initProducerID)},
	{Key: kmsg.OffsetForLeaderEpoch, Min: 2, Max: 4, Says: 2, Needs: Needs{Topic: opDescribe}, mapper: typed(offsetForLeaderEpoch)},
	{Key: kmsg.AddPartitionsToTxn, Min: 0, Max: 3, Needs: Needs{Topic: opWrite, Txn: opWrite}, mapper: typed(addPartitionsToTxn)},
	{Key: kmsg.AddOffsetsToTxn, Min: 0, Max: 4, Needs: Needs{Group: opRead, Txn: opWrite}, mapper: typed(addOffsetsToTxn)},
	{Key: kmsg.EndTxn, Min: 0, Max: 5, Needs: Needs{Txn: opWrite}, mapper: typed(endTxn)},
	{Key: kmsg.TxnOffsetCommit, Min: 0, Max: 6, Needs: Needs{Topic: opRead, Group: opRead, Txn: opWrite}, mapper: typed(txnOffsetCommit)},
	{Key: kmsg.DescribeACLs, Min: 1, Max: 3, Says: 1, Local: true, Needs: Needs{Cluster: opDescribe}, mapper: typed(describeACLs)},
	{Key: kmsg.CreateACLs, Min: 1, Max: 3, Says: 1, Local: true, Needs: Needs{Cluster: opAlter}, mapper: typed(createACLs)},
	{Key: kmsg.DeleteACLs, Min: 1, Max: 3, Says: 1, Local: true, Needs: Needs{Cluster: opAlter}, mapper: typed(deleteACLs)},
	{Key: kmsg.DescribeConfigs, Min: 1, Max: 4, Says: 1, Needs: Needs{Topic: opDescribeConfigs, Group: opDescribeConfigs, Cluster: opDescribeConfigs}, mapper: typed(describeConfigs)},
	{Key: kmsg.AlterConfigs, Min: 0, Max: 2, Needs: Needs{Topic: opAlterConfigs, Group: opAlterConfigs}, mapper: typed(alterConfigs)},
	{Key: kmsg.DescribeLogDirs, Min: 1, Max: 5, Says: 1, Needs: Needs{Cluster: opDescribe}, mapper: typed(describeLogDirs)},
	{Key: kmsg.SASLAuthenticate, Min: 0, Max: 2, Local: true},
	{Key: kmsg.CreatePartitions, Min: 0, Max: 3, Needs: Needs{Topic: opAlter}, mapper: typed(createPartitions)},
	{Key: kmsg.CreateDelegationToken, Min: 1, Max: 3, Says: 1, Local: true, mapper: typed(denied(denyCreateToken))},
	{Key: kmsg.RenewDelegationToken, Min: 1, Max: 2, Says: 1, Local: true, mapper: typed(denied(denyRenewToken))},
	{Key: kmsg.ExpireDelegationToken, Min: 1, Max: 2, Says: 1, Local: true, mapper: typed(denied(denyExpireToken))},
	{Key: kmsg.DescribeDelegationToken, Min: 1, Max: 3, Says: 1, Local: true, mapper: typed(denied(denyDescribeTokens))},
	{Key: kmsg.DeleteGroups, Min: 0, Max: 3, Needs: Needs{Group: opDelete}, mapper: typed(deleteGroups)},
	{Key: kmsg.ElectLeaders, Min: 0, Max: 2, Local: true, mapper: typed(denied(denyElectLeaders))},
	{Key: kmsg.IncrementalAlterConfigs, Min: 0, Max: 1, Needs: Needs{Topic: opAlterConfigs, Group: opAlterConfigs}, mapper: typed(incrementalAlterConfigs)},
	{Key: kmsg.AlterPartitionAssignments, Min: 0, Max: 1, Local: true, mapper: typed(denied(denyReassignments))},
	{Key: kmsg.ListPartitionReassignments, Min: 0, Max: 0, Needs: Needs{Cluster: opDescribe}, mapper: typed(listReassignments)},
	{Key: kmsg.OffsetDelete, Min: 0, Max: 0, Needs: Needs{Topic: opRead, Group: opDelete}, mapper: typed(offsetDelete)},
	{Key: kmsg.DescribeClientQuotas, Min: 0, Max: 1, Local: true, Needs: Needs{Cluster: opDescribeConfigs}, mapper: typed(describeClientQuotas)},
	{Key: kmsg.AlterClientQuotas, Min: 0, Max: 1, Local: true, Needs: Needs{Cluster: opAlterConfigs}, mapper: typed(alterClientQuotas)},
	{Key: kmsg.DescribeUserSCRAMCredentials, Min: 0, Max: 0, Local: true, Needs: Needs{Cluster: opDescribe}, mapper: typed(describeUserSCRAMCredentials)},
	{Key: kmsg.AlterUserSCRAMCredentials, Min: 0, Max: 0, Local: true, Needs: Needs{Cluster: opAlter}, mapper: typed(alterUserSCRAMCredentials)},
	{Key: kmsg.DescribeQuorum, Min: 0, Max: 2, Local: true, mapper: typed(denied(denyDescribeQuorum))},
	{Key: kmsg.UpdateFeatures, Min: 0, Max: 2, Local: true, mapper: typed(denied(denyUpdateFeatures))},
	{Key: kmsg.DescribeCluster, Min: 0, Max: 2, Local: true, mapper: typed(describeCluster)},
	{Key: kmsg.DescribeProducers, Min: 0, Max: 0, Needs: Needs{Topic: opRead}, mapper: typed(describeProducers)},
	{Key: kmsg.UnregisterBroker, Min: 0, Max: 0, Local: true, mapper: typed(denied(denyUnregisterBroker))},
	{Key: kmsg.DescribeTransactions, Min: 0, Max: 0, Needs: Needs{Topic: opDescribe, Txn: opDescribe}, mapper: typed(describeTransactions)},
	{Key: kmsg.ListTransactions, Min: 0, Max: 2, Needs: Needs{Txn: opDescribe}, mapper: typed(listTransactions)},
	{Key: kmsg.ConsumerGroupHeartbeat, Min: 0, Max: 1, Needs: Needs{Topic: opDescribe, Group: opRead}, mapper: typed(consumerGroupHeartbeat)},
	{Key: kmsg.ConsumerGroupDescribe, Min: 0, Max: 1, Needs: Needs{Topic: opDescribe, Group: opDescribe}, mapper: typed(consumerGroupDescribe)},
	{Key: kmsg.ListConfigResources, Min: 0, Max: 1, Local: true, Needs: Needs{Cluster: opDescribeConfigs}, mapper: typed(listConfigResources)},
	{Key: kmsg.DescribeTopicPartitions, Min: 0, Max: 0, Needs: Needs{Topic: opDescribe}, mapper: typed(describeTopicPartitions)},
	{Key: kmsg.ShareGroupHeartbeat, Min: 1, Max: 1, Says: 1, Needs: Needs{Topic: opDescribe, Group: opRead}, mapper: typed(shareGroupHeartbeat)},
	{Key: kmsg.ShareGroupDescribe, Min: 1, Max: 1, Says: 1, Needs: Needs{Topic: opDescribe, Group: opDescribe}, mapper: typed(shareGroupDescribe)},
	{Key: kmsg.ShareFetch, Min: 1, Max: 2, Says: 1, Needs: Needs{Topic: opRead, Group: opRead}, mapper: mapShareFetch},
	{Key: kmsg.ShareAcknowledge, Min: 1, Max: 2, Says: 1, Needs: Needs{Topic: opRead, Group: opRead}, mapper: typed(shareAcknowledge)},
	{Key: kmsg.StreamsGroupHeartbeat, Min: 0, Max: 1, Needs: Needs{Topic: opDescribe, Group: opRead}, mapper: typed(streamsGroupHeartbeat)},
	{Key: kmsg.StreamsGroupDescribe, Min: 0, Max: 1, Needs: Needs{Topic: opDescribe, Group: opDescribe}, mapper: typed(streamsGroupDescribe)},
	{Key: kmsg.DescribeShareGroupOffsets, Min: 0, Max: 1, Needs: Needs{Topic: opDescribe, Group: opDescribe}, mapper: typed(describeShareGroupOffsets)},
	{Key: kmsg.AlterShareGroupOffsets, Min: 0, Max: 0, Needs: Needs{Topic: opRead, Group: opRead}, mapper: typed(alterShareGroupOffsets)},
	{Key: kmsg.DeleteShareGroupOffsets, Min: 0, Max: 0, Needs: Needs{Topic: opRead, Group: opDelete}, mapper: typed(deleteShareGroupOffsets)},
	{Key: kmsg.StreamsGroupTopologyDescriptionUpdate, Min: 0, Max: 0, Needs: Needs{Group: opRead}, mapper: typed(streamsTopologyUpdate)},
	{Key: kmsg.UnregisterController, Min: 0, Max: 0, Local: true, mapper: typed(denied(denyUnregisterController))},
}

// Plan turns the request's body into what becomes of it. An *Error closes the
// connection.
func (a API) Plan(x *Exchange, body []byte) (Plan, error) {
	x.needs = a.Needs
	return a.mapper(x, body)
}

// Mapped says whether a session's request of this key has a plan: not so for
// those that package proxy answers itself.
func (a API) Mapped() bool { return a.mapper != nil }

// Table returns all rows in order of key.
func Table() []API { return table }

// rowOf is the index of each key's row in table plus one, 0 for keys without.
var rowOf = func() (rows [128]uint8) { //nolint:gochecknoglobals // read-only table
	for i, a := range table {
		rows[a.Key] = uint8(i + 1)
	}
	return rows
}()

// Lookup finds the row for one request in constant time; ok is false if a
// tenant may not send it.
func Lookup(key, version int16) (API, bool) {
	if key < 0 || int(key) >= len(rowOf) || rowOf[key] == 0 {
		return API{}, false
	}
	a := table[rowOf[key]-1]
	return a, version >= a.Min && version <= a.Max
}
