package metering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	// openListFor is how long it is remembered who has counts in open hours: a question
	// for each of many tenants must not read everybody's each time.
	openListFor = 10 * time.Second
	openAtOnce  = 100
)

// openPair is an instance that has counts in an open hour.
type openPair struct {
	tenant   tenancy.TenantID
	instance tenancy.InstanceID
}

// openList is who has counts in open hours, in order: some 50 bytes for each instance.
type openList struct {
	mu       sync.Mutex
	at       time.Time
	from, to Hour
	pairs    []openPair
}

// Open is Records': in the hours after SealedThrough, of instances whose hour is not
// sealed already. It knows of instances that began to count openListFor ago. With AsOf
// there is nothing open.
func (s *RecordStore) Open(ctx context.Context, q Query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if !q.AsOf.IsZero() {
			return
		}
		from, to, err := s.openHours(ctx)
		if err != nil {
			yield(Record{}, err)
			return
		}
		q.From, q.To = max(q.From, from), min(q.To, to)
		if q.From >= q.To {
			return
		}
		pairs := []openPair{{q.Tenant, q.Instance}}
		if q.Instance == "" {
			if pairs, err = s.openPairs(ctx, from, to); err != nil {
				yield(Record{}, err)
				return
			}
		}
		if q.Tenant != "" && q.Instance == "" {
			begin, _ := slices.BinarySearchFunc(pairs, q.Tenant, func(p openPair, t tenancy.TenantID) int { return cmp.Compare(p.tenant, t) })
			end := begin
			for end < len(pairs) && pairs[end].tenant == q.Tenant {
				end++
			}
			pairs = pairs[begin:end]
		}
		begin, _ := slices.BinarySearchFunc(pairs, true, func(p openPair, _ bool) int {
			if q.before(p.tenant, p.instance) {
				return -1
			}
			return 1
		})
		if q.Instance == "" {
			pairs = pairs[begin:]
		}
		for page := range slices.Chunk(pairs, openAtOnce) {
			if !s.openPage(ctx, q, page, yield) {
				return
			}
		}
	}
}

// openHours are from the first that is not sealed up to, not with, the next one.
func (s *RecordStore) openHours(ctx context.Context) (from, to Hour, err error) {
	now := HourOf(s.now())
	sealed, ok, err := s.SealedThrough(ctx)
	if err != nil {
		return 0, 0, err
	}
	if !ok {
		if sealed, err = s.firstHour(ctx, now); err != nil {
			return 0, 0, err
		}
		sealed--
	}
	return sealed + 1, now + 1, nil
}

// openPage gives what some instances have counted.
func (s *RecordStore) openPage(ctx context.Context, q Query, page []openPair, yield func(Record, error) bool) bool {
	call, cancel := context.WithTimeout(ctx, recordsReadLimit)
	defer cancel()
	p := s.rdb.Pipeline()
	heads := make([]*redis.MapStringStringCmd, len(page))
	counts := make([][]*redis.MapStringStringCmd, len(page))
	for i, pair := range page {
		heads[i] = p.HGetAll(call, headKey(pair.instance))
		for h := q.From; h < q.To; h++ {
			counts[i] = append(counts[i], p.HGetAll(call, countsKey(pair.instance, h)))
		}
	}
	if _, err := p.Exec(call); err != nil {
		yield(Record{}, fmt.Errorf("usage of open hours: %w", err))
		return false
	}
	for i, pair := range page {
		end, err := parseHead(pair.instance, heads[i].Val())
		for j, cmd := range counts[i] {
			h := q.From + Hour(j)
			if err == nil && end.number > 0 && end.hour >= h {
				continue // sealed a moment ago
			}
			var records []Record
			if err == nil {
				records, err = openRecords(pair.instance, h, cmd.Val())
			}
			if err != nil {
				yield(Record{}, err)
				return false
			}
			for _, r := range records {
				if q.wants(r) && !yield(r, nil) {
					return false
				}
			}
		}
	}
	return true
}

// openRecords adds up the counts of an instance and hour, line by line.
func openRecords(id tenancy.InstanceID, h Hour, fields map[string]string) ([]Record, error) {
	counts, _, err := readCounts(id, h, fields) // of the damaged ones is told when the hour is sealed
	if err != nil {
		return nil, err
	}
	records := hourOf{hour: h, counts: counts}.plan()
	for i := range records {
		records[i].Complete, records[i].Sealed, records[i].Sources = false, time.Time{}, ""
	}
	return records, nil
}

// openPairs is who has counts in open hours.
func (s *RecordStore) openPairs(ctx context.Context, from, to Hour) ([]openPair, error) {
	l := &s.open
	l.mu.Lock() // also over the reading: who else asks wants the same
	defer l.mu.Unlock()
	if l.from == from && l.to == to && s.now().Sub(l.at) < openListFor {
		return l.pairs, nil
	}
	tenants := make(map[tenancy.InstanceID]tenancy.TenantID, len(l.pairs))
	for _, p := range l.pairs {
		tenants[p.instance] = p.tenant
	}
	var pairs []openPair
	seen := make(map[tenancy.InstanceID]bool, len(l.pairs))
	for h := from; h < to; h++ {
		unknown := make([]tenancy.InstanceID, 0, membersAtOnce)
		learn := func() error {
			more, err := s.tenantsOf(ctx, h, unknown)
			for _, p := range more { // of others all is damaged in this hour
				seen[p.instance] = true
			}
			pairs, unknown = append(pairs, more...), unknown[:0]
			return err
		}
		for id, err := range s.counts.Instances(ctx, h) {
			if err != nil {
				return nil, err
			}
			if tenant, ok := tenants[id]; ok && !seen[id] {
				pairs, seen[id] = append(pairs, openPair{tenant, id}), true
			} else if !seen[id] {
				unknown = append(unknown, id)
			}
			if len(unknown) == membersAtOnce {
				if err := learn(); err != nil {
					return nil, err
				}
			}
		}
		if err := learn(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(pairs, func(a, b openPair) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.instance, b.instance))
	})
	l.at, l.from, l.to, l.pairs = s.now(), from, to, pairs
	return pairs, nil
}

// tenantsOf reads whose instances are, from their counts in an hour.
func (s *RecordStore) tenantsOf(ctx context.Context, h Hour, ids []tenancy.InstanceID) ([]openPair, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordsReadLimit)
	defer cancel()
	p := s.rdb.Pipeline()
	cmds := make([]*redis.ScanCmd, len(ids))
	for i, id := range ids {
		cmds[i] = p.HScan(ctx, countsKey(id, h), 0, "", 10)
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("instances with usage in hour %s: %w", h, err)
	}
	var pairs []openPair
	for i, id := range ids {
		page, _ := cmds[i].Val()
		for field := range slices.Chunk(page, 2) {
			c, err := parseCount(id, h, field[0], field[1])
			if errors.Is(err, errNewer) {
				return nil, err
			}
			if err == nil {
				pairs = append(pairs, openPair{c.Tenant, id})
				break
			}
		}
	}
	return pairs, nil
}
