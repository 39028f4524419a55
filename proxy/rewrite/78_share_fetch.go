package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// ShareFetch (78) reads records for a member of a share group (KIP-932) and
// acknowledges earlier ones. v1-2, always flexible, topics by id; 2 says how
// records are acquired (KIP-1206) and renews locks (KIP-1222).
//
// Topics that may not be read (29 for one that the ACLs keep from the client, 100
// for an id that is not this instance's) are cut from the request, and their rows
// are put in front of the broker's. The request goes on even without topics: it takes
// the session to its next epoch (78_share_session.go).

// shareFetchMap is the walk over one ShareFetch request.
type shareFetchMap struct {
	passage
	x         *Exchange
	group     []byte // virtual, aliases the body; nil: null
	physical  string // group as it is forwarded
	member    []byte // aliases the body
	epoch     int32
	topics    int // in the request
	refused   int // of topics
	forgotten int
	dropped   int      // of forgotten
	verdict   verdicts // of the topics
	leaving   verdicts // of the forgotten ones, for which no right is needed
	rows      sink     // the answer's entries for refused topics
}

func mapShareFetch(x *Exchange, body []byte) (Plan, error) {
	rules := x.generation() // before anything is judged by them
	m := shareFetchMap{x: x, verdict: verdicts{op: x.needs.Topic}}
	code, err := m.measure(body)
	if err != nil {
		return Plan{}, x.malformed(err)
	}
	key := shareKey{string(m.group), string(m.member)}
	if code == 0 {
		code = x.enterShareSession(key, m.epoch, rules, m.verdict.unknown)
	}
	if code != 0 {
		return Plan{Answer: [][]byte{shareFetchFailure(code)}}, nil
	}
	m.walk(body, false)
	return Plan{
		Request: m.finish(),
		Held:    len(m.rows.b) + len(key.group) + len(key.member),
		Usage:   x.used(),
		Unmap:   x.unmapShareFetch(key, m.epoch, m.refused, m.rows.b),
	}, nil
}

// measure walks dry, and again if the pool knew ids that were new here. code is
// not 0 if the request is refused as a whole, as KafkaApis orders it.
func (m *shareFetchMap) measure(body []byte) (code int16, err error) {
	m.x.ageIDs()
	if err := m.dry(body); err != nil {
		return 0, err
	}
	if m.group == nil {
		return kerr.InvalidRequest.Code, nil
	}
	if m.physical, code = m.x.group(string(m.group), m.x.needs.Group); code != 0 {
		return code, nil
	}
	m.x.learnIDs(slices.Concat(m.verdict.unknown, m.leaving.unknown))
	return 0, m.dry(body) // in any case: the group's physical name takes room too
}

func (m *shareFetchMap) dry(body []byte) error {
	m.walk(body, true)
	return m.checked(m.rows.size + len(m.verdict.codes) + len(m.leaving.codes))
}

func (m *shareFetchMap) walk(body []byte, dry bool) {
	refused, dropped := m.refused, m.dropped
	m.start(body, true, dry)
	m.rows = m.rows.next(true, dry)
	m.refused, m.dropped = 0, 0

	in := &m.in
	at := in.at
	m.group = in.nullableStr()
	m.cut(at, in.at)
	m.fresh.str(m.physical, nil)
	m.member = in.nullableStr()
	m.epoch = in.int32()
	in.skip(20) // max_wait_ms, min_bytes, max_bytes, max_records, batch_size
	if m.x.Version >= 2 {
		in.skip(2) // share_acquire_mode, is_renew_ack
	}

	at = in.at
	m.topics = in.array(m.smallestTopic(true))
	m.recount(dry, at, m.topics, refused)
	m.verdict.start(m.topics, dry)
	for i := 0; i < m.topics && in.err == nil; i++ {
		m.topic()
	}
	at = in.at
	m.forgotten = in.array(m.smallestTopic(true))
	m.recount(dry, at, m.forgotten, dropped)
	m.leaving.start(m.forgotten, dry)
	for i := 0; i < m.forgotten && in.err == nil; i++ {
		m.forgottenTopic()
	}
	m.dropTags()
}

// recount replaces the count that began at byte at, if entries are left out.
func (m *shareFetchMap) recount(dry bool, at, n, without int) {
	if !dry && without > 0 {
		m.cut(at, m.in.at)
		m.fresh.count(n - without)
	}
}

func (m *shareFetchMap) topic() {
	at := m.in.at
	_, id := m.topicKey(true)
	code := m.verdict.mapTopic(m.x, &m.passage, at, nil, id)
	n := m.in.array(6)
	if code != 0 {
		m.refused++
		m.rows.topicKey(true, nil, id)
		m.rows.count(n)
	}
	for ; n > 0 && m.in.err == nil; n-- {
		m.partition(code)
	}
	if code == 0 {
		m.dropTags()
		return
	}
	m.rows.noTags()
	m.in.skipTags()
	m.cut(at, m.in.at)
}

// partition walks one partition with what it acknowledges; the tags of one that
// is cut anyway need no cut of their own.
func (m *shareFetchMap) partition(code int16) {
	in := &m.in
	tags := m.dropTags
	if code != 0 {
		tags = in.skipTags
	}
	partition := in.int32()
	batches := in.array(18)
	acknowledges := batches > 0
	for ; batches > 0 && in.err == nil; batches-- {
		in.skip(16)          // first_offset, last_offset
		in.skip(in.array(1)) // acknowledge_types: int8
		tags()
	}
	if code != 0 {
		m.rows.shareFetchPartition(partition, code, acknowledges, m.epoch == epochFinal)
	}
	tags()
}

// forgottenTopic walks a topic that leaves the session. One that cannot be in it
// is left out.
func (m *shareFetchMap) forgottenTopic() {
	at := m.in.at
	_, id := m.topicKey(true)
	code := m.leaving.mapTopic(m.x, &m.passage, at, nil, id)
	m.in.skip(4 * m.in.array(4))
	if code == 0 {
		m.dropTags()
		return
	}
	m.dropped++
	m.in.skipTags()
	m.cut(at, m.in.at)
}

// shareFetchPartition puts a partition of a response that failed with code. A
// request that closes its session only acknowledges.
func (s *sink) shareFetchPartition(partition int32, code int16, acknowledges, closes bool) {
	fetch, ack := code, int16(0)
	if acknowledges || closes {
		ack = code
	}
	if closes {
		fetch = 0
	}
	s.int32(partition)
	s.int16(fetch)
	s.nullableStr(nil) // error_message: KafkaApis gives none
	s.int16(ack)
	s.nullableStr(nil)
	s.int32(-1) // leader_id
	s.int32(-1) // leader_epoch
	s.noTags()
	s.count(0) // records: of no bytes
	s.count(0) // acquired_records
	s.noTags()
}

// shareFetchFailure is an answer that is nothing but its code, as Kafka's
// ShareFetchRequest.getErrorResponse makes it.
func shareFetchFailure(code int16) []byte {
	s := sink{flexible: true}
	s.int32(0) // throttle_time_ms
	s.int16(code)
	s.nullableStr(nil)
	s.int32(0) // acquisition_lock_timeout_ms
	s.count(0) // responses
	s.count(0) // node_endpoints
	s.noTags()
	return s.b
}
