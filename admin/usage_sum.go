package admin

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"weir/billing/export"
	"weir/metering"
	"weir/tenancy"
)

// usageItem is what somebody used in one part of a period.
type usageItem struct {
	tenant   tenancy.TenantID
	instance tenancy.InstanceID // "" when grouped by tenant
	start    metering.Hour      // of the whole hour, day or month
	group    string             // plan, user or topic
	sums     export.Sums
}

// compare is the order of items.
func (i *usageItem) compare(o *usageItem) int {
	return cmp.Or(cmp.Compare(i.tenant, o.tenant), cmp.Compare(i.instance, o.instance), cmp.Compare(i.start, o.start), cmp.Compare(i.group, o.group))
}

// usageSum adds records up to items.
type usageSum struct {
	query       metering.Query
	granularity string
	group       string
	sealed      metering.Hour // all before are
}

// start is that of the hour, day or month that an hour is in.
func (u *usageSum) start(h metering.Hour) metering.Hour {
	at := h.Begin()
	switch u.granularity {
	case "day":
		return metering.HourOf(at.Truncate(24 * time.Hour))
	case "month":
		return metering.HourOf(time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC))
	}
	return h
}

// end is the first hour after it.
func (u *usageSum) end(start metering.Hour) metering.Hour {
	switch u.granularity {
	case "day":
		return start + 24
	case "month":
		return metering.HourOf(start.Begin().AddDate(0, 1, 0))
	}
	return start + 1
}

// item is that which a record counts for, without sums; not ok if for none.
func (u *usageSum) item(r *metering.Record) (i usageItem, ok bool) {
	i = usageItem{tenant: r.Tenant, instance: r.Instance, start: u.start(r.Hour)}
	switch u.group {
	case byTenant:
		i.instance = ""
	case byPlan:
		i.group = r.Plan
	case byUser, byTopic:
		kind, name, _ := strings.Cut(r.Part, "=")
		i.group = name
		return i, kind == u.group
	}
	return i, r.Part == ""
}

// page is so many items behind one. What is in memory are those of one instance and
// part of the period (of one tenant, when grouped by that) and the page.
func (u *usageSum) page(ctx context.Context, records metering.Records, after usageItem, limit int) (page []usageItem, err error) {
	q := u.query
	q.FromTenant, q.FromInstance = after.tenant, after.instance
	if q.Instance != "" && after.instance == q.Instance {
		q.From = max(q.From, after.start)
	}
	at := map[usagePlace]*usageItem{} // of what is being added up
	var of usageItem                  // whose
	flush := func() {
		items := make([]*usageItem, 0, len(at))
		for _, i := range at {
			items = append(items, i)
		}
		slices.SortFunc(items, (*usageItem).compare)
		for _, i := range items {
			if i.compare(&after) > 0 && len(page) < limit {
				page = append(page, *i)
			}
		}
		clear(at)
	}
	for r, err := range merged(ctx, records, q, u.sealed) {
		if err != nil {
			return nil, err
		}
		i, ok := u.item(&r)
		if !ok {
			continue
		}
		if i.tenant != of.tenant || i.instance != of.instance || i.start != of.start && u.group != byTenant {
			if flush(); len(page) == limit {
				return page, nil
			}
			of = i
		}
		place := usagePlace{i.start, i.group}
		if at[place] == nil {
			at[place] = &i
		}
		at[place].sums.Add(&r.Values)
	}
	flush()
	return page, nil
}

// usagePlace tells the items apart that are added up at the same time.
type usagePlace struct {
	start metering.Hour
	group string
}

// merged gives sealed records and those of open hours, in order of tenant, instance and
// hour.
func merged(ctx context.Context, records metering.Records, q metering.Query, sealed metering.Hour) iter.Seq2[metering.Record, error] {
	return func(yield func(metering.Record, error) bool) {
		open := q
		if open.From = max(q.From, sealed); open.From >= open.To {
			records.Records(ctx, q)(yield)
			return
		}
		next, stop := iter.Pull2(records.Open(ctx, open))
		defer stop()
		o, err, more := next()
		// upTo gives what is open and comes before a record.
		upTo := func(r *metering.Record) bool {
			for more && (err != nil || r == nil || before(&o, r)) {
				if !yield(o, err) || err != nil {
					return false
				}
				o, err, more = next()
			}
			return true
		}
		for r, err := range records.Records(ctx, q) {
			if err != nil {
				yield(r, err)
				return
			}
			if !upTo(&r) || !yield(r, nil) {
				return
			}
		}
		upTo(nil)
	}
}

func before(a, b *metering.Record) bool {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Hour, b.Hour)) < 0
}
