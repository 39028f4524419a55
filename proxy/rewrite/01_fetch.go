package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Fetch (1) reads records. v4-18: 7 sessions (KIP-227), 11 rack (KIP-392), 12
// flexible, 13 topic ids (KIP-516), 15 replica id moves to a tag (KIP-903), 16
// addresses of new leaders (KIP-951).
//
// Topics that may not be read (29 for one that the ACLs keep from the client, 3
// for a name that no topic may have, 100 for an id that is not this instance's)
// are cut from the request and answered first: Java refuses a full response that
// omits a partition. Such a request goes out without a session, whose partitions
// nobody here keeps track of; within a session it is answered 70, upon which
// clients fetch in full. So is every request within a session that was opened
// under other ACLs than are in force: the full fetch is checked again as a whole.

// fetchMap is the walk over one Fetch request.
type fetchMap struct {
	passage
	x       *Exchange
	session fetchSession // as asked for; -1 before v7
	upward  fetchSession // as forwarded; not dry only
	replica bool         // claims to be a broker (protocol.md 2.4)
	code    int16        // not 0: refuses every topic
	counts  fetchCounts
	verdict verdicts // of the topics
	leaving verdicts // of the forgotten ones, for which no right is needed
	rows    sink     // the answer's entries for refused topics
}

// fetchCounts are what a walk found.
type fetchCounts struct{ topics, refused, forgotten, dropped int }

func mapFetch(x *Exchange, body []byte) (Plan, error) {
	m := fetchMap{x: x, verdict: verdicts{op: x.needs.Topic}}
	rules := x.generation() // before anything is judged by them
	if err := m.measure(body); err != nil {
		return Plan{}, x.malformed(err)
	}
	refused := m.code != 0 || m.counts.refused > 0
	if !m.session.full() && (refused || !x.ownsFetchSession(m.session.id, rules)) {
		return Plan{Answer: m.answer(kerr.FetchSessionIDNotFound.Code, 0)}, nil
	}
	if m.code != 0 || refused && m.counts.refused == m.counts.topics {
		m.walk(body, false)
		return Plan{Answer: m.answer(0, m.counts.topics)}, nil
	}
	m.upward = m.session
	if m.session.full() && x.Version >= 7 {
		asked := m.session
		if refused {
			asked.epoch = epochFinal
		}
		m.upward = x.fullFetchSession(asked, rules)
	}
	if !refused && m.fresh.size == 0 && m.upward == m.session {
		return Plan{Request: [][]byte{body}, Usage: x.used(), Unmap: x.unmapFetch(m.upward, rules, 0, nil)}, nil
	}
	m.walk(body, false)
	return Plan{Request: m.finish(), Held: len(m.rows.b), Usage: x.used(), Unmap: x.unmapFetch(m.upward, rules, m.counts.refused, m.rows.b)}, nil
}

// measure walks dry, and again if the pool knew ids that were new here, or if
// the end of the request tells that all of it is refused.
func (m *fetchMap) measure(body []byte) error {
	m.x.ageIDs()
	err := m.dry(body)
	if err == nil && m.x.learnIDs(slices.Concat(m.verdict.unknown, m.leaving.unknown)) {
		err = m.dry(body)
	}
	if err == nil && m.replica {
		m.code = kerr.TopicAuthorizationFailed.Code
		err = m.dry(body)
	}
	return err
}

func (m *fetchMap) dry(body []byte) error {
	m.walk(body, true)
	return m.checked(m.rows.size + len(m.verdict.codes) + len(m.leaving.codes))
}

func (m *fetchMap) walk(body []byte, dry bool) {
	before, version := m.counts, m.x.Version
	m.start(body, version >= 12, dry)
	m.rows = m.rows.next(m.in.flexible, dry)
	m.counts = fetchCounts{}

	in := &m.in
	if version <= 14 {
		m.replica = in.int32() != -1
	}
	in.skip(13) // max_wait_ms, min_bytes, max_bytes, isolation_level
	m.sessionFields(dry)

	at := in.at
	m.counts.topics = in.array(m.smallestTopic(version >= 13))
	m.recount(dry, at, m.counts.topics, before.refused)
	m.verdict.start(m.counts.topics, dry)
	for i := 0; i < m.counts.topics && in.err == nil; i++ {
		m.topic()
	}
	if version >= 7 {
		at = in.at
		m.counts.forgotten = in.array(m.smallestTopic(version >= 13))
		m.recount(dry, at, m.counts.forgotten, before.dropped)
		m.leaving.start(m.counts.forgotten, dry)
		for i := 0; i < m.counts.forgotten && in.err == nil; i++ {
			m.forgottenTopic()
		}
	}
	if version >= 11 {
		in.str() // rack_id
	}
	m.tail()
}

