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
	// Map turns the request's body into a Plan. nil for the keys that package
	// proxy answers before there is a session (ApiVersions, SASL).
	Map func(x *Exchange, body []byte) (Plan, error)
}

// table is the security boundary: a key or version that is absent is refused
// and not advertised.
var table = []API{ //nolint:gochecknoglobals // read-only table
	{Key: kmsg.Produce, Min: 3, Max: 13, Says: 0, Map: mapProduce},
	{Key: kmsg.Fetch, Min: 4, Max: 18, Says: 4, Map: mapFetch},
	{Key: kmsg.ListOffsets, Min: 1, Max: 11, Says: 1, Map: typed(listOffsets)},
	{Key: kmsg.Metadata, Min: 0, Max: 13, Map: typed(metadata)},
	{Key: kmsg.OffsetCommit, Min: 2, Max: 10, Says: 2, Map: typed(offsetCommit)},
	{Key: kmsg.OffsetFetch, Min: 1, Max: 10, Says: 1, Map: typed(offsetFetch)},
	{Key: kmsg.FindCoordinator, Min: 0, Max: 6, Map: typed(findCoordinator)},
	{Key: kmsg.JoinGroup, Min: 0, Max: 9, Map: typed(joinGroup)},
	{Key: kmsg.Heartbeat, Min: 0, Max: 4, Map: typed(heartbeat)},
	{Key: kmsg.LeaveGroup, Min: 0, Max: 5, Map: typed(leaveGroup)},
	{Key: kmsg.SyncGroup, Min: 0, Max: 5, Map: typed(syncGroup)},
	{Key: kmsg.DescribeGroups, Min: 0, Max: 6, Map: typed(describeGroups)},
	{Key: kmsg.ListGroups, Min: 0, Max: 5, Map: typed(listGroups)},
	{Key: kmsg.SASLHandshake, Min: 0, Max: 1, Local: true},
	{Key: kmsg.ApiVersions, Min: 0, Max: 5, Local: true},
	{Key: kmsg.CreateTopics, Min: 2, Max: 7, Says: 2, Map: typed(createTopics)},
	{Key: kmsg.DeleteTopics, Min: 1, Max: 6, Says: 1, Map: typed(deleteTopics)},
	{Key: kmsg.DeleteRecords, Min: 0, Max: 2, Map: typed(deleteRecords)},
	{Key: kmsg.InitProducerID, Min: 0, Max: 5, Map: typed(initProducerID)},
	{Key: kmsg.OffsetForLeaderEpoch, Min: 2, Max: 4, Says: 2, Map: typed(offsetForLeaderEpoch)},
	{Key: kmsg.AddPartitionsToTxn, Min: 0, Max: 3, Map: typed(addPartitionsToTxn)},
	{Key: kmsg.AddOffsetsToTxn, Min: 0, Max: 4, Map: typed(addOffsetsToTxn)},
	{Key: kmsg.EndTxn, Min: 0, Max: 5, Map: typed(endTxn)},
	{Key: kmsg.TxnOffsetCommit, Min: 0, Max: 6, Map: typed(txnOffsetCommit)},
	{Key: kmsg.DescribeConfigs, Min: 1, Max: 4, Says: 1, Map: typed(describeConfigs)},
	{Key: kmsg.AlterConfigs, Min: 0, Max: 2, Map: typed(alterConfigs)},
	{Key: kmsg.SASLAuthenticate, Min: 0, Max: 2, Local: true},
	{Key: kmsg.CreatePartitions, Min: 0, Max: 3, Map: typed(createPartitions)},
	{Key: kmsg.DeleteGroups, Min: 0, Max: 3, Map: typed(deleteGroups)},
	{Key: kmsg.IncrementalAlterConfigs, Min: 0, Max: 1, Map: typed(incrementalAlterConfigs)},
	{Key: kmsg.OffsetDelete, Min: 0, Max: 0, Map: typed(offsetDelete)},
	{Key: kmsg.DescribeCluster, Min: 0, Max: 2, Local: true, Map: typed(describeCluster)},
	{Key: kmsg.DescribeProducers, Min: 0, Max: 0, Map: typed(describeProducers)},
	{Key: kmsg.DescribeTransactions, Min: 0, Max: 0, Map: typed(describeTransactions)},
	{Key: kmsg.ListTransactions, Min: 0, Max: 2, Map: typed(listTransactions)},
	{Key: kmsg.ConsumerGroupHeartbeat, Min: 0, Max: 1, Map: typed(consumerGroupHeartbeat)},
	{Key: kmsg.ConsumerGroupDescribe, Min: 0, Max: 1, Map: typed(consumerGroupDescribe)},
	{Key: kmsg.DescribeTopicPartitions, Min: 0, Max: 0, Map: typed(describeTopicPartitions)},
}

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
