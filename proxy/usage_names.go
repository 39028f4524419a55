package proxy

import (
	"maps"
	"sync"
	"sync/atomic"

	"weir/metering"
)

// portions are the accounts of the breakdown of one instance on one plan.
type portions struct {
	users, topics *namedParts
	byTopic       bool
	sessions      int // guarded by usages.mu
}

// topic is the account of a topic by its virtual name, which is not kept; nil if there
// is no breakdown by topic. Any goroutine; it allocates for new names only.
func (p *portions) topic(name []byte) *metering.Account {
	if p == nil || !p.byTopic {
		return nil
	}
	if part := (*p.topics.now.Load())[string(name)]; part != nil {
		return part.use()
	}
	return p.topics.add(string(name)).use()
}

// namedParts are the parts of one kind: some by name, the others together. Any goroutine.
type namedParts struct {
	book *metering.Book
	of   metering.Of // with Part for those that have no name
	most int

	now  atomic.Pointer[map[string]*part] // immutable
	mu   sync.Mutex                       // of who changes what follows, or replaces now
	rest *part                            // nil: there was no need for it
}

// part is one of them.
type part struct {
	account  *metering.Account
	used     atomic.Bool // since the hour began
	sessions int         // of a user; guarded by namedParts.mu
}

// use is the account, on which something is about to be counted.
func (p *part) use() *metering.Account {
	if !p.used.Load() {
		p.used.Store(true)
	}
	return p.account
}

func (s *usages) partsOf(of metering.Of, kind string) *namedParts {
	of.Part = kind
	p := &namedParts{book: s.book, of: of, most: s.breakdown.Most}
	p.now.Store(&map[string]*part{})
	return p
}

// add is the part of a name that may be new: one of its own if there is room.
func (p *namedParts) add(name string) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addLocked(name)
}

func (p *namedParts) addLocked(name string) *part {
	now := *p.now.Load()
	if part := now[name]; part != nil {
		return part
	}
	if len(now) >= p.most {
		if p.rest == nil {
			p.rest = &part{account: p.book.Open(p.of)}
		}
		return p.rest
	}
	of := p.of
	of.Part += "=" + name
	more := maps.Clone(now)
	more[name] = &part{account: p.book.Open(of)}
	p.now.Store(&more)
	return more[name]
}

// enter is the account of a user with one more session.
func (p *namedParts) enter(name string) *metering.Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := p.addLocked(name)
	part.sessions++
	return part.use()
}

// leave ends a session.
func (p *namedParts) leave(a *metering.Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range *p.now.Load() {
		if part.account == a {
			part.sessions--
			return
		}
	}
	if p.rest != nil && p.rest.account == a {
		p.rest.sessions--
	}
}

// age begins an hour, and returns the accounts of names that were not used in the last
// one, or all, which nobody will find any more.
func (p *namedParts) age(all bool) (leaving []*metering.Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stay := map[string]*part{}
	for name, part := range *p.now.Load() {
		if !all && (part.sessions > 0 || part.used.Load()) {
			part.used.Store(part.sessions > 0)
			stay[name] = part
			continue
		}
		leaving = append(leaving, part.account)
	}
	if r := p.rest; r != nil && (all || r.sessions == 0 && !r.used.Swap(false)) {
		p.rest = nil
		leaving = append(leaving, r.account)
	}
	p.now.Store(&stay)
	return leaving
}
