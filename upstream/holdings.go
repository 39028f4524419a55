package upstream

import (
	"hash/maphash"
	"slices"
	"time"

	"weir/tenancy"
)

// Owner says which instance a topic or group of the pool belongs to, by its
// physical name; ok is false if it is nobody's.
type Owner func(kind tenancy.Kind, physical string) (id tenancy.InstanceID, ok bool)

// Holding is what one instance had in the pool when it was sampled.
type Holding struct {
	// Topics and Partitions are those that metadata lists, also with no leader; a
	// topic under an alias counts for who owns it, never for who it is shared with.
	Topics, Partitions int
	// Bytes are those of the log segments of its partitions as brokers report them
	// (DescribeLogDirs: the size after compression, without indexes). Of each
	// partition the largest replica counts, once: what is billed and bounded does not
	// depend on the replication factor. Copies on their way to another directory
	// (future replicas) do not count.
	Bytes int64
	// Groups are those that their coordinators list, of every type and in every
	// state: an empty group with offsets is one until these expire or it is deleted.
	Groups int

	groups []uint64 // hashes of their physical names, sorted
}

// Holdings is what all instances had in a pool. Immutable.
type Holdings struct {
	// At is when the sample was begun.
	At time.Time
	// Oldest is when the oldest answer in it was asked for: At, or earlier where a
	// broker did not answer this time and its last numbers stand.
	Oldest time.Time

	of   map[tenancy.InstanceID]Holding
	seed maphash.Seed
}

// Of is what an instance had; ok is false if there was no sample yet (h is nil).
// An instance that had nothing has the zero Holding.
func (h *Holdings) Of(id tenancy.InstanceID) (Holding, bool) {
	if h == nil {
		return Holding{}, false
	}
	return h.of[id], true
}

// GroupHash stands for a group's physical name in all samples of one pool. Not of a nil h.
func (h *Holdings) GroupHash(physical string) uint64 { return maphash.String(h.seed, physical) }

// HasGroup reports whether an instance's group of that hash was there.
func (h *Holdings) HasGroup(id tenancy.InstanceID, hash uint64) bool {
	if h == nil {
		return false
	}
	_, ok := slices.BinarySearch(h.of[id].groups, hash)
	return ok
}

// Each calls fn for every instance that had something, in no order.
func (h *Holdings) Each(fn func(tenancy.InstanceID, Holding)) {
	if h == nil {
		return
	}
	for id, has := range h.of {
		fn(id, has)
	}
}

// Holdings is the newest sample, nil before the first one. It is taken in the
// background (Config.Owners), never for who asks.
func (p *Pool) Holdings() *Holdings { return p.holdings.Load() }

// SampleSoon asks for a sample before its time; so often that a client which
// provokes it does not cost the pool much (sampleAtMost).
func (p *Pool) SampleSoon() {
	select {
	case p.sample <- struct{}{}:
	default:
	}
}
