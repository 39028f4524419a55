package metering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// archiveSpan is how far back records are compared with Redis when nothing says that
	// more was lost.
	archiveSpan = 48
	// healingFor is how long others wait for a gateway that is putting records back, and
	// was not heard of since.
	healingFor = time.Minute
	// healAsked is why each hour, among others.
	healAsked = "asked"
)

// healIfLost puts records back that the archive has and Redis has not: at the start and
// when asked, of the last days; when Redis has forgotten how far it was sealed, all.
// While it does so, nobody seals.
func (s *Sealer) healIfLost(ctx context.Context) error {
	now := HourOf(s.cfg.Now())
	from, why := now, ""
	if !s.healed {
		if newest, ok := s.cfg.Archive.Newest(); ok {
			from, why = now-archiveSpan, "start"
			s.seen = max(s.seen, newest-1)
		}
	}
	select {
	case <-s.wanted:
		from, why = now-archiveSpan, healAsked
	default:
	}
	switch {
	case !s.asked.known && s.seen > 0:
		from, why = 0, "redis knows of no sealed hour"
	case s.asked.known && s.asked.hour < s.seen:
		from, why = min(from, s.asked.hour-archiveSpan), "redis has gone back"
	}
	s.healed = true
	if why == "" || s.cfg.Archive == nil {
		s.seen = s.asked.hour
		return nil
	}
	s.heldSince = s.cfg.Now() // others need the time to see it too
	if err := s.heal(ctx, from, why); err != nil {
		s.Heal() // once more, at least as much: s.seen stays
		return err
	}
	s.seen = s.asked.hour
	return nil
}

// heal puts back all days from that of an hour on.
func (s *Sealer) heal(ctx context.Context, from Hour, why string) (err error) {
	rs, mark := s.cfg.Records, func(till time.Time) error { return s.cfg.Records.setHealing(ctx, s.cfg.Gateway, till) }
	if err := mark(s.cfg.Now().Add(healingFor)); err != nil {
		return err
	}
	s.asked.healing++ // this gateway's own round goes on no further
	healed, forks := 0, 0
	for _, day := range s.cfg.Archive.days() {
		if day < from.day() {
			continue
		}
		places := map[tenancy.InstanceID][]int64{}
		if err := s.cfg.Archive.each(day, func(r Record, at int64) { places[r.Instance] = append(places[r.Instance], at) }); err != nil {
			return err
		}
		for page := range slices.Chunk(slices.Sorted(maps.Keys(places)), sealPage) {
			if err := mark(s.cfg.Now().Add(healingFor)); err != nil {
				return err
			}
			n, f, err := rs.healPage(ctx, s.cfg.Archive, day, page, places, why == healAsked)
			if err != nil {
				return err
			}
			healed, forks = healed+n, forks+f
		}
	}
	if healed > 0 {
		s.cfg.Log.Warn("usage records that redis had lost were put back from the archive", "records", healed, "why", why)
	}
	if forks > 0 {
		s.cfg.Log.Error("usage records of the archive contradict those in redis, and were not put back", "records", forks, "why", why,
			"fix", "redis has lost records and hours were sealed anew before this archive was back; what counts is in redis, weir usage verify checks it")
	}
	return mark(time.Time{})
}

// healPage puts back what some instances lack of a day; quick: by the numbers that there
// are alone, without a look at what stands there.
func (s *RecordStore) healPage(ctx context.Context, a *Archive, day string, ids []tenancy.InstanceID, places map[tenancy.InstanceID][]int64, quick bool,
) (healed, forks int, err error) {
	var todo []*healing
	members := map[string]bool{}
	for _, id := range ids {
		records, err := a.recordsAt(day, places[id])
		if err != nil {
			return 0, 0, err
		}
		todo = append(todo, &healing{id: id, archived: inOrder(records)})
		for _, r := range records {
			members[string(r.Tenant)+" "+string(r.Instance)] = true
		}
	}
	if len(todo) == 0 {
		return 0, 0, nil
	}
	if err := s.list(ctx, todo[0].archived[0].Hour, slices.Collect(maps.Keys(members))); err != nil {
		return 0, 0, err
	}
	if quick {
		if todo, err = s.lacking(ctx, todo); err != nil {
			return 0, 0, err
		}
	}
	each(todo, func(one *healing) { one.err = s.heal(ctx, one) })
	for _, one := range todo {
		healed, forks, err = healed+len(one.missing), forks+one.forks, errors.Join(err, one.err)
	}
	return healed, forks, err
}

