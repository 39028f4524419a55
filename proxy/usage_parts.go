package proxy

import (
	"sync"
	"time"

	"weir/metering"
	"weir/proxy/rewrite"
	"weir/tenancy"
)

// Breakdown says by what else than the instance use is counted.
type Breakdown struct {
	User, Topic bool
	// Most is how many users, and how many topics, of an instance have a count of
	// their own here in an hour; the others share one. 100 if zero.
	Most int
}

const defaultMost = 100

// usages opens accounts for sessions. A nil one counts nothing. Any goroutine.
type usages struct {
	book      *metering.Book
	breakdown Breakdown
	tallies   *rewrite.Counting

	mu      sync.Mutex
	all     map[metering.Of]*portions // of instances with sessions, if there is a breakdown
	hour    metering.Hour             // of the last tidy
	leaving []*metering.Account       // to be closed an hour later: somebody may be counting on them
}

// newUsages returns nil without a book in cfg.
func newUsages(cfg Config) *usages {
	if cfg.Usage == nil {
		return nil
	}
	b := cfg.Breakdown
	if b.Most == 0 {
		b.Most = defaultMost
	}
	return &usages{book: cfg.Usage, breakdown: b, tallies: rewrite.NewCounting(b.Topic), all: map[metering.Of]*portions{}}
}

func (s *usages) counting() *rewrite.Counting {
	if s == nil {
		return nil
	}
	return s.tallies
}

// ofView is whose use an instance's is.
func ofView(v *tenancy.View, pool string) metering.Of {
	return metering.Of{Instance: v.Instance.ID, Tenant: v.Instance.Tenant, Plan: v.Instance.Plan, Pool: pool}
}

// open opens what a session counts on; nil if nothing is counted.
func (s *usages) open(v *tenancy.View, pool, user string) *use {
	if s == nil {
		return nil
	}
	of := ofView(v, pool)
	u := &use{of: of, whole: s.book.Open(of)}
	if !s.breakdown.User && !s.breakdown.Topic {
		return u
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u.parts = s.all[of]
	if u.parts == nil {
		u.parts = &portions{users: s.partsOf(of, "user"), topics: s.partsOf(of, "topic"), byTopic: s.breakdown.Topic}
		s.all[of] = u.parts
	}
	u.parts.sessions++
	if s.breakdown.User {
		u.user = u.parts.users.enter(user)
	}
	return u
}

// close gives it back; nil is none.
func (s *usages) close(u *use) {
	if u == nil {
		return
	}
	if u.parts != nil {
		s.mu.Lock()
		u.parts.sessions--
		s.mu.Unlock()
		if u.user != nil {
			u.parts.users.leave(u.user)
		}
	}
	s.book.Close(u.whole)
}

// attempt counts a connection that named an instance, if there is one of that name.
func (s *usages) attempt(directory *tenancy.Directory, id tenancy.InstanceID, failed bool) {
	if s == nil || id == "" {
		return
	}
	v, ok := directory.View(id)
	if !ok {
		return
	}
	a := s.book.Open(ofView(v, v.Instance.Pool))
	a.Add(metering.ConnectionAttempts, 1)
	if failed {
		a.Add(metering.AuthFailures, 1)
	}
	s.book.Close(a)
}

// tidy makes room for other names in each new hour: in the place of those that were not
// used in the last one.
func (s *usages) tidy(now time.Time) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hour := metering.HourOf(now)
	if hour == s.hour {
		return
	}
	s.hour = hour
	for _, a := range s.leaving {
		s.book.Close(a)
	}
	s.leaving = nil
	for of, p := range s.all {
		gone := p.sessions == 0
		s.leaving = append(append(s.leaving, p.users.age(gone)...), p.topics.age(gone)...)
		if gone {
			delete(s.all, of)
		}
	}
}
