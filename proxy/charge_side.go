package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"weir/quota"
	"weir/tenancy"
)

// leastAside is how many requests a second of those that keep something alive an
// instance always has, on each gateway.
const leastAside = 50

// side is an instance's side budget on this gateway: requests that keep a group, a
// transaction or a login alive pass whatever its limits say, as long as they alone
// are no more than a tenth of its requests_per_second, or leastAside. It holds a
// second's worth. Any goroutine.
type side struct {
	due atomic.Int64 // unix nanoseconds at which it is full again (GCRA)
	n   int          // connections that use it; sides.mu
}

// sidePiece is how large a request is that counts as one, in bytes: a commit of 8 MiB
// keeps nothing alive that a smaller one would not.
const sidePiece = 64 << 10

// take has one request of size bytes pass, or says that it must wait like any other.
func (s *side) take(now time.Time, scope *quota.Scope, size int) bool {
	limit, bounded := scope.AtOnce(quota.Requests)
	if !bounded {
		_, bounded = scope.AtOnce(quota.RequestTime) // they cost that too
	}
	return !bounded || s.pass(now, limit, 1+int64(size)/sidePiece)
}

// pass is take of n where limit is that of requests, in a second; 0: there is none.
func (s *side) pass(now time.Time, limit, n int64) bool {
	at := now.UnixNano()
	each := n * int64(time.Second) / max(limit/10, leastAside)
	for {
		is := s.due.Load()
		next := max(is, at) + each
		if next > at+int64(time.Second) {
			return false
		}
		if s.due.CompareAndSwap(is, next) {
			return true
		}
	}
}

// sides are the side budgets of the instances that have connections here.
type sides struct {
	mu  sync.Mutex
	all map[tenancy.InstanceID]*side
}

func (s *sides) enter(id tenancy.InstanceID) *side {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[tenancy.InstanceID]*side{}
	}
	b := s.all[id]
	if b == nil {
		b = &side{}
		s.all[id] = b
	}
	b.n++
	return b
}

func (s *sides) leave(id tenancy.InstanceID, b *side) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.n--; b.n == 0 {
		delete(s.all, id)
	}
}
