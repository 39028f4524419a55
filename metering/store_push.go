package metering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// pushedAtOnce is how many counts one round trip writes, of some 150 bytes each.
	pushedAtOnce = 250
	// knownFor is how long after its end it is remembered what was pushed of an hour:
	// until it is sealed, and some.
	knownFor = 2 * time.Hour
)

// knownHour is what Redis has of an hour, by its own answers.
type knownHour struct {
	seqs      map[uint64]int64 // by hash of instance and field
	instances map[tenancy.InstanceID]bool
}

// pushGroup is the counts of one instance and hour, of one Push.
type pushGroup struct {
	id     tenancy.InstanceID
	hour   Hour
	counts []*Count
	fields []string
	cmd    *redis.Cmd
}

// Push writes counts that are newer than what Redis has. done are those that Redis has
// now, whatever else failed; err is the first failure. lost: Redis knew less of them
// than it had said before, so it has lost data, maybe more than this.
func (s *Store) Push(ctx context.Context, counts []Count) (done []Count, lost bool, err error) {
	for len(counts) > 0 {
		n := min(len(counts), pushedAtOnce)
		some, less, e := s.push(ctx, counts[:n])
		done, lost, err = append(done, some...), lost || less, errors.Join(err, e)
		if len(some) == 0 && e != nil {
			return done, lost, err // Redis is away
		}
		counts = counts[n:]
	}
	return done, lost, err
}

func (s *Store) push(ctx context.Context, counts []Count) (done []Count, lost bool, err error) {
	groups, bad := groupCounts(counts)
	if len(groups) == 0 {
		return nil, false, bad
	}
	// A mark that an hour has changed stands before the change and is made anew after
	// it: whoever seals looks after one of the two.
	marks, err := s.changesOf(ctx, s.lateOnes(groups))
	if err != nil {
		return nil, false, errors.Join(bad, err)
	}
	if err := s.mark(ctx, marks); err != nil {
		return nil, false, errors.Join(bad, err)
	}
	added, err := s.write(ctx, groups)
	s.mu.Lock()
	for hour, n := range added {
		lost = s.newInstances(hour, groups) < n || lost
	}
	for _, g := range groups {
		was, e := g.cmd.StringSlice()
		switch _, listed := added[g.hour]; {
		case e != nil:
		case len(was) != len(g.counts):
			e = fmt.Errorf("redis answered %d sequences for %d counts", len(was), len(g.counts))
		case !listed:
			e = errors.New("the hour's set of instances was not written")
		}
		if e != nil {
			if err == nil {
				err = fmt.Errorf("usage of instance %s in hour %s: %w", g.id, g.hour, e)
			}
			continue
		}
		lost = s.learn(g, was) || lost
		for _, c := range g.counts {
			done = append(done, *c)
		}
	}
	s.forget()
	s.mu.Unlock()
	return done, lost, errors.Join(bad, err, s.mark(ctx, marks))
}

// groupCounts orders counts by what one script can write, and leaves out what cannot be
// kept: bad says why of the first.
func groupCounts(counts []Count) (groups []*pushGroup, bad error) {
	type of struct {
		id   tenancy.InstanceID
		hour Hour
	}
	by := map[of]*pushGroup{}
	for i := range counts {
		c := &counts[i]
		if err := c.check(); err != nil {
			bad = cmp.Or(bad, err)
			continue
		}
		g := by[of{c.Instance, c.Hour}]
		if g == nil {
			g = &pushGroup{id: c.Instance, hour: c.Hour}
			by[of{c.Instance, c.Hour}] = g
			groups = append(groups, g)
		}
		g.counts, g.fields = append(g.counts, c), append(g.fields, c.field())
	}
	return groups, bad
}

// write is one round trip. added are how many instances the hours' sets did not have;
// an hour is absent if its set could not be written.
func (s *Store) write(ctx context.Context, groups []*pushGroup) (added map[Hour]int64, err error) {
	members := map[Hour][]any{}
	for _, g := range groups {
		members[g.hour] = append(members[g.hour], string(g.id))
	}
	sets := map[Hour]*redis.IntCmd{}
	err = s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for hour, ids := range members {
			sets[hour] = p.SAdd(ctx, instancesKey(hour), ids...)
			p.Expire(ctx, instancesKey(hour), countsKept)
		}
		for _, g := range groups {
			args := make([]any, 1, 1+3*len(g.counts))
			args[0] = countsKept.Milliseconds()
			for i, c := range g.counts {
				args = append(args, g.fields[i], c.Seq, c.value())
			}
			g.cmd = s.scripts.push.EvalSha(ctx, p, []string{countsKey(g.id, g.hour)}, args...)
		}
	})
	added = map[Hour]int64{}
	for hour, set := range sets {
		if n, e := set.Result(); e == nil {
			added[hour] = n
		}
	}
	if err != nil {
		err = fmt.Errorf("usage: %w", err)
	}
	return added, err
}

func (s *Store) knownOf(h Hour) *knownHour {
	k := s.known[h]
	if k == nil {
		k = &knownHour{seqs: map[uint64]int64{}, instances: map[tenancy.InstanceID]bool{}}
		s.known[h] = k
	}
	return k
}

// newInstances remembers whom the set of an hour has now, and says how many of them were
// not known to be in it. s.mu is held.
func (s *Store) newInstances(h Hour, groups []*pushGroup) (n int64) {
	k := s.knownOf(h)
	for _, g := range groups {
		if g.hour == h && !k.instances[g.id] {
			k.instances[g.id] = true
			n++
		}
	}
	return n
}

// learn remembers what Redis has, and reports whether it had lost some. s.mu is held.
func (s *Store) learn(g *pushGroup, was []string) (lost bool) {
	k := s.knownOf(g.hour)
	for i, c := range g.counts {
		hash := maphash.String(s.seed, string(g.id)+" "+g.fields[i])
		found, err := strconv.ParseInt(was[i], 10, 64)
		lost = lost || err != nil || found < k.seqs[hash]
		k.seqs[hash] = max(found, c.Seq)
	}
	return lost
}

// forget drops what is known of hours that are long over. s.mu is held.
func (s *Store) forget() {
	for hour := range s.known {
		if s.now().Sub(hour.End()) > knownFor {
			delete(s.known, hour)
		}
	}
}

// Forget drops all that is known to be in Redis: what is pushed next says anew what is there.
func (s *Store) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}
