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
var table = []API{
	{Key: kmsg.ListOffsets, Min: 1, Max: 11, Says: 1, Map: typed(listOffsets)},
	{Key: kmsg.Metadata, Min: 0, Max: 13, Map: typed(metadata)},
	{Key: kmsg.FindCoordinator, Min: 0, Max: 6, Map: typed(findCoordinator)},
	{Key: kmsg.Heartbeat, Min: 0, Max: 4, Map: typed(heartbeat)},
	{Key: kmsg.LeaveGroup, Min: 0, Max: 5, Map: typed(leaveGroup)},
	{Key: kmsg.SASLHandshake, Min: 0, Max: 1, Local: true},
	{Key: kmsg.ApiVersions, Min: 0, Max: 5, Local: true},
	{Key: kmsg.CreateTopics, Min: 2, Max: 7, Says: 2, Map: typed(createTopics)},
	{Key: kmsg.DeleteTopics, Min: 1, Max: 6, Says: 1, Map: typed(deleteTopics)},
	{Key: kmsg.DeleteRecords, Min: 0, Max: 2, Map: typed(deleteRecords)},
	{Key: kmsg.OffsetForLeaderEpoch, Min: 2, Max: 4, Says: 2, Map: typed(offsetForLeaderEpoch)},
	{Key: kmsg.SASLAuthenticate, Min: 0, Max: 2, Local: true},
	{Key: kmsg.CreatePartitions, Min: 0, Max: 3, Map: typed(createPartitions)},
	{Key: kmsg.DescribeCluster, Min: 0, Max: 2, Local: true, Map: typed(describeCluster)},
}

// Table returns all rows in order of key.
func Table() []API { return table }

// rowOf is the index of each key's row in table plus one, 0 for keys without.
var rowOf = func() (rows [128]uint8) {
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
