package rewrite

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/metering"
	"weir/tenancy"
)

// used is the exchange's Usage; nil if nothing is counted.
func (x *Exchange) used() *Usage {
	if x.Counting == nil {
		return nil
	}
	return &x.use
}

// topicTally notes the partitions of a topic of a Produce request; nil: not.
type topicTally struct {
	use     *Usage
	name    uint32
	nameLen int
}

// tallied begins the tally of a topic of n partitions. The dry walks do it: the last of
// them knows what is refused.
func (m *produceMap) tallied(name []byte, id topicID, n int) topicTally {
	if m.use == nil || !m.fresh.dry || m.in.err != nil {
		return topicTally{}
	}
	if name == nil {
		name = id[:]
	}
	// Nothing shorter than a header is a batch, so this is what there may be at most.
	most := min(n, m.in.left()/batchHeader)
	m.use.room(m.x.Session, len(m.use.batches)+most)
	return topicTally{m.use, m.use.call(name), len(name)}
}

// forwarded notes a partition, of which in has just read the records.
func (t topicTally) forwarded(partition int32, in *cursor, size int) {
	if t.use != nil {
		t.use.forwarded(t.name, t.nameLen, partition, in.before(size))
	}
}

// call notes what a topic is called by, and returns where.
func (u *Usage) call(name []byte) uint32 {
	at := len(u.names)
	u.names = append(u.names, name...)
	return uint32(at)
}

func (u *Usage) nameOf(t *tally) []byte { return u.names[t.name : t.name+uint32(t.nameLen)] }

// forwarded notes the batch of a partition.
func (u *Usage) forwarded(name uint32, nameLen int, partition int32, records []byte) {
	b, ok := producedBatch(records)
	if !ok {
		u.odd = true
		return
	}
	t := tally{at: b.maxTimestamp(), name: name, nameLen: uint16(nameLen), index: partition, bytes: int32(len(b)), records: b.records()}
	if b.idempotent() {
		t.flags |= tallyIdempotent
	}
	if b.transactional() {
		t.flags |= tallyTransactional
	}
	u.batches = append(u.batches, t)
}

// find is the batch of a partition that has no answer yet, the last one if a request
// names the partition more than once: that is the one which brokers append, since they
// put a request's partitions into a map (KafkaApis.handleProduceRequest).
func (u *Usage) find(name []byte, partition int32) *tally {
	if len(u.batches) > manyTallies {
		for i := u.behind(name, partition) - 1; i >= 0 && u.order(u.sorted[i], name, partition) == 0; i-- {
			if t := &u.batches[u.sorted[i]]; !t.answered() {
				return t
			}
		}
		return nil
	}
	for i := len(u.batches) - 1; i >= 0; i-- {
		if t := &u.batches[i]; t.index == partition && !t.answered() && bytes.Equal(u.nameOf(t), name) {
			return t
		}
	}
	return nil
}

func (t *tally) answered() bool { return t.flags&(tallyAppended|tallyRefused) != 0 }

// behind is the first place in sorted behind the batches of a partition.
func (u *Usage) behind(name []byte, partition int32) int {
	if u.sorted == nil {
		u.sorted = make([]int32, len(u.batches))
		for i := range u.sorted {
			u.sorted[i] = int32(i)
		}
		slices.SortFunc(u.sorted, func(i, j int32) int {
			if order := u.order(i, u.nameOf(&u.batches[j]), u.batches[j].index); order != 0 {
				return order
			}
			return int(i - j)
		})
	}
	behind, _ := slices.BinarySearchFunc(u.sorted, name, func(i int32, name []byte) int {
		if u.order(i, name, partition) <= 0 {
			return -1
		}
		return 1
	})
	return behind
}

// unseen settles what a refusal may hide. A broker looks at the form of each partition
// of a request by itself, appends those that pass, and answers for a partition that is
// named twice with the refusal of the one (KafkaApis.handleProduceRequest merges
// its invalidRequestResponses last): a client that names each partition once more, with
// something that is no batch, would produce for nothing. No client that means well
// names one twice, or sends what is no batch: of one that does, all that was forwarded
// of the partition counts. t is the last batch of it.
func (u *Usage) unseen(t *tally, code int16) {
	if code != kerr.InvalidRecord.Code && code != kerr.UnsupportedCompressionType.Code {
		return
	}
	name := u.nameOf(t)
	if len(u.batches) > manyTallies {
		for i := u.behind(name, t.index) - 1; i >= 0 && u.order(u.sorted[i], name, t.index) == 0; i-- {
			u.batches[u.sorted[i]].appendedUnseen(u.odd)
		}
		return
	}
	for i := range u.batches {
		if o := &u.batches[i]; o.index == t.index && bytes.Equal(u.nameOf(o), name) {
			o.appendedUnseen(u.odd)
		}
	}
}

