package rewrite

import "github.com/twmb/franz-go/pkg/kerr"

// fetchUnmap is the walk over one Fetch response.
type fetchUnmap struct {
	passage
	x       *Exchange
	use     *Usage // dry only; nil: nothing is counted
	code    int16  // of the whole response; 0 before v7
	session int32  // 0: none
	refused int
	rows    []byte
}

// unmapFetch turns the broker's answer to what was forwarded within session,
// and was judged by rules, into the client's, who asked for as many refused topics too, whose entries
// are rows.
func (x *Exchange) unmapFetch(session fetchSession, rules uint64, refused int, rows []byte) func([]byte) ([][]byte, error) {
	return func(body []byte) ([][]byte, error) {
		m := fetchUnmap{x: x, use: x.used(), refused: refused, rows: rows}
		m.walk(body, true)
		if err := m.checked(-len(rows)); err != nil {
			return nil, x.badUpstream(err)
		}
		switch {
		case session.epoch == epochInitial:
			x.issuedFetchSession(m.session, rules)
		case m.code == kerr.FetchSessionIDNotFound.Code:
			x.lostFetchSession(session.id)
		}
		if m.refused == 0 && m.fresh.size == 0 {
			return [][]byte{body}, nil
		}
		m.walk(body, false)
		if m.in.err != nil {
			return nil, x.badUpstream(m.in.err)
		}
		return m.finish(), nil
	}
}

func (m *fetchUnmap) walk(body []byte, dry bool) {
	version := m.x.Version
	m.start(body, version >= 12, dry)
	m.use = m.use.fetching(dry)
	in := &m.in
	in.skip(4) // throttle_time_ms
	if version >= 7 {
		m.code = in.int16()
		m.session = in.int32()
	}
	at := in.at
	n := in.array(m.smallestTopic(version >= 13))
	if m.refused > 0 {
		m.cut(at, in.at)
		m.fresh.count(n + m.refused)
		m.fresh.raw(m.rows)
	}
	for ; n > 0 && in.err == nil; n-- {
		m.topic()
	}
	if version >= 16 {
		m.endpoints(m.x)
	} else {
		m.keepTags()
	}
}

func (m *fetchUnmap) topic() {
	m.use.topic(m.x, m.unmapTopic(m.x, m.x.Version >= 13))
	for n := m.in.array(22); n > 0 && m.in.err == nil; n-- {
		m.partition()
	}
	m.keepTags()
}

func (m *fetchUnmap) partition() {
	in, version := &m.in, m.x.Version
	in.skip(22) // partition, error_code, high_watermark, last_stable_offset
	if version >= 5 {
		in.skip(8) // log_start_offset
	}
	aborted := in.nullableArray(16) // {producer_id i64, first_offset i64}
	if !in.flexible {
		in.skip(16 * aborted)
		aborted = 0
	}
	for ; aborted > 0 && in.err == nil; aborted-- {
		in.skip(16)
		m.keepTags()
	}
	if version >= 11 {
		in.skip(4) // preferred_read_replica
	}
	m.use.fetched(in.before(in.records()))
	// 0: diverging_epoch {epoch i32, end_offset i64}, 1: current_leader {id i32,
	// epoch i32}, 2: snapshot_id {end_offset i64, epoch i32}.
	m.keepTags(12, 8, 12)
}

// fetchPartition puts a partition of a response that failed with code.
func (s *sink) fetchPartition(version int16, partition int32, code int16) {
	s.int32(partition)
	s.int16(code)
	s.int64(-1) // high_watermark
	s.int64(-1) // last_stable_offset
	if version >= 5 {
		s.int64(-1) // log_start_offset
	}
	s.count(0) // aborted_transactions
	if version >= 11 {
		s.int32(-1) // preferred_read_replica
	}
	s.count(0) // records: of no bytes
	s.noTags()
}
