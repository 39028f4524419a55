package rewrite

// maxTopicIDs is how many topic ids one connection remembers, twice over: about
// 40 bytes each, and more topics than the largest instance may have.
const maxTopicIDs = 8192

// maxAsked is how many ids of one request the pool is asked about. Those beyond
// are answered as unknown, upon which clients ask again, and by then the first
// ones are known.
const maxAsked = 8192

// idMemory is topic ids that have been seen to be this instance's. That can
// never cease to be true: an id is never given to another topic, and a topic
// never changes hands. Ids that were found not to be are not remembered.
type idMemory struct {
	young, old map[topicID]struct{}
}

// ageIDs makes room at the start of Map, so that what Map finds out stays
// known until it returns.
func (s *Session) ageIDs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.topicIDs.young) >= maxTopicIDs {
		s.topicIDs = idMemory{old: s.topicIDs.young}
	}
}

// ownsID reports whether id is known to be a topic of this instance.
func (s *Session) ownsID(id topicID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.topicIDs.young[id]; ok {
		return true
	}
	if _, ok := s.topicIDs.old[id]; ok {
		s.topicIDs.add(id)
		return true
	}
	return false
}

// learnIDs asks the pool whose ids are, and reports whether any is this
// instance's: those ownsID knows from then on.
func (x *Exchange) learnIDs(ids []topicID) bool {
	if len(ids) == 0 {
		return false
	}
	own := x.ownTopics(ids)
	x.mu.Lock()
	defer x.mu.Unlock()
	for id := range own {
		x.topicIDs.add(id)
	}
	return len(own) > 0
}

func (o *idMemory) add(id topicID) {
	if o.young == nil {
		o.young = make(map[topicID]struct{})
	}
	o.young[id] = struct{}{}
}
