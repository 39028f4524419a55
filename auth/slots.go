package auth

import (
	"sync"
	"time"

	"weir/tenancy"
)

// patience is how long a login waits for a slot: well within the 10 s that a
// handshake may take in all.
const patience = 3 * time.Second

// slots bounds how many passwords, or signatures of tokens, are checked at once, and
// how many of those for one instance. Waiters queue for their instance first and, in
// order of arrival, for a processor then; so an instance never has more waiters in
// the common queue than its own bound, and a flood on one instance delays a login at
// another by a few checks at most. All unknown instances together count as one. Any
// goroutine.
type slots struct {
	perInstance int           // immutable
	patience    time.Duration // immutable; how long acquire waits in all

	common chan struct{} // holds a token per running check

	mu        sync.Mutex
	instances map[tenancy.InstanceID]*share // those with a check running or waiting
}

// share is one instance's part of the slots.
type share struct {
	tokens chan struct{}
	users  int // guarded by slots.mu
}

// newSlots returns n slots, half of them (at least one) for any one instance.
func newSlots(n int, patience time.Duration) *slots {
	return &slots{
		perInstance: max(1, n/2),
		patience:    patience,
		common:      make(chan struct{}, n),
		instances:   make(map[tenancy.InstanceID]*share),
	}
}

// acquire waits for a slot; ok is false if there was none in time. Call release after use.
func (s *slots) acquire(id tenancy.InstanceID) (release func(), ok bool) {
	sh := s.join(id)
	timeout := time.NewTimer(s.patience)
	defer timeout.Stop()
	select {
	case sh.tokens <- struct{}{}:
	case <-timeout.C:
		s.leave(id, sh)
		return nil, false
	}
	select {
	case s.common <- struct{}{}:
	case <-timeout.C:
		<-sh.tokens
		s.leave(id, sh)
		return nil, false
	}
	return func() {
		<-s.common
		<-sh.tokens
		s.leave(id, sh)
	}, true
}

func (s *slots) join(id tenancy.InstanceID) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, ok := s.instances[id]
	if !ok {
		sh = &share{tokens: make(chan struct{}, s.perInstance)}
		s.instances[id] = sh
	}
	sh.users++
	return sh
}

func (s *slots) leave(id tenancy.InstanceID, sh *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.users--; sh.users == 0 {
		delete(s.instances, id)
	}
}
