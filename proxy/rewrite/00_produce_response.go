package rewrite

// produceUnmap is the walk over one Produce response.
type produceUnmap struct {
	passage
	x       *Exchange
	rejoins []rejoin // in order of slot
}

// unmapProduce turns the broker's answer to what was forwarded into the
// client's, who asked for the topics in rejoins too.
func (x *Exchange) unmapProduce(rejoins []rejoin) func([]byte) ([][]byte, error) {
	return func(body []byte) ([][]byte, error) {
		m := produceUnmap{x: x, rejoins: rejoins}
		m.walk(body, true)
		rows := 0 // counted when they were made
		for _, r := range rejoins {
			rows += len(r.row)
		}
		if err := m.checked(-rows); err != nil {
			return nil, x.badUpstream(err)
		}
		m.walk(body, false)
		if m.in.err != nil {
			return nil, x.badUpstream(m.in.err)
		}
		return m.finish(), nil
	}
}

func (m *produceUnmap) walk(body []byte, dry bool) {
	m.start(body, m.x.Version >= 9, dry)
	in, rejoins := &m.in, m.rejoins
	topics := in.array(m.smallestTopic(m.x.Version >= 13))
	if len(rejoins) > 0 {
		m.cut(0, in.at)
		m.fresh.count(topics + len(rejoins))
	}
	for slot, total := 0, topics+len(rejoins); slot < total && in.err == nil; slot++ {
		// A broker that answers for fewer topics than it was asked for leaves
		// the refused ones to follow at the end.
		if len(rejoins) > 0 && (rejoins[0].slot == slot || total-slot == len(rejoins)) {
			m.cut(in.at, in.at)
			m.fresh.raw(rejoins[0].row)
			rejoins = rejoins[1:]
			continue
		}
		m.topic()
	}
	in.skip(4) // throttle_time_ms
	if m.x.Version >= 10 {
		m.endpoints(m.x)
	} else {
		m.keepTags()
	}
}

func (m *produceUnmap) topic() {
	m.unmapTopic(m.x, m.x.Version >= 13)
	for n := m.in.array(22); n > 0 && m.in.err == nil; n-- {
		m.partition()
	}
	m.keepTags()
}

func (m *produceUnmap) partition() {
	in, version := &m.in, m.x.Version
	in.skip(4) // index
	code := in.int16()
	in.skip(16) // base_offset, log_append_time_ms
	if version >= 5 {
		in.skip(8) // log_start_offset
	}
	if version >= 8 {
		for n := in.array(5); n > 0 && in.err == nil; n-- {
			in.skip(4) // batch_index
			m.text(m.x, code)
			m.keepTags()
		}
		m.text(m.x, code)
	}
	m.keepTags(8) // 0: current_leader {id i32, epoch i32}
}
