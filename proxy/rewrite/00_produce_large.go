package rewrite

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Partitions of a Produce request whose record batch is larger than the instance's
// limit are cut from it and rejoin the answer with MESSAGE_TOO_LARGE, as those that
// are beyond a topic's max.message.bytes (UnifiedLog: RecordTooLargeException); the
// others are produced. A v2 batch is all that a partition has in one request
// (ProduceRequest.validateRecords), so its size is that of the records field.
//
// How many partitions of a topic go must be known before the topic is written, and
// is known only behind it. So the dry walk notes them and, only then, is repeated
// with what it has noted; without any, all that this costs is one comparison for
// each partition.

// largePartitions are those of one topic.
type largePartitions struct {
	slot int // index of the topic in the request
	n    int // too large
	of   int // all of the topic's
}

// partial is what the answer says of partitions that were cut from a topic of which
// others were forwarded. The bytes are its own.
type partial struct {
	row  []byte // a topic of the answer with these partitions alone
	key  []byte // in row: what the topic is called by
	rows []byte // in row: its partitions
	n    int    // of them
}

const partialBytes = 80 // size of a partial

// heldBytes is what the parts of an answer keep alive in addition to the rows.
func (m *produceMap) heldBytes() int {
	return rejoinBytes*m.refused + partialBytes*len(m.large)
}

// noteLarge takes down one partition; the topics come in order of their slots.
func (m *produceMap) noteLarge(slot, of int) {
	if n := len(m.large); n > 0 && m.large[n-1].slot == slot {
		m.large[n-1].n++
		return
	}
	m.large = append(m.large, largePartitions{slot: slot, n: 1, of: of})
}

// largeOf is what was noted of a topic, in walks that replay. Slots come in order.
func (m *produceMap) largeOf(slot int) (l largePartitions) {
	for m.nextLarge < len(m.large) && m.large[m.nextLarge].slot < slot {
		m.nextLarge++
	}
	if m.nextLarge < len(m.large) && m.large[m.nextLarge].slot == slot {
		return m.large[m.nextLarge]
	}
	return l
}

// partitions walks those of a topic that is forwarded.
func (m *produceMap) partitions(slot int, name []byte, id topicID) {
	if m.replay {
		if large := m.largeOf(slot); large.n > 0 {
			m.partOf(large.n, name, id)
			return
		}
	}
	in := &m.in
	n := in.array(6)
	t := m.tallied(name, id, n)
	for i := n; i > 0 && in.err == nil; i-- {
		index := in.int32()
		size := in.records()
		if size > m.most {
			m.noteLarge(slot, n)
		}
		t.forwarded(index, in, size)
		m.dropTags()
	}
}

// partOf walks those of a topic of which so many are cut.
func (m *produceMap) partOf(cut int, name []byte, id topicID) {
	in, at := &m.in, m.in.at
	n := in.array(6)
	m.cut(at, in.at)
	m.fresh.count(n - cut)
	p := m.beginPartial(name, id, cut)
	t := m.tallied(name, id, n-cut)
	from := len(m.rows.b)
	for ; n > 0 && in.err == nil; n-- {
		begin := in.at
		index := in.int32()
		size := in.records()
		if size <= m.most {
			t.forwarded(index, in, size)
			m.dropTags()
			continue
		}
		in.skipTags()
		m.cut(begin, in.at)
		m.rows.producePartition(m.x.Version, index, kerr.MessageTooLarge.Code, m.text(kerr.MessageTooLarge.Code, size))
	}
	m.endPartial(p, from)
}

// beginPartial puts the head of a partial's row. n partitions are to follow.
func (m *produceMap) beginPartial(name []byte, id topicID, n int) partial {
	rows, from := &m.rows, len(m.rows.b)
	rows.topicKey(m.x.Version >= 13, name, id)
	key := rows.b[from:]
	rows.count(n)
	return partial{row: rows.b[from:], key: key, n: n}
}

// endPartial puts its end; its partitions are what follows byte from.
func (m *produceMap) endPartial(p partial, from int) {
	to := len(m.rows.b)
	m.rows.noTags()
	if m.fresh.dry {
		return
	}
	// rows.b may have grown elsewhere since, and what was there then is never written again.
	head := len(p.row)
	begin, end := from-head, len(m.rows.b)
	p.row = m.rows.b[begin:end:end]
	p.key, p.rows = p.row[:len(p.key):len(p.key)], p.row[head:to-begin:to-begin]
	m.partials = append(m.partials, p)
}

// matching takes those partials that are of the topic with that key out of ps.
func matching(ps []partial, key []byte) (of, others []partial) {
	for _, p := range ps {
		if bytes.Equal(p.key, key) {
			of = append(of, p)
		} else {
			others = append(others, p)
		}
	}
	return of, others
}