// appendedUnseen is of a batch of which no answer says where it is, unless it is the one
// that was refused, and nothing else can have been.
func (t *tally) appendedUnseen(odd bool) {
	if odd || t.flags&tallyRefused == 0 {
		t.at, t.flags = 0, t.flags&tallyTransactional|tallyAppended
	}
}

func (u *Usage) order(i int32, name []byte, partition int32) int {
	t := &u.batches[i]
	if t.index != partition {
		return int(t.index) - int(partition)
	}
	return bytes.Compare(u.nameOf(t), name)
}

// answeredTopic is a topic of the answer to a Produce.
type answeredTopic struct {
	x    *Exchange
	use  *Usage // nil: nothing is counted
	key  []byte // id or virtual name
	hash metering.TopicHash
}

// answered begins a topic whose key is as unmapTopic has returned it.
func (m *produceUnmap) answered(key []byte) answeredTopic {
	return answeredTopic{x: m.x, use: m.use, key: key}
}

// partition takes what the broker says of a partition: whatever has no error was
// appended, now or before; and some that has one.
func (a *answeredTopic) partition(index int32, code int16, offset, appended int64) {
	if a.use == nil {
		return
	}
	t := a.use.find(a.key, index)
	if t == nil {
		return
	}
	if code != 0 && (offset < 0 || !appendedCode(code)) {
		t.flags |= tallyRefused
		a.use.unseen(t, code)
		return
	}
	if t.flags&tallyIdempotent != 0 {
		if a.hash == 0 {
			a.hash = a.x.keyHash(a.key)
		}
		if a.x.Counting.duplicate(a.hash, appended, t.at) {
			t.flags |= tallyDuplicate
		}
		t.partition = a.hash.Partition(index)
	}
	t.flags |= tallyAppended
	t.at = offset
}

// appendedCode reports whether a broker answers so for what its leader has appended,
// with its offset, and only the replicas have not in time (DelayedProduce). Who asks
// for all of them and waits for none (timeout_ms 0) always gets the first.
func appendedCode(code int16) bool {
	return code == kerr.RequestTimedOut.Code || code == kerr.NotEnoughReplicasAfterAppend.Code
}

// settle keeps what was appended.
func (u *Usage) settle(x *Exchange) {
	u.batches = slices.DeleteFunc(u.batches, func(t tally) bool { return t.flags&tallyAppended == 0 })
	u.sent(x)
}

// sent keeps what there is: nobody will say more of it.
func (u *Usage) sent(x *Exchange) {
	u.settled = len(u.batches)
	if !x.Counting.byTopic || x.Version < 13 {
		return
	}
	for i := range u.batches {
		t := &u.batches[i]
		virtual, _ := x.ownTopic(topicID(u.nameOf(t)))
		t.name, t.nameLen = u.call([]byte(virtual)), uint16(len(virtual))
	}
}

// keyHash is metering's of a topic of this instance, by its id or virtual name.
func (x *Exchange) keyHash(key []byte) metering.TopicHash {
	if x.Version < 13 {
		return topicHash(x.Session, key)
	}
	virtual, _ := x.ownTopic(topicID(key))
	return topicHash(x.Session, virtual)
}

func topicHash[S []byte | string](s *Session, virtual S) metering.TopicHash {
	if s.Space.Aliases() != nil {
		return metering.HashTopic(s.Space.Physical(tenancy.KindTopic, string(virtual)))
	}
	begin := metering.TopicHash(s.prefixHash.Load())
	if begin == 0 {
		begin = metering.HashTopic(s.Space.Prefix())
		s.prefixHash.Store(uint64(begin))
	}
	return metering.HashMore(begin, virtual)
}

// fetching begins a walk over the answer to a fetch. Only dry ones count: there is
// always one, and the last is right.
func (u *Usage) fetching(dry bool) *Usage {
	if u == nil || !dry {
		return nil
	}
	u.restart()
	return u
}

// topic begins a topic of the answer to a fetch, by its id or virtual name.
func (u *Usage) topic(x *Exchange, key []byte) {
	if u == nil || !x.Counting.byTopic || key == nil {
		return
	}
	if kmsg.Key(x.Key) == kmsg.ShareFetch || x.Version >= 13 {
		virtual, _ := x.ownTopic(topicID(key))
		key = []byte(virtual)
	}
	u.topics = append(u.topics, tally{name: u.call(key), nameLen: uint16(len(key))})
}

// fetched counts a records field of the topic that was begun last.
func (u *Usage) fetched(records []byte) {
	if u == nil || len(records) == 0 {
		return
	}
	n := fetchedRecords(records)
	u.bytes += int64(len(records))
	u.records += n
	if len(u.topics) > 0 {
		t := &u.topics[len(u.topics)-1]
		t.bytes, t.records = t.bytes+int32(len(records)), t.records+int32(n)
	}
}