func (m *fetchMap) sessionFields(dry bool) {
	m.session = fetchSession{epoch: epochFinal}
	if m.x.Version < 7 {
		return
	}
	at := m.in.at
	m.session = fetchSession{id: m.in.int32(), epoch: m.in.int32()}
	if !dry && m.upward != m.session {
		m.cut(at, m.in.at)
		m.fresh.int32(m.upward.id)
		m.fresh.int32(m.upward.epoch)
	}
}

// recount replaces the count that began at byte at, if entries are left out.
func (m *fetchMap) recount(dry bool, at, n, without int) {
	if !dry && without > 0 {
		m.cut(at, m.in.at)
		m.fresh.count(n - without)
	}
}

func (m *fetchMap) topic() {
	at, code := m.in.at, m.code
	name, id := m.topicKey(m.x.Version >= 13)
	if code == 0 {
		code = m.verdict.mapTopic(m.x, &m.passage, at, name, id)
	}
	size := m.partitionSize()
	n := m.in.array(size)
	if code != 0 {
		m.counts.refused++
		m.rows.topicKey(m.x.Version >= 13, name, id)
		m.rows.count(n)
	}
	for ; n > 0 && m.in.err == nil; n-- {
		partition := m.in.int32()
		m.in.skip(size - 4)
		if code == 0 {
			m.dropTags()
			continue
		}
		m.rows.fetchPartition(m.x.Version, partition, code)
		m.in.skipTags()
	}
	if code == 0 {
		m.dropTags()
		return
	}
	m.rows.noTags()
	m.in.skipTags()
	m.cut(at, m.in.at)
}

// partitionSize is how many bytes a partition takes without its tags.
func (m *fetchMap) partitionSize() int {
	size := 16 // partition, fetch_offset, partition_max_bytes
	if m.x.Version >= 5 {
		size += 8 // log_start_offset
	}
	if m.x.Version >= 9 {
		size += 4 // current_leader_epoch
	}
	if m.x.Version >= 12 {
		size += 4 // last_fetched_epoch
	}
	return size
}

// forgottenTopic maps a topic that leaves the session. One that cannot be in
// it is left out.
func (m *fetchMap) forgottenTopic() {
	at := m.in.at
	name, id := m.topicKey(m.x.Version >= 13)
	code := m.leaving.mapTopic(m.x, &m.passage, at, name, id)
	m.in.skip(4 * m.in.array(4))
	if code == 0 {
		m.dropTags()
		return
	}
	m.counts.dropped++
	m.in.skipTags()
	m.cut(at, m.in.at)
}

// tail walks the last tagged fields and empties them: 0, cluster_id, is the
// virtual one; 1, replica_state {id i32, epoch i64}, is a broker's.
func (m *fetchMap) tail() {
	at := m.in.at
	n := m.in.tags()
	if n == 0 {
		return
	}
	for ; n > 0 && m.in.err == nil; n-- {
		id, payload := m.in.tag()
		if id == 1 && m.x.Version >= 15 {
			state := cursor{body: payload, flexible: true}
			m.replica = m.replica || state.int32() != -1
			state.skip(8) // epoch
			if state.err != nil {
				m.in.fail("replica_state: %w", state.err)
			}
		}
	}
	m.cut(at, m.in.at)
	m.fresh.uvarint(0)
}

// answer is a response of the gateway's own, with the rows of refused topics.
func (m *fetchMap) answer(code int16, topics int) [][]byte {
	head, tail := sink{flexible: m.in.flexible}, sink{flexible: m.in.flexible}
	head.int32(0) // throttle_time_ms
	if m.x.Version >= 7 {
		head.int16(code)
		head.int32(0) // session_id
	}
	head.count(topics)
	tail.noTags()
	if topics == 0 {
		return [][]byte{append(head.b, tail.b...)}
	}
	return [][]byte{head.b, m.rows.b, tail.b}
}
