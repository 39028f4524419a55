package rewrite

import (
	"errors"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Produce (0) appends record batches. v3-13: 8 error texts per record
// (KIP-467), 9 flexible, 10 current leader and its address (KIP-951), 13 topic
// ids in place of names (KIP-516). Records pass as slices of the client's body.
//
// Topics that may not be written are cut from the request and rejoin the answer
// at their place: 53 or 42 all of them if the transactional id may not be used or
// cannot be one, 44 all of them while the instance holds more than its storage, 29 for
// a topic that the ACLs keep from the client, 3 for a name that no topic may have, 100
// for an id that is not this instance's. Single partitions: 00_produce_large.go.

// produceMap is the walk over one Produce request.
type produceMap struct {
	passage
	x       *Exchange
	use     *Usage   // nil: nothing is counted
	topics  int      // in the request
	refused int      // of them
	acks    int16    // 0: nobody will answer
	code    int16    // not 0: refuses every topic
	verdict verdicts // of the topics
	rows    sink     // the answer's entries for refused topics
	rejoins []rejoin // not dry only

	most      int               // bytes that a record batch may have
	large     []largePartitions // those beyond, by the first dry walk; in order of slot
	replay    bool              // large is known, and nobody is asked again
	nextLarge int               // index in large
	partials  []partial         // not dry only
	texts     int               // refused partitions that may still have one
}

// rejoin is where in an answer the entry of a refused topic belongs.
type rejoin struct {
	slot int // index of the topic in the request
	row  []byte
}

const rejoinBytes = 32 // size of a rejoin

// maxTexts is how many refused partitions of one answer say why in words: a request
// may name many thousands.
const maxTexts = 100

func mapProduce(x *Exchange, body []byte) (Plan, error) {
	m := produceMap{x: x, use: x.used(), verdict: verdicts{op: x.needs.Topic}, most: math.MaxInt}
	if x.Limits != nil {
		m.limit(x.Limits)
	}
	if err := m.measure(body); err != nil {
		return Plan{}, x.malformed(err)
	}
	silent := m.acks == 0
	m.noteRefusals()
	if silent && (m.refused > 0 || m.code != 0 || len(m.large) > 0) {
		return Plan{}, &Error{Reason: ReasonUnanswerable, Err: errors.New("produce with acks=0 names a topic or transactional id, or has a record batch, that is refused: closing the connection is the only answer, as it is Kafka's")}
	}
	if silent && m.use != nil {
		m.use.sent(x)
	}
	if m.refused == 0 && m.code == 0 && m.fresh.size == 0 {
		return Plan{Request: [][]byte{body}, Silent: silent, Held: m.use.held(), Usage: m.use, Unmap: x.unmapProduce(nil, nil)}, nil
	}
	m.walk(body, false)
	if m.code != 0 || m.refused > 0 && m.refused == m.topics {
		return Plan{Answer: m.answer()}, nil
	}
	return Plan{Request: m.finish(), Silent: silent, Held: len(m.rows.b) + m.heldBytes() + m.use.held(), Usage: m.use, Unmap: x.unmapProduce(m.rejoins, m.partials)}, nil
}

// limit sets what the limits in force have to say.
func (m *produceMap) limit(limits Limits) {
	if most := limits.Bounds().MessageBytes; most > 0 {
		m.most = int(most)
	}
	if limits.Full() {
		m.code = kerr.PolicyViolation.Code
	}
}

// noteRefusals tells what limits have refused.
func (m *produceMap) noteRefusals() {
	if len(m.large) > 0 {
		m.x.Limits.Refused(tenancy.LimitMessageBytes, m.x.ClientID)
	}
	if m.code == kerr.PolicyViolation.Code {
		m.x.Limits.Refused(tenancy.LimitStorageBytes, m.x.ClientID)
	}
}

// measure walks dry, once more if the pool knew ids that were new here, and once
// more if record batches are too large.
func (m *produceMap) measure(body []byte) error {
	m.x.ageIDs()
	err := m.dry(body)
	if err == nil && m.x.learnIDs(m.verdict.unknown) {
		err = m.dry(body)
	}
	if err == nil && len(m.large) > 0 {
		m.replay, m.verdict.replay = true, true
		err = m.dry(body)
	}
	return err
}

func (m *produceMap) dry(body []byte) error {
	m.walk(body, true)
	return m.checked(m.rows.size + m.heldBytes() + len(m.verdict.codes) + m.use.held())
}

func (m *produceMap) walk(body []byte, dry bool) {
	refused := m.refused // by the dry walk before this one
	m.start(body, m.x.Version >= 9, dry)
	m.rows = m.rows.next(m.in.flexible, dry)
	m.topics, m.refused, m.nextLarge, m.texts = 0, 0, 0, maxTexts
	if dry && !m.replay {
		m.large = m.large[:0]
	}
	if dry && m.use != nil {
		m.use.restart()
	}
	if !dry && refused > 0 {
		m.rejoins = make([]rejoin, 0, refused)
	}

	in := &m.in
	m.transactionalID()
	m.acks = in.int16()
	in.skip(4) // timeout_ms
	at := in.at
	m.topics = in.array(m.smallestTopic(m.x.Version >= 13))
	if !dry && refused > 0 {
		m.cut(at, in.at)
		m.fresh.count(m.topics - refused)
	}
	m.verdict.start(m.topics, dry)
	for i := 0; i < m.topics && in.err == nil; i++ {
		m.topic(i)
	}
	m.dropTags()
}

// transactionalID maps the id. Null means idempotent at most and stays null;
// "" is nothing that Kafka would accept, but the prefix would make it so.
func (m *produceMap) transactionalID() {
	at := m.in.at
	id := m.in.nullableStr()
	if id == nil {
		return
	}
	if m.fresh.dry && !m.replay && !m.mayUse(id) {
		m.code = kerr.TransactionalIDAuthorizationFailed.Code
	}
	if m.code != kerr.TransactionalIDAuthorizationFailed.Code && (len(id) == 0 || len(m.x.Space.Prefix())+len(id) > math.MaxInt16) {
		m.code = kerr.InvalidRequest.Code
	}
	if m.code != 0 {
		return
	}
	m.mapName(m.x.Space, tenancy.KindTxn, at, id)
}

// mayUse reports whether the ACLs allow a transactional id. Kafka asks only where
// a batch is transactional; what is in a batch is not read here, and no producer
// names an id that it does not use.
func (m *produceMap) mayUse(id []byte) bool {
	return m.x.mayBytes(kmsg.ACLResourceTypeTransactionalId, id).Has(m.x.needs.Txn)
}

func (m *produceMap) topic(slot int) {
	at, code := m.in.at, m.code
	name, id := m.topicKey(m.x.Version >= 13)
	if code == 0 {
		code = m.verdict.next(m.x, &m.passage, name, id)
	}
	if m.replay && code == 0 {
		if large := m.largeOf(slot); large.n > 0 && large.n == large.of {
			code = kerr.MessageTooLarge.Code
		}
	}
	if code != 0 {
		m.refuse(slot, at, name, id, code)
		return
	}
	if name != nil && m.in.err == nil {
		m.mapName(m.x.Space, tenancy.KindTopic, at, name)
	}
	m.partitions(slot, name, id)
	m.dropTags()
}

// refuse cuts the topic that began at byte at, and puts what the answer says of it.
func (m *produceMap) refuse(slot, at int, name []byte, id topicID, code int16) {
	m.refused++
	in, rows, from := &m.in, &m.rows, len(m.rows.b)
	rows.topicKey(m.x.Version >= 13, name, id)
	n := in.array(6)
	rows.count(n)
	for ; n > 0 && in.err == nil; n-- {
		index := in.int32()
		size := in.records()
		rows.producePartition(m.x.Version, index, code, m.text(code, size))
		in.skipTags()
	}
	in.skipTags()
	rows.noTags()
	m.cut(at, in.at)
	if !m.fresh.dry {
		m.rejoins = append(m.rejoins, rejoin{slot: slot, row: rows.b[from:len(rows.b):len(rows.b)]})
	}
}

// text is what an answer says of a partition that a limit has refused; null for all
// other reasons, as Kafka does.
func (m *produceMap) text(code int16, size int) *string {
	if m.texts == 0 || m.x.Version < 8 {
		return nil
	}
	switch code {
	case kerr.PolicyViolation.Code:
		m.texts--
		return m.x.storageText()
	case kerr.MessageTooLarge.Code:
		m.texts--
		return batchText(size, m.most)
	}
	return nil
}

// producePartition puts a partition of a response that failed with code.
func (s *sink) producePartition(version int16, partition int32, code int16, text *string) {
	s.int32(partition)
	s.int16(code)
	s.int64(-1) // base_offset
	s.int64(-1) // log_append_time_ms
	if version >= 5 {
		s.int64(-1) // log_start_offset
	}
	if version >= 8 {
		s.count(0)          // record_errors
		s.nullableStr(text) // error_message
	}
	s.noTags()
}

// answer is the response to a request all of whose topics are refused.
func (m *produceMap) answer() [][]byte {
	head, tail := sink{flexible: m.in.flexible}, sink{flexible: m.in.flexible}
	head.count(m.topics)
	tail.int32(0) // throttle_time_ms
	tail.noTags()
	return [][]byte{head.b, m.rows.b, tail.b}
}