// lacking are those of which Redis does not have all numbers: mostly none.
func (s *RecordStore) lacking(ctx context.Context, all []*healing) (some []*healing, err error) {
	cmds := make([][2]*redis.StringSliceCmd, len(all))
	if err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for i, one := range all {
			hour := one.archived[0].Hour
			cmds[i] = [2]*redis.StringSliceCmd{p.HKeys(ctx, dayKey(one.id, hour)), p.HKeys(ctx, partsKey(one.id, hour))}
		}
	}); err != nil {
		return nil, fmt.Errorf("records of usage: %w", err)
	}
	for i, one := range all {
		there := map[string]bool{}
		for _, number := range slices.Concat(cmds[i][0].Val(), cmds[i][1].Val()) {
			there[number] = true
		}
		if slices.ContainsFunc(one.archived, func(r Record) bool { return !there[strconv.FormatInt(r.Number, 10)] }) {
			some = append(some, one)
		}
	}
	return some, nil
}

// inOrder sorts records by their numbers and leaves out what is there twice.
func inOrder(records []Record) []Record {
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Number, b.Number) })
	return slices.CompactFunc(records, func(a, b Record) bool { return a == b })
}

// healing is what the archive has of one instance and day, and what Redis lacks of it.
type healing struct {
	id       tenancy.InstanceID
	archived []Record
	missing  []Record
	forks    int // those that contradict what is in Redis
	err      error
}

func (s *RecordStore) heal(ctx context.Context, one *healing) error {
	hour := one.archived[0].Hour
	for range movedMost {
		h, err := s.head(ctx, one.id)
		if err != nil {
			return err
		}
		there, err := s.day(ctx, one.id, hour, true)
		if err != nil {
			return err
		}
		next, err := s.day(ctx, one.id, hour+24, true)
		if err != nil {
			return err
		}
		to := one.choose(h, there, next)
		if err := s.write(ctx, h, to, one.missing); !errors.Is(err, errMoved) {
			return err
		}
	}
	return fmt.Errorf("records of instance %s: %w", one.id, errMoved)
}

// choose finds what may be put back behind a chain's end, or into its holes, and returns
// where the chain ends then. Never what contradicts what is there: a record that was
// lost, in whose place others were sealed before the archive came back.
func (one *healing) choose(h head, there, next []Record) head {
	one.missing, one.forks = nil, 0
	numbers, lines := map[int64]Record{}, map[lineOfHour][]Record{}
	for _, r := range slices.Concat(there, next) {
		numbers[r.Number] = r
	}
	for _, r := range there {
		lines[r.lineOfHour()] = append(lines[r.lineOfHour()], r)
	}
	for i, r := range one.archived {
		old, taken := numbers[r.Number]
		switch {
		case taken && old == r:
			continue
		case taken, resealed(r, lines[r.lineOfHour()]), r.Number == h.number+1 && h.number > 0 && r.Prev != h.hash:
			one.forks++
			if r.Number > h.number { // so does all that stands behind it
				one.forks += len(one.archived) - i - 1
				return h
			}
			continue
		}
		one.missing = append(one.missing, r)
		if r.Number > h.number {
			h.number, h.hash = r.Number, r.Hash()
		}
		h.hour = max(h.hour, r.Hour)
	}
	return h
}

// lineOfHour is a line of an instance, by which records are of the same.
type lineOfHour struct {
	hour Hour
	lineKey
}

func (l Line) lineOfHour() lineOfHour { return lineOfHour{l.Hour, l.key()} }

// resealed reports whether records of its line have what a record has: it is there
// under another number, or a later one was made as if it were not.
func resealed(r Record, line []Record) bool {
	own, _ := r.Sources.list()
	for _, other := range line {
		if other.Number == r.Number {
			continue
		}
		if other.Revision == r.Revision {
			return true
		}
		marks, _ := other.Sources.list()
		for _, m := range marks {
			if slices.ContainsFunc(own, func(o sourceMark) bool { return o.of == m.of && o.seq == m.seq }) {
				return true
			}
		}
	}
	return false
}
