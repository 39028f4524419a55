package rewrite

import (
	"cmp"
	"iter"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Mutations is what creating and deleting partitions is charged to (KIP-599). Map
// and Unmap of one exchange use it, one after the other.
type Mutations interface {
	// Bounded says whether there is a limit at all.
	Bounded() bool
	// Spend charges n partitions. Strict, and while nothing is left of the limit, it
	// charges nothing and ok is false (Kafka's StrictControllerMutationQuota: what
	// begins within the limit may exceed it). Not strict, that is so only while more is
	// owed than clients can be told to wait for. The client is told to wait by who
	// answers it.
	Spend(n int, strict bool) (ok bool)
}

const codeThrottled int16 = 89 // THROTTLING_QUOTA_EXCEEDED

// defaultPartitions stands for the pool's num.partitions where a request leaves
// their number to it.
const defaultPartitions = 1

// mutate charges n partitions; code is not 0 if they may not be created or deleted now.
// since is the lowest version of the key whose clients know codeThrottled; those of
// older ones are only throttled, and when that does not help told to try again by a
// code that they know.
func (x *Exchange) mutate(n int, since int16) (code int16) {
	switch {
	case x.Mutations == nil || n <= 0 || x.Mutations.Spend(n, x.Version >= since):
		return 0
	case x.Version < since:
		return kerr.RequestTimedOut.Code
	}
	return codeThrottled
}

// partitions asks the pool how many partitions topics have, by their physical
// names. One that it does not know is absent; nil if that costs nobody anything.
func (x *Exchange) partitions(topics iter.Seq[string]) map[string]int {
	if x.Mutations == nil || !x.Mutations.Bounded() {
		return nil
	}
	resp, err := x.describeTopics(slices.Collect(topics))
	if err != nil {
		return nil
	}
	have := make(map[string]int, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic != nil && len(t.Partitions) > 0 {
			have[*t.Topic] = len(t.Partitions)
		}
	}
	return have
}

// createCost is how many partitions a new topic has.
func createCost(t *kmsg.CreateTopicsRequestTopic) int {
	if t.NumPartitions < 0 {
		return defaultPartitions
	}
	return int(t.NumPartitions)
}

// chargeDeletes charges for the topics that are to be deleted, by their partitions,
// and moves those that do not fit to the refused. Both are in the request's order,
// and together all of it.
func chargeDeletes[T, R any](x *Exchange, asked []T, refused []placed[R], physical func(T) string, refuse func(T, int16) R) ([]T, []placed[R]) {
	if x.Mutations == nil || len(asked) == 0 {
		return asked, refused
	}
	have := x.partitions(func(yield func(string) bool) {
		for _, t := range asked {
			if !yield(physical(t)) {
				return
			}
		}
	})
	kept := asked[:0]
	var all []placed[R]
	for at, total := 0, len(asked)+len(refused); at < total; at++ {
		if len(refused) > 0 && refused[0].at == at {
			all, refused = append(all, refused[0]), refused[1:]
			continue
		}
		t := asked[0]
		asked = asked[1:]
		code := x.mutate(cmp.Or(have[physical(t)], 1), deleteKnows)
		if code == 0 {
			kept = append(kept, t)
			continue
		}
		place(&all, at, refuse(t, code))
	}
	return kept, all
}

// deleteKnows is the version of DeleteTopics from which on clients know
// THROTTLING_QUOTA_EXCEEDED.
const deleteKnows = 5

// throttledDelete is the row of a topic that cannot be deleted now.
func (x *Exchange) throttledDelete(physical string, id topicID, code int16) kmsg.DeleteTopicsResponseTopic {
	virtual, _ := x.Space.Virtual(tenancy.KindTopic, physical)
	return refuseDelete(&virtual, id, code)
}
