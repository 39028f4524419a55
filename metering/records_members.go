package metering

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// member is an instance that has records, and the first hours of the months in which.
type member struct {
	tenant   tenancy.TenantID
	instance tenancy.InstanceID
	months   []Hour
}

// monthPages goes through the list of a month, which Redis keeps in the order of
// tenants and instances: a space is less than whatever ids are made of.
type monthPages struct {
	month Hour
	next  string // where the next page begins, as ZRANGE BYLEX says it
	page  []string
	last  bool // there is no further page
}

// fill reads the next page if there is nothing left of this one.
func (m *monthPages) fill(ctx context.Context, s *RecordStore, q Query) error {
	if len(m.page) > 0 || m.last {
		return nil
	}
	stop := "+"
	if q.Tenant != "" {
		stop = "(" + string(q.Tenant) + "!" // the one behind the space
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	page, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: monthKey(m.month.month()), Start: m.next, Stop: stop, ByLex: true, Count: membersAtOnce,
	}).Result()
	if err != nil {
		return fmt.Errorf("who has records in %s: %w", m.month.month(), err)
	}
	m.page, m.last = page, len(page) < membersAtOnce
	if len(page) > 0 {
		m.next = "(" + page[len(page)-1]
	}
	return nil
}

// members gives who has records in the months of a query, in order, each once: the
// lists of the months are merged page by page.
func (s *RecordStore) members(ctx context.Context, q Query) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		var months []*monthPages
		for month := firstOfMonth(q.From); month < q.To; month = nextMonth(month) {
			start := "-"
			if q.Tenant != "" || q.FromTenant != "" {
				start = "[" + max(string(q.Tenant)+" ", string(q.FromTenant)+" "+string(q.FromInstance))
			}
			months = append(months, &monthPages{month: month, next: start})
		}
		for {
			name, in, err := s.least(ctx, q, months)
			if err != nil {
				yield(member{}, err)
				return
			}
			if name == "" {
				return
			}
			tenant, instance, _ := strings.Cut(name, " ")
			if !yield(member{tenancy.TenantID(tenant), tenancy.InstanceID(instance), in}, nil) {
				return
			}
		}
	}
}

// least takes the first name that is left off all lists; "" if none is.
func (s *RecordStore) least(ctx context.Context, q Query, months []*monthPages) (name string, in []Hour, err error) {
	for _, m := range months {
		if err := m.fill(ctx, s, q); err != nil {
			return "", nil, err
		}
		if len(m.page) > 0 && (name == "" || m.page[0] < name) {
			name = m.page[0]
		}
	}
	for _, m := range months {
		if name != "" && len(m.page) > 0 && m.page[0] == name {
			m.page = m.page[1:]
			in = append(in, m.month)
		}
	}
	return name, in, nil
}
