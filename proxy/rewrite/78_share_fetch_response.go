package rewrite

// shareFetchUnmap is the walk over one ShareFetch response.
type shareFetchUnmap struct {
	passage
	x       *Exchange
	use     *Usage // dry only; nil: nothing is counted
	code    int16  // of the whole response
	refused int    // topics of the request that were not forwarded
	rows    []byte
}

// unmapShareFetch turns the broker's answer to what was forwarded within session
// key at epoch into the client's, who asked for as many refused topics too,
// whose entries are rows.
func (x *Exchange) unmapShareFetch(key shareKey, epoch int32, refused int, rows []byte) func([]byte) ([][]byte, error) {
	return func(body []byte) ([][]byte, error) {
		m := shareFetchUnmap{x: x, use: x.used(), refused: refused, rows: rows}
		m.walk(body, true)
		if err := m.checked(-len(rows)); err != nil {
			return nil, x.badUpstream(err)
		}
		x.leaveShareSession(key, epoch, m.code)
		if m.code != 0 && m.refused > 0 {
			m.refused, m.rows = 0, nil // Kafka fails as a whole, without rows
			m.walk(body, true)
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

func (m *shareFetchUnmap) walk(body []byte, dry bool) {
	m.start(body, true, dry)
	m.use = m.use.fetching(dry)
	in := &m.in
	in.skip(4) // throttle_time_ms
	m.code = in.int16()
	m.text(m.x, m.code)
	in.skip(4) // acquisition_lock_timeout_ms
	at := in.at
	n := in.array(m.smallestTopic(true))
	if m.refused > 0 {
		m.cut(at, in.at)
		m.fresh.count(n + m.refused)
		m.fresh.raw(m.rows)
	}
	for ; n > 0 && in.err == nil; n-- {
		m.use.topic(m.x, m.unmapTopic(m.x, true))
		for p := in.array(22); p > 0 && in.err == nil; p-- {
			m.partition()
		}
		m.keepTags()
	}
	m.plainEndpoints(m.x)
	m.keepTags()
}

func (m *shareFetchUnmap) partition() {
	in := &m.in
	in.skip(4) // partition
	m.text(m.x, in.int16())
	m.text(m.x, in.int16()) // of the acknowledgement
	in.skip(8)              // current_leader: id, epoch
	m.keepTags()
	m.use.fetched(in.before(in.records()))
	for n := in.array(19); n > 0 && in.err == nil; n-- {
		in.skip(18) // first_offset, last_offset, delivery_count
		m.keepTags()
	}
	m.keepTags()
}
