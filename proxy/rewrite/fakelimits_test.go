package rewrite

import (
	"context"
	"errors"
	"sync"

	"weir/quota"
	"weir/tenancy"
)

// fakeLimits are limits that a test sets; it notes what it was asked.
type fakeLimits struct {
	bounds quota.Bounds
	full   bool
	groups int  // that there are, named g0, g1 …
	busy   bool // Turn never comes

	mu      sync.Mutex
	seen    map[string]bool // groups that were let in
	turns   int
	inTurn  int
	refused []tenancy.LimitName
}

func (l *fakeLimits) Bounds() *quota.Bounds { return &l.bounds }
func (l *fakeLimits) Full() bool            { return l.full }

func (l *fakeLimits) MayHaveGroup(physical string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bounds.Groups == 0 || l.seen[physical] {
		return true
	}
	if int64(l.groups+len(l.seen)) >= l.bounds.Groups {
		return false
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[physical] = true
	return true
}

func (l *fakeLimits) Turn(ctx context.Context) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return nil, errors.New("somebody else's turn")
	}
	l.turns++
	l.inTurn++
	end := sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.inTurn--
	})
	context.AfterFunc(ctx, end)
	return end, nil
}

func (l *fakeLimits) Refused(limit tenancy.LimitName, _ *string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, limit)
}
