package metering

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Chain is what a walk along an instance's records has found.
type Chain struct {
	Instance tenancy.InstanceID
	// First and Last are numbers of records; 0 if there are none. What is before First is
	// older than the retention.
	First, Last int64
	// Records is how many there are.
	Records int64
	// Hash is that of the last one, as the chain's head has it.
	Hash [32]byte
	// Broken is the first link that does not hold; nil if all do.
	Broken *BrokenLink
}

// BrokenLink is where a chain of records does not hold.
type BrokenLink struct {
	// Number of the record that is missing, was changed, or does not follow on the one before it.
	Number int64
	// Hour of it, if it could be read; else the day in which it was found, or zero.
	Hour Hour
	// Why is one line for people.
	Why string
}

func (b *BrokenLink) String() string { return fmt.Sprintf("record %d: %s", b.Number, b.Why) }

// chainLink is what is kept of a record that came before its turn.
type chainLink struct {
	prev, hash [32]byte
	hour       Hour
}

// ChainWalk checks a chain whose records come in any order, with memory only for those
// that come before their turn. The zero value begins at number 1; see From.
type ChainWalk struct {
	first, next int64
	hash        [32]byte
	records     int64
	early       map[int64]chainLink
	broken      *BrokenLink
	prevHour    Hour
}

// From lets the chain begin with a number, whose Prev nobody can check any more.
func (w *ChainWalk) From(number int64) { w.first, w.next = number, number }

// Add takes the next record.
func (w *ChainWalk) Add(r Record) {
	if w.next == 0 {
		w.From(1)
	}
	if r.Number < w.first {
		return // a correction of a day that is kept is older than that day
	}
	w.records++
	if _, twice := w.early[r.Number]; twice || r.Number < w.next {
		w.fail(r.Number, r.Hour, fmt.Sprintf("there are two with that number, one of hour %s", r.Hour))
		return
	}
	if w.early == nil {
		w.early = map[int64]chainLink{}
	}
	w.early[r.Number] = chainLink{r.Prev, r.Hash(), r.Hour}
	for {
		link, ok := w.early[w.next]
		if !ok {
			return
		}
		delete(w.early, w.next)
		if link.prev != w.hash && (w.next > w.first || w.first == 1) {
			w.fail(w.next, link.hour, fmt.Sprintf("(hour %s) does not follow on record %d as it is now: one of the two was changed", link.hour, w.next-1))
		}
		w.hash, w.prevHour = link.hash, link.hour
		w.next++
	}
}

// fail notes what breaks the chain, if nothing with a lower number does.
func (w *ChainWalk) fail(number int64, hour Hour, why string) {
	if w.broken == nil || number < w.broken.Number {
		w.broken = &BrokenLink{number, hour, why}
	}
}

// End checks that the chain ends with a record, and returns the first broken link; nil
// if there is none.
func (w *ChainWalk) End(last int64, hash [32]byte) *BrokenLink {
	if w.next == 0 {
		w.From(1)
	}
	if w.next <= last {
		w.fail(w.next, 0, "is missing")
	}
	for number, link := range w.early {
		if number > last {
			w.fail(number, link.hour, fmt.Sprintf("is behind the end of the chain, %d", last))
		}
	}
	if w.next > last+1 {
		w.fail(last+1, 0, fmt.Sprintf("is behind the end of the chain, %d", last))
	}
	if w.broken == nil && w.hash != hash {
		w.fail(last, w.prevHour, "is the last one and was changed: the chain's head has another hash")
	}
	return w.broken
}

// Verify walks along all records of an instance that are kept. What it finds wrong is
// in the answer; an error is that they could not be read.
func (s *RecordStore) Verify(ctx context.Context, id tenancy.InstanceID) (Chain, error) {
	h, err := s.head(ctx, id)
	if err != nil {
		return Chain{}, err
	}
	c := Chain{Instance: id, Last: h.number, Hash: h.hash}
	if h.number == 0 {
		return c, nil
	}
	oldest := HourOf(s.now().Add(-s.retention)).midnight()
	var walk ChainWalk
	if walk.From(1); h.born < oldest {
		first, err := s.firstKept(ctx, id, oldest, h)
		if err != nil {
			return Chain{}, err
		}
		walk.From(first)
	}
	from := max(h.born, oldest-Hour(lateKept/time.Hour)) // where corrections may be
	err = s.eachDay(ctx, id, from, h.hour, func(day Hour, number, raw string) {
		r, err := parseRecord(id, day, number, raw)
		if err != nil {
			walk.fail(r.Number, day, "of "+day.day()+", "+err.Error())
			return
		}
		walk.Add(r)
	})
	c.First, c.Records = walk.first, walk.records
	c.Broken = walk.End(h.number, h.hash)
	return c, err
}

// firstKept is the least number of the oldest day, from one on, in which an hour was sealed.
func (s *RecordStore) firstKept(ctx context.Context, id tenancy.InstanceID, from Hour, h head) (first int64, err error) {
	first = h.number
	found := Hour(-1)
	err = s.eachDay(ctx, id, from, h.hour, func(day Hour, number, raw string) {
		if r, err := parseRecord(id, day, number, raw); err == nil && (found < 0 || day == found) && r.Revision == 0 {
			first, found = min(first, r.Number), day
		}
	})
	return first, err
}

// eachDay calls fn for each record of an instance, day by day.
func (s *RecordStore) eachDay(ctx context.Context, id tenancy.InstanceID, from, to Hour, fn func(day Hour, number, raw string)) error {
	for day := from.midnight(); day <= to; {
		call, cancel := context.WithTimeout(ctx, recordsReadLimit)
		p := s.rdb.Pipeline()
		var cmds []*redis.MapStringStringCmd
		var days []Hour
		for ; day <= to && len(days) < partCellsAtOnce; day += 24 {
			days = append(days, day)
			cmds = append(cmds, p.HGetAll(call, dayKey(id, day)), p.HGetAll(call, partsKey(id, day)))
		}
		_, err := p.Exec(call)
		cancel()
		if err != nil {
			return fmt.Errorf("records of instance %s: %w", id, err)
		}
		for i, cmd := range cmds {
			for number, raw := range cmd.Val() {
				fn(days[i/2], number, raw)
			}
		}
	}
	return nil
}
