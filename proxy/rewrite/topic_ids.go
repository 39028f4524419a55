package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxTopicIDs is how many topic ids one connection remembers, twice over: about
// 60 bytes each and the name, and more topics than the largest instance may have.
const maxTopicIDs = 8192

// maxAsked is how many ids of one request the pool is asked about. Those beyond
// are answered as unknown, upon which clients ask again, and by then the first
// ones are known.
const maxAsked = 8192

// idMemory is topic ids that have been seen to be this instance's, with their
// virtual names, by which they are authorised. That can never cease to be true:
// an id is never given to another topic, and a topic is never renamed and never
// changes hands. Ids that were found not to be are not remembered.
type idMemory struct {
	young, old map[topicID]string
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
	_, ok := s.ownTopic(id)
	return ok
}

// ownTopic is the virtual name of an id that is known to be this instance's.
func (s *Session) ownTopic(id topicID) (virtual string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if virtual, ok = s.topicIDs.young[id]; ok {
		return virtual, true
	}
	if virtual, ok = s.topicIDs.old[id]; ok {
		s.topicIDs.add(id, virtual)
	}
	return virtual, ok
}

// topicByID checks an id for a request that needs op of its topic: 0, or
// UNKNOWN_TOPIC_ID if it is not known to be this instance's (whosever it is),
// or TOPIC_AUTHORIZATION_FAILED, since Kafka takes ids for no secret.
func (x *Exchange) topicByID(id topicID, op kmsg.ACLOperation) (code int16) {
	virtual, ok := x.ownTopic(id)
	switch {
	case !ok:
		return kerr.UnknownTopicID.Code
	case !x.allows(virtual, op):
		return kerr.TopicAuthorizationFailed.Code
	}
	return 0
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
	for id, virtual := range own {
		x.topicIDs.add(id, virtual)
	}
	return len(own) > 0
}

func (o *idMemory) add(id topicID, virtual string) {
	if o.young == nil {
		o.young = make(map[topicID]string)
	}
	o.young[id] = virtual
}
