package metering

// TopicHash stands for a topic by its physical name (FNV-1a). It must be the same in
// every gateway and at every start.
type TopicHash uint64

const (
	fnvBasis TopicHash = 14695981039346656037
	fnvPrime TopicHash = 1099511628211
)

// HashTopic is the hash of a name.
func HashTopic[S []byte | string](physical S) TopicHash { return HashMore(fnvBasis, physical) }

// HashMore is the hash of a name of which the beginning has been hashed.
func HashMore[S []byte | string](begin TopicHash, rest S) TopicHash {
	for i := range len(rest) {
		begin = (begin ^ TopicHash(rest[i])) * fnvPrime
	}
	return begin
}

// Partition is what stands for one of the topic's partitions in a Batch.
func (h TopicHash) Partition(partition int32) uint64 {
	for i := range 4 {
		h = (h ^ TopicHash(byte(partition>>(8*i)))) * fnvPrime
	}
	return uint64(h)
}

// HashPartition is what stands for a partition of a physical topic in a Batch.
func HashPartition(topic []byte, partition int32) uint64 {
	return HashTopic(topic).Partition(partition)
}
