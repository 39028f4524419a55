package metering

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// cellsAtOnce is how many days of instances one round trip reads: 24 records of 170
	// bytes each, or with the breakdown up to some hundred times as many.
	cellsAtOnce      = 128
	partCellsAtOnce  = 8
	membersAtOnce    = 500
	longestMonth     = 31 * 24
	recordsReadLimit = 5 * time.Second
)

// cell is one day of an instance, which one hash has the records of.
type cell struct {
	tenant   tenancy.TenantID // "": of whichever
	instance tenancy.InstanceID
	day      Hour
}

// Records is Records'.
func (s *RecordStore) Records(ctx context.Context, q Query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		now := HourOf(s.now())
		q.From = max(q.From, now-Hour(s.retention/time.Hour)-longestMonth)
		q.To = min(q.To, now+1)
		if q.From >= q.To {
			return
		}
		n := cellsAtOnce
		if q.Parts {
			n = partCellsAtOnce
		}
		cells := make([]cell, 0, n)
		flush := func() bool {
			ok := s.readCells(ctx, q, cells, yield)
			cells = cells[:0]
			return ok
		}
		for c, err := range s.cells(ctx, q) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			if cells = append(cells, c); len(cells) == n && !flush() {
				return
			}
		}
		flush()
	}
}

// cells gives which days of whom there may be records of, in the order of records.
func (s *RecordStore) cells(ctx context.Context, q Query) iter.Seq2[cell, error] {
	days := func(c cell, from, to Hour, yield func(cell, error) bool) bool {
		for c.day = from.midnight(); c.day < to; c.day += 24 {
			if !yield(c, nil) {
				return false
			}
		}
		return true
	}
	return func(yield func(cell, error) bool) {
		if q.Instance != "" {
			days(cell{tenant: q.Tenant, instance: q.Instance}, q.From, q.To, yield)
			return
		}
		for m, err := range s.members(ctx, q) {
			if err != nil {
				yield(cell{}, err)
				return
			}
			for _, month := range m.months { // in their order
				if !days(cell{tenant: m.tenant, instance: m.instance}, max(q.From, month), min(q.To, nextMonth(month)), yield) {
					return
				}
			}
		}
	}
}

func nextMonth(h Hour) Hour { return HourOf(h.Begin().AddDate(0, 1, 0)) }

// firstOfMonth is the first hour of its month.
func firstOfMonth(h Hour) Hour {
	t := h.Begin()
	return HourOf(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC))
}

// readCells gives the records of some days of instances; false if no more are wanted.
func (s *RecordStore) readCells(ctx context.Context, q Query, cells []cell, yield func(Record, error) bool) bool {
	if len(cells) == 0 {
		return true
	}
	call, cancel := context.WithTimeout(ctx, recordsReadLimit)
	defer cancel()
	p := s.rdb.Pipeline()
	wholes, parts := make([]*redis.MapStringStringCmd, len(cells)), make([]*redis.MapStringStringCmd, len(cells))
	for i, c := range cells {
		wholes[i] = p.HGetAll(call, dayKey(c.instance, c.day))
		if q.Parts {
			parts[i] = p.HGetAll(call, partsKey(c.instance, c.day))
		}
	}
	if _, err := p.Exec(call); err != nil {
		yield(Record{}, fmt.Errorf("records of usage: %w", err))
		return false
	}
	for i, c := range cells {
		records, err := parseDay(c.instance, c.day, wholes[i].Val())
		if q.Parts && err == nil {
			var more []Record
			more, err = parseDay(c.instance, c.day, parts[i].Val())
			records = append(records, more...)
		}
		wholes[i], parts[i] = nil, nil
		if err != nil {
			yield(Record{}, err)
			return false
		}
		slices.SortFunc(records, Record.compare)
		for _, r := range records {
			if q.wants(r) && (c.tenant == "" || r.Tenant == c.tenant) && !yield(r, nil) {
				return false
			}
		}
	}
	return true
}

func (q Query) wants(r Record) bool {
	return r.Hour >= q.From && r.Hour < q.To && (q.AsOf.IsZero() || !r.Sealed.After(q.AsOf)) &&
		(q.Parts || r.Part == "") && (q.Tenant == "" || r.Tenant == q.Tenant)
}

// compare is the order in which records are given.
func (r Record) compare(o Record) int {
	return cmp.Or(cmp.Compare(r.Tenant, o.Tenant), cmp.Compare(r.Instance, o.Instance), cmp.Compare(r.Hour, o.Hour),
		r.key().compare(o.key()), cmp.Compare(r.Revision, o.Revision), cmp.Compare(r.Number, o.Number))
}
