package rewrite

import (
	"math/bits"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Share sessions (KIP-932). A broker knows one by group and member alone
// (Kafka's SharePartitionManager, ShareSessionKey) and ends it with the
// connection that opened it. The group's prefix keeps instances apart. What is
// in a session was checked when it was put there, by the rights of whoever did:
// so a session goes on only on the connection that opened it, and only while no
// ACL has changed. Everywhere else it is answered SHARE_SESSION_NOT_FOUND, upon
// which clients open it anew with all that they want, and that is checked.
//
// A session is lost to the broker whenever its connection is: package proxy
// keeps that of an idle client (HoldsShares). Should it go all the same, the
// broker gives back the records that the member had acquired, as it does when
// the client itself is gone, and says SHARE_SESSION_NOT_FOUND.

// maxShareSessions is how many sessions one connection has open: clients have
// one. A broker holds 2,000 in all (group.share.max.share.sessions) and tells
// the next one SHARE_SESSION_LIMIT_REACHED, whosever it is.
const maxShareSessions = 16

// maxShareUnknown is how many of a session's refused ids are kept in mind, to look
// for them again; 16 bytes each.
const maxShareUnknown = 256

// shareKey names a share session: the virtual group and the member.
type shareKey struct{ group, member string }

// shareSession is a session that this connection opened.
type shareSession struct {
	rules   uint64    // the generation of the ACLs by which it was opened
	unknown []topicID // what its requests named that was nobody's then
}

// enterShareSession is called for a ShareFetch that may go on; unknown are the
// ids in it that are not this instance's. code is not 0 if it must not.
func (x *Exchange) enterShareSession(key shareKey, epoch int32, rules uint64, unknown []topicID) (code int16) {
	if epoch == epochInitial {
		return x.openShareSession(key, shareSession{rules, firstUnknown(unknown)})
	}
	s, ok := x.shareSession(key)
	if !ok {
		return kerr.ShareSessionNotFound.Code
	}
	if epoch == epochFinal {
		return 0
	}
	if s.rules != rules || x.turnedUp(s.unknown, epoch) {
		x.closeShareSession(key)
		return kerr.ShareSessionNotFound.Code
	}
	if len(unknown) > 0 {
		s.unknown = firstUnknown(append(s.unknown, unknown...))
		_ = x.openShareSession(key, s)
	}
	return 0
}

func firstUnknown(ids []topicID) []topicID {
	return slices.Clone(ids[:min(len(ids), maxShareUnknown)])
}

// turnedUp reports whether a topic that was refused as unknown is this
// instance's after all: a client does not ask for it again within its session.
// The pool is asked ever more rarely, at epochs 1, 2, 4, 8 and so on.
func (x *Exchange) turnedUp(unknown []topicID, epoch int32) bool {
	if len(unknown) > 0 && bits.OnesCount32(uint32(epoch)) == 1 && x.learnIDs(unknown) {
		return true
	}
	return slices.ContainsFunc(unknown, x.ownsID)
}

// leaveShareSession is called with the top-level code of the broker's answer to
// a request of that session.
func (s *Session) leaveShareSession(key shareKey, epoch int32, code int16) {
	lost := code == kerr.ShareSessionNotFound.Code || code == kerr.InvalidShareSessionEpoch.Code
	if lost || epoch == epochFinal || epoch == epochInitial && code != 0 {
		s.closeShareSession(key)
	}
}

func (s *Session) shareSession(key shareKey) (shareSession, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.shareSessions[key]
	return found, ok
}

func (s *Session) openShareSession(key shareKey, opened shareSession) (code int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.shareSessions[key]; !again && len(s.shareSessions) >= maxShareSessions {
		return kerr.ShareSessionLimitReached.Code
	}
	if s.shareSessions == nil {
		s.shareSessions = map[shareKey]shareSession{}
	}
	s.shareSessions[key] = opened
	return 0
}

func (s *Session) closeShareSession(key shareKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shareSessions, key)
}

// HoldsShares says whether a broker may keep records for this client for as long
// as the client's broker connection stays open. Any goroutine.
func (s *Session) HoldsShares() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shareSessions) > 0
}
