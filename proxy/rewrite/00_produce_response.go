package rewrite

// produceUnmap is the walk over one Produce response.
type produceUnmap struct {
	passage
	x        *Exchange
	use      *Usage    // not dry only; nil: nothing is counted
	rejoins  []rejoin  // in order of slot
	partials []partial // in order of slot
}

// unmapProduce turns the broker's answer to what was forwarded into the
// client's, who asked for the topics in rejoins, and the partitions in partials, too.
func (x *Exchange) unmapProduce(rejoins []rejoin, partials []partial) func([]byte) ([][]byte, error) {
	return func(body []byte) ([][]byte, error) {
		m := produceUnmap{x: x, rejoins: rejoins, partials: partials}
		m.walk(body, true)
		rows := 0 // counted when they were made
		for _, r := range rejoins {
			rows += len(r.row)
		}
		for _, p := range partials {
			rows += len(p.row)
		}
		if err := m.checked(-rows); err != nil {
			return nil, x.badUpstream(err)
		}
		if m.use = x.used(); m.use != nil {
			defer m.use.settle(x)
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
	in, rejoins, partials := &m.in, m.rejoins, m.partials
	topics := in.array(m.smallestTopic(m.x.Version >= 13))
	orphans := m.orphans(topics)
	if len(rejoins) > 0 || len(orphans) > 0 {
		m.cut(0, in.at)
		m.fresh.count(topics + len(rejoins) + len(orphans))
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
		partials = m.topic(partials)
	}
	if len(orphans) > 0 {
		m.cut(in.at, in.at)
		for _, p := range orphans {
			m.fresh.raw(p.row)
		}
	}
	in.skip(4) // throttle_time_ms
	if m.x.Version >= 10 {
		m.endpoints(m.x)
	} else {
		m.keepTags()
	}
}

// topic walks one topic; partials are those that belong nowhere yet, and what is left
// of them is returned. The broker answers in an order of its own.
func (m *produceUnmap) topic(partials []partial) []partial {
	byID, in := m.x.Version >= 13, &m.in
	var own []partial
	if len(partials) > 0 {
		own, partials = matching(partials, m.peekKey(byID))
	}
	t := m.answered(m.unmapTopic(m.x, byID))
	at := in.at
	n := in.array(22)
	if len(own) > 0 {
		m.cut(at, in.at)
		more := 0
		for _, p := range own {
			more += p.n
		}
		m.fresh.count(n + more)
	}
	for ; n > 0 && in.err == nil; n-- {
		m.partition(&t)
	}
	if len(own) > 0 {
		m.cut(in.at, in.at)
		for _, p := range own {
			m.fresh.raw(p.rows)
		}
	}
	m.keepTags()
	return partials
}

// peekKey is the key of the topic that comes next, as the client knows it.
func (m *produceUnmap) peekKey(byID bool) []byte {
	at, key := m.in.at, sink{flexible: m.in.flexible}
	name, id := m.topicKey(byID)
	virtual, _ := virtualBytes(m.x.Space, name)
	key.topicKey(byID, virtual, id)
	if m.in.err == nil {
		m.in.at = at
	}
	return key.b
}

// orphans are partials of topics that the broker does not answer for, though it was
// asked: they become topics of their own.
func (m *produceUnmap) orphans(topics int) []partial {
	if len(m.partials) == 0 {
		return nil
	}
	left, ahead := m.partials, *m
	for ; topics > 0 && len(left) > 0 && ahead.in.err == nil; topics-- {
		_, left = matching(left, ahead.peekKey(m.x.Version >= 13))
		ahead.topicKey(m.x.Version >= 13)
		for n := ahead.in.array(22); n > 0 && ahead.in.err == nil; n-- {
			ahead.skipPartition()
		}
		ahead.in.skipTags()
	}
	return left
}

// skipPartition steps over a partition without a look at it.
func (m *produceUnmap) skipPartition() {
	in, version := &m.in, m.x.Version
	in.skip(4 + 2 + 16) // index, error_code, base_offset, log_append_time_ms
	if version >= 5 {
		in.skip(8) // log_start_offset
	}
	if version >= 8 {
		for n := in.array(5); n > 0 && in.err == nil; n-- {
			in.skip(4)
			in.nullableStr()
			in.skipTags()
		}
		in.nullableStr()
	}
	in.skipTags()
}

func (m *produceUnmap) partition(t *answeredTopic) {
	in, version := &m.in, m.x.Version
	index := in.int32()
	code := in.int16()
	offset, appended := in.int64(), in.int64() // base_offset, log_append_time_ms
	t.partition(index, code, offset, appended)
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
