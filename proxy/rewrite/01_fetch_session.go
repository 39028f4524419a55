package rewrite

import "slices"

// Fetch sessions (KIP-227) are bearer tokens: brokers know them by a 31-bit id
// alone, so whoever guesses one reads or ends another's session. Here an id is
// good only on the connection on which the broker issued it, and only as long as
// the ACLs are those by which its partitions were judged.

// maxFetchSessions is how many sessions one connection keeps open on its
// broker, whose cache (max.incremental.fetch.session.cache.slots, 1000) all
// instances share. Clients hold one per connection; franz-go abandons its
// session without closing it when it resets.
const maxFetchSessions = 4

// Epochs of a full fetch; all others are incremental (Kafka's FetchMetadata).
const (
	epochInitial int32 = 0  // opens a session
	epochFinal   int32 = -1 // has none, or closes it
)

// fetchSession is a request's session as the client names it and as it is forwarded.
type fetchSession struct{ id, epoch int32 }

// issuedSession is a session that the broker opened on this connection, and the
// generation of the ACLs by which all its partitions were allowed.
type issuedSession struct {
	id    int32
	rules uint64
}

func (f fetchSession) full() bool { return f.epoch == epochInitial || f.epoch == epochFinal }

// ownsFetchSession reports whether the broker issued id on this connection, for
// partitions that were allowed by the rules in force.
func (s *Session) ownsFetchSession(id int32, rules uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.fetchSessions, issuedSession{id, rules})
}

// fullFetchSession is what a full fetch says upstream. An id that is not this
// connection's own becomes none, so that it cannot close another's session;
// one's own is closed by the broker and forgotten. Where a session would be one
// too many, or one is of other rules than are in force and so of no use, the
// oldest takes the place of none and so makes way for it.
func (s *Session) fullFetchSession(asked fetchSession, rules uint64) fetchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.fetchSessions, func(own issuedSession) bool { return own.id == asked.id })
	if i < 0 && asked.epoch == epochInitial {
		i = slices.IndexFunc(s.fetchSessions, func(own issuedSession) bool { return own.rules != rules })
		if i < 0 && len(s.fetchSessions) >= maxFetchSessions {
			i = 0
		}
	}
	if i < 0 {
		return fetchSession{epoch: asked.epoch}
	}
	id := s.fetchSessions[i].id
	s.fetchSessions = slices.Delete(s.fetchSessions, i, i+1)
	return fetchSession{id: id, epoch: asked.epoch}
}

// issuedFetchSession remembers an id before the client sees it.
func (s *Session) issuedFetchSession(id int32, rules uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 {
		return
	}
	s.fetchSessions = append(slices.DeleteFunc(s.fetchSessions, func(own issuedSession) bool { return own.id == id }), issuedSession{id, rules})
}

// lostFetchSession forgets an id that the broker no longer knows: it may issue
// it to somebody else now.
func (s *Session) lostFetchSession(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetchSessions = slices.DeleteFunc(s.fetchSessions, func(own issuedSession) bool { return own.id == id })
}
