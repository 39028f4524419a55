package metering

// HashPartition is what stands for a partition of a physical topic in a Batch. It must
// be the same in every gateway and at every start.
func HashPartition(topic []byte, partition int32) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range topic {
		h = (h ^ uint64(c)) * 1099511628211
	}
	for i := range 4 {
		h = (h ^ uint64(byte(partition>>(8*i)))) * 1099511628211
	}
	return h
}
