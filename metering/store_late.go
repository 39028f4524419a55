package metering

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// lateMargin is by how much clocks of gateways may differ: what comes so shortly
	// before an hour is sealed is late, too.
	lateMargin = 2 * time.Minute
	// remarked is for how long marks are remembered, to be made anew if Redis loses them.
	remarked = time.Hour
)

type lateHour struct {
	hour Hour
	id   tenancy.InstanceID
}

func (l lateHour) field() string { return l.hour.String() + " " + string(l.id) }

// Late says that counts of an instance changed after an hour was sealed, or about then.
type Late struct {
	Hour     Hour
	Instance tenancy.InstanceID
	stamp    string
}

// Late gives what was marked and not said to be done. It ends with the first error.
func (s *Store) Late(ctx context.Context) iter.Seq2[Late, error] {
	return func(yield func(Late, error) bool) {
		seen := map[string]bool{}
		for page, err := range scan(ctx, func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
			return s.rdb.HScan(ctx, keyLate, cursor, "", scanned).Result()
		}) {
			if err != nil {
				yield(Late{}, fmt.Errorf("late usage: %w", err))
				return
			}
			for i := 0; i+1 < len(page); i += 2 {
				hour, id, _ := strings.Cut(page[i], " ")
				h, err := ParseHour(hour)
				if err != nil {
					err = fmt.Errorf("late usage: field %.80q: %w", page[i], err)
				}
				if seen[page[i]] {
					continue
				}
				seen[page[i]] = true
				if !yield(Late{h, tenancy.InstanceID(id), page[i+1]}, err) || err != nil {
					return
				}
			}
		}
	}
}

// LateDone takes marks away that have been dealt with. One that was made anew since it was
// read stays.
func (s *Store) LateDone(ctx context.Context, marks ...Late) error {
	for len(marks) > 0 {
		n := min(len(marks), pushedAtOnce)
		args := make([]any, 0, 2*n)
		for _, m := range marks[:n] {
			args = append(args, lateHour{m.Hour, m.Instance}.field(), m.stamp)
		}
		call, cancel := context.WithTimeout(ctx, storeTimeout)
		err := s.scripts.late.Run(call, s.rdb, []string{keyLate}, args...).Err()
		cancel()
		if err != nil {
			return fmt.Errorf("late usage: %w", err)
		}
		marks = marks[n:]
	}
	return nil
}

// lateOnes are the groups whose hour may have been sealed.
func (s *Store) lateOnes(groups []*pushGroup) (late []*pushGroup) {
	for _, g := range groups {
		if s.now().Sub(g.hour.End()) >= s.sealAfter-lateMargin {
			late = append(late, g)
		}
	}
	return late
}

// changesOf says which groups have counts that are newer than those in Redis.
func (s *Store) changesOf(ctx context.Context, groups []*pushGroup) (changed []lateHour, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.SliceCmd, len(groups))
	if err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for i, g := range groups {
			cmds[i] = p.HMGet(ctx, countsKey(g.id, g.hour), g.fields...)
		}
	}); err != nil {
		return nil, fmt.Errorf("usage of hours that may be sealed: %w", err)
	}
	for i, g := range groups {
		for j, c := range g.counts {
			value, _ := cmds[i].Val()[j].(string)
			var was Count
			if err := was.parseValue(value); err != nil && !errors.Is(err, errNewer) || was.Seq < c.Seq {
				changed = append(changed, lateHour{g.hour, g.id})
				break
			}
		}
	}
	return changed, nil
}

// lateMarks are marks that this process makes. Store.mu guards them.
type lateMarks struct {
	todo map[lateHour]time.Time // still to be made, by when they were asked for
	made map[lateHour]time.Time // in the last hour
}

// mark makes marks, and those that could not be made before.
func (s *Store) mark(ctx context.Context, marks []lateHour) error {
	s.mu.Lock()
	for _, m := range marks {
		s.late.todo[m] = s.now()
	}
	fields := slices.Collect(maps.Keys(s.late.todo))
	s.mu.Unlock()
	for some := range slices.Chunk(fields, pushedAtOnce) {
		if err := s.markSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) markSome(ctx context.Context, marks []lateHour) error {
	stamp := crand.Text()[:12]
	args := make([]any, 0, 2*len(marks))
	for _, m := range marks {
		args = append(args, m.field(), stamp)
	}
	var set *redis.IntCmd
	err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		set = p.HSet(ctx, keyLate, args...)
		p.Expire(ctx, keyLate, lateKept)
	})
	if err = errors.Join(err, set.Err()); err != nil {
		return fmt.Errorf("marks of late usage: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range marks {
		s.late.made[m] = s.late.todo[m]
		delete(s.late.todo, m)
	}
	return nil
}

// remark lets the marks of the last hour be made anew, if Redis may have lost them, and
// forgets older ones.
func (s *Store) remark(lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m, asked := range s.late.made {
		switch {
		case s.now().Sub(asked) > remarked:
			delete(s.late.made, m)
		case lost:
			s.late.todo[m] = asked
		}
	}
}
