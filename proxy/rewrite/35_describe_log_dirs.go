package rewrite

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeLogDirs (35) shows how large the replicas on one broker are, and the
// client asks every broker. 2: flexible; 3: top-level error; 4: sizes of volumes
// (KIP-827); 5: cordoned (KIP-1066).
//
// Null means all there is on the broker, which would be the whole pool's. The
// partitions of this instance are asked for instead: a broker says nothing of
// those that it does not hold (ReplicaManager.describeLogDirs).
func describeLogDirs(x *Exchange, req *kmsg.DescribeLogDirsRequest) (outcome[*kmsg.DescribeLogDirsResponse], error) {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	if resp.ErrorCode = x.cluster(x.needs.Cluster); resp.ErrorCode != 0 {
		return answer(resp), nil
	}
	if req.Topics == nil {
		all, err := ownPartitions(x)
		if err != nil {
			return outcome[*kmsg.DescribeLogDirsResponse]{}, err
		}
		req.Topics = all
	} else {
		// Kafka takes no other operation than that on the cluster, and is silent
		// about what does not exist.
		req.Topics, _ = forwardTopics(x, req.Topics, func(t *kmsg.DescribeLogDirsRequestTopic) *string { return &t.Topic },
			func(*kmsg.DescribeLogDirsRequestTopic, int16) struct{} { return struct{}{} })
	}
	return forward(func(resp *kmsg.DescribeLogDirsResponse) error {
		unmapLogDirs(x, resp.Dirs)
		return nil
	}), nil
}

// ownPartitions are all partitions of this instance, by physical name.
func ownPartitions(x *Exchange) ([]kmsg.DescribeLogDirsRequestTopic, error) {
	names, err := x.listTopics()
	if err != nil {
		return nil, &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("listing topics for DescribeLogDirs: %w", err)}
	}
	all := make([]kmsg.DescribeLogDirsRequestTopic, 0, len(names)) // never null
	if len(names) == 0 {
		return all, nil
	}
	resp, err := x.describeTopics(names)
	if err != nil {
		return nil, &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("finding partitions for DescribeLogDirs: %w", err)}
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || t.Topic == nil {
			continue // deleted since it was listed
		}
		row := kmsg.NewDescribeLogDirsRequestTopic()
		row.Topic = *t.Topic
		for _, p := range t.Partitions {
			row.Partitions = append(row.Partitions, p.Partition)
		}
		all = append(all, row)
	}
	return all, nil
}

// unmapLogDirs keeps this instance's topics. Where a broker keeps them and how
// much room it has is not the client's business: directories are numbered, in
// the order of their paths, so that a number means the same the next time.
func unmapLogDirs(x *Exchange, dirs []kmsg.DescribeLogDirsResponseDir) {
	paths := make([]string, 0, len(dirs))
	for _, d := range dirs {
		paths = append(paths, d.Dir)
	}
	slices.Sort(paths)
	for i := range dirs {
		d := &dirs[i]
		n, _ := slices.BinarySearch(paths, d.Dir)
		d.Dir = fmt.Sprintf("/disk%d", n)
		d.TotalBytes, d.UsableBytes = -1, -1
		d.Topics = own(x, tenancy.KindTopic, d.Topics, func(t *kmsg.DescribeLogDirsResponseDirTopic) *string { return &t.Topic })
	}
}
