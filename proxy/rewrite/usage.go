package rewrite

import (
	"sync/atomic"

	"weir/metering"
)

// Counting is how the use of topics is tallied: one for all sessions of a gateway.
type Counting struct {
	byTopic bool
	stamped [stampedTopics]atomic.Uint64 // hashes of topics with LogAppendTime; 0: none
}

// stampedTopics is how many topics with LogAppendTime are remembered at most. Two whose
// hashes fall on the same place push each other out, which only makes for doubts.
const stampedTopics = 4096

// NewCounting returns a Counting, with the names of topics if a breakdown wants them.
func NewCounting(byTopic bool) *Counting { return &Counting{byTopic: byTopic} }

// Usage is what an exchange uses of topics. The walk over a Produce request notes the
// batches that are forwarded, the walk over its answer which of them were appended; that
// over the answer to a fetch counts what is in it. Who has the exchange reads it when
// Unmap has returned, or, if nobody answers, when the request was sent on.
//
// Nothing in it refers to the bodies.
type Usage struct {
	batches []tally // of a Produce; at first all that are forwarded
	settled int     // batches[:settled] are appended, or forwarded and not answered
	sorted  []int32 // indexes of batches by key, partition and place, if there are many
	topics  []tally // of a fetch, if there is a breakdown
	names   []byte  // what tallies' topics are called by
	bytes   int64   // fetched
	records int64   // fetched
	odd     bool    // a partition of a Produce has something that is no batch

	fewTallies [2]tally
	fewNames   [96]byte
	lent       *tallies // by the session, for more of a Produce; nil: the few do
}

// tallies are lent to one exchange after the other, so that none allocates them anew.
type tallies struct{ all []tally }

// spareTallies is how many a session keeps at most while nobody has them: 2.5 KiB.
const spareTallies = 64

// room makes room for n batches in all.
func (u *Usage) room(s *Session, n int) {
	if n <= cap(u.batches) {
		return
	}
	if u.lent == nil {
		if u.lent = s.spare.Swap(nil); u.lent == nil {
			u.lent = &tallies{}
		}
	}
	if cap(u.lent.all) < n {
		u.lent.all = make([]tally, 0, n)
	}
	u.batches = append(u.lent.all[:0], u.batches...)
}

// Done gives back what the session has lent: nothing may be read of the Usage after it.
func (u *Usage) Done(s *Session) {
	if u.lent != nil && cap(u.lent.all) <= spareTallies {
		s.spare.Store(u.lent)
	}
	u.lent = nil
	u.restart()
}

// tally is a record batch of a Produce, or what is fetched of a topic.
type tally struct {
	at        int64  // max_timestamp; once it was appended, the offset of the first record
	partition uint64 // once it was appended, and is idempotent: metering's hash
	name      uint32 // where in names the topic's begins: virtual name or, in a request, id
	index     int32  // of the partition
	bytes     int32
	records   int32
	nameLen   uint16
	flags     tallyFlags
}

const tallyBytes = 40 // size of a tally

type tallyFlags uint8

const (
	tallyIdempotent tallyFlags = 1 << iota
	tallyTransactional
	tallyAppended
	tallyDuplicate
	tallyRefused // by the broker
)

// manyTallies is from how many on they are sorted before they are looked for.
const manyTallies = 32

// restart forgets everything.
func (u *Usage) restart() {
	u.batches, u.names, u.topics, u.sorted = u.fewTallies[:0], u.fewNames[:0], u.fewTallies[:0], nil // never both
	if u.lent != nil {
		u.batches = u.lent.all[:0]
	}
	u.settled, u.bytes, u.records, u.odd = 0, 0, 0, false
}

// held is how many bytes it keeps beyond the exchange itself.
func (u *Usage) held() int {
	if u == nil {
		return 0
	}
	n := 0
	if len(u.batches) > len(u.fewTallies) {
		n += (tallyBytes + 4) * len(u.batches)
	}
	if len(u.names) > len(u.fewNames) {
		n += len(u.names)
	}
	return n
}

// Produced is how many record batches were appended, or were forwarded and are not
// answered.
func (u *Usage) Produced() int { return u.settled }

// Batch is one of them, without its parts. topic is its virtual name, if there is a
// breakdown by topic; it must not be kept.
func (u *Usage) Batch(i int) (b metering.Batch, topic []byte) {
	t := &u.batches[i]
	return metering.Batch{
		Partition: t.partition, Offset: t.at, Bytes: int64(t.bytes), Records: int64(t.records),
		Idempotent:    t.flags&tallyIdempotent != 0 && t.flags&tallyAppended != 0,
		Transactional: t.flags&tallyTransactional != 0,
		Duplicate:     t.flags&tallyDuplicate != 0,
	}, u.nameOf(t)
}

// Fetched is what the answer to a fetch has in it: bytes of record batches, and records.
func (u *Usage) Fetched() (bytes, records int64) { return u.bytes, u.records }

// Topics is of how many topics that is, if there is a breakdown; a topic may come twice.
func (u *Usage) Topics() int { return len(u.topics) }

// Topic is one of them, by its virtual name, which must not be kept.
func (u *Usage) Topic(i int) (topic []byte, bytes, records int64) {
	t := &u.topics[i]
	return u.nameOf(t), int64(t.bytes), int64(t.records)
}

// duplicate reports whether the broker had a batch already. A duplicate's
// log_append_time_ms is the max_timestamp of the batch that was appended
// (UnifiedLog.append: BatchMetadata.timestamp), which is the same batch; a fresh one's
// is -1, or, in a topic with LogAppendTime, the broker's clock. That may by chance be
// the batch's own timestamp, so such topics are remembered.
func (c *Counting) duplicate(topic metering.TopicHash, appended, maxTimestamp int64) bool {
	place := &c.stamped[uint64(topic)%stampedTopics]
	known := place.Load() == uint64(topic)
	switch {
	case appended == -1:
		if known {
			place.CompareAndSwap(uint64(topic), 0)
		}
		return false
	case appended != maxTimestamp:
		if !known {
			place.Store(uint64(topic))
		}
		return false
	}
	return !known
}
