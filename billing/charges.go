package billing

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"weir/metering"
	"weir/tenancy"
)

// lookBack is how many months before the ones asked for may have hours that are
// billed in these: gateways keep what they have counted for 35 days.
const lookBack = 2

// Books knows what plans cost. Any goroutine.
type Books interface {
	// Prices are those of all plans as they are now. Immutable.
	Prices(ctx context.Context) (*PriceList, error)
}

// Finals knows what was invoiced. Any goroutine.
type Finals interface {
	// Marks are, of a tenant's month whose statements are final, the number of each
	// instance's newest record that they were made from, and when that was; ok is
	// false while the month is open.
	Marks(ctx context.Context, t tenancy.TenantID, m Month) (marks Marks, ok bool, err error)
}

// Marks say up to where records were invoiced.
type Marks struct {
	At      time.Time
	Numbers map[tenancy.InstanceID]int64 // none: no record
}

// Query says which charges are wanted.
type Query struct {
	Tenant   tenancy.TenantID   // "": of all
	Instance tenancy.InstanceID // "": of all
	// From begins a day, UTC; To ends an hour: charges are those of days from the first
	// on, of hours before the second. A minimum is charged on the last day of its month,
	// so only if To is not before its end.
	From, To time.Time
	// AsOf leaves out what was sealed, priced or invoiced later; zero: nothing is left out.
	AsOf time.Time

	// upTo leaves out records behind these numbers; nil: none.
	upTo map[tenancy.InstanceID]int64
}

// Charger makes charges of records. Any goroutine.
type Charger struct {
	Records metering.Records
	Books   Books
	Finals  Finals // nil: nothing was ever invoiced
}

// Charges are in order of tenant, instance, day, plan, correction, month of use, kind,
// meter, tier; memory does not grow with how many instances there are. A record is charged in the month
// that it was counted in, unless that was invoiced without it: then as a correction,
// on the day when it was sealed, in the first month that was not. It ends with the
// first error.
func (c *Charger) Charges(ctx context.Context, q Query) iter.Seq2[Charge, error] {
	return func(yield func(Charge, error) bool) {
		prices, err := c.Books.Prices(ctx)
		if err != nil {
			yield(Charge{}, err)
			return
		}
		for u, err := range c.uses(ctx, q) {
			if err != nil {
				yield(Charge{}, err)
				return
			}
			for _, ch := range chargesOf(prices.bills(q, u), q) {
				if !yield(ch, nil) {
					return
				}
			}
		}
	}
}

// use is all that one instance used.
type use struct {
	tenant   tenancy.TenantID
	instance tenancy.InstanceID
	months   map[monthOfPlan]*monthUse
}

// monthOfPlan is what is rated together: a plan has its own prices, tiers and minimum.
type monthOfPlan struct {
	month Month
	plan  string
}

// monthUse is what was used in a month on a plan, by the day that it is charged on.
type monthUse struct {
	pool string
	own  map[time.Time]*Used // charged in the month itself
	late map[time.Time]*Used // in a later one
}

// uses reads records instance by instance. Of a tenant's instances that have any, also
// without charges.
func (c *Charger) uses(ctx context.Context, q Query) iter.Seq2[*use, error] {
	return func(yield func(*use, error) bool) {
		if err := q.check(); err != nil {
			yield(nil, err)
			return
		}
		from, _ := (MonthOf(q.From) - lookBack).Hours()
		marks := markReader{finals: c.Finals, asOf: q.AsOf, known: map[Month]*Marks{}}
		var u *use
		for r, err := range c.Records.Records(ctx, metering.Query{
			Tenant: q.Tenant, Instance: q.Instance, From: from, To: metering.HourOf(q.To), AsOf: q.AsOf,
		}) {
			if err != nil {
				yield(nil, err)
				return
			}
			if q.upTo != nil && r.Number > q.upTo[r.Instance] {
				continue // sealed since they were read
			}
			if u != nil && (u.instance != r.Instance || u.tenant != r.Tenant) {
				if !yield(u, nil) {
					return
				}
				u = nil
			}
			if u == nil {
				u = &use{tenant: r.Tenant, instance: r.Instance, months: map[monthOfPlan]*monthUse{}}
			}
			if err := u.add(ctx, r, &marks); err != nil {
				yield(nil, err)
				return
			}
		}
		if u != nil {
			yield(u, nil)
		}
	}
}

func (q Query) check() error {
	switch {
	case !q.From.Equal(day(q.From)):
		return fmt.Errorf("charges from %s: want the beginning of a day, UTC", q.From.Format(time.RFC3339))
	case !q.To.Equal(q.To.Truncate(time.Hour)):
		return fmt.Errorf("charges to %s: want the end of an hour", q.To.Format(time.RFC3339))
	case !q.From.Before(q.To):
		return fmt.Errorf("charges from %s to %s: the period is empty or reversed", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	return nil
}

// add counts a record for the day that it is charged on.
func (u *use) add(ctx context.Context, r metering.Record, marks *markReader) error {
	if r.Part != "" {
		return nil // the whole has it
	}
	key := monthOfPlan{monthOfHour(r.Hour), r.Plan}
	m := u.months[key]
	if m == nil {
		m = &monthUse{own: map[time.Time]*Used{}, late: map[time.Time]*Used{}}
		u.months[key] = m
	}
	m.pool = r.Pool
	at, late, err := marks.day(ctx, r)
	if err != nil {
		return err
	}
	days := m.own
	if late {
		days = m.late
	}
	if days[at] == nil {
		days[at] = &Used{}
	}
	days[at].Add(r.Values)
	return nil
}

// markReader remembers the marks of one tenant.
type markReader struct {
	finals Finals
	asOf   time.Time // what was invoiced later was not yet; zero: now
	tenant tenancy.TenantID
	known  map[Month]*Marks // nil: open
}

// day is when a record is charged: late, if not in the month of its hour.
func (mr *markReader) day(ctx context.Context, r metering.Record) (at time.Time, late bool, err error) {
	own := monthOfHour(r.Hour)
	var final time.Time // when the last month was invoiced without it
	for m := own; ; m++ {
		marks, err := mr.marks(ctx, r.Tenant, m)
		if err != nil {
			return at, late, err
		}
		if marks != nil && r.Number > marks.Numbers[r.Instance] {
			final = marks.At
			continue
		}
		if m == own {
			return day(r.Hour.Begin()), false, nil
		}
		at = r.Sealed
		if at.Before(final) {
			at = final // sealed long after its time
		}
		if at.Before(m.Begin()) {
			at = m.Begin()
		} else if !at.Before(m.End()) {
			at = m.End().Add(-time.Hour)
		}
		return day(at), true, nil
	}
}

func (mr *markReader) marks(ctx context.Context, t tenancy.TenantID, m Month) (*Marks, error) {
	if mr.finals == nil {
		return nil, nil //nolint:nilnil // nil is: open
	}
	if mr.tenant != t {
		mr.tenant = t
		clear(mr.known)
	}
	if marks, ok := mr.known[m]; ok {
		return marks, nil
	}
	marks, final, err := mr.finals.Marks(ctx, t, m)
	if err != nil {
		return nil, fmt.Errorf("what was invoiced to %s in %s: %w", t, m, err)
	}
	mr.known[m] = nil
	if final && (mr.asOf.IsZero() || !marks.At.After(mr.asOf)) {
		mr.known[m] = &marks
	}
	return mr.known[m], nil
}

// chargesOf are those of an instance that were asked for, in order.
func chargesOf(bills []bill, q Query) (all []Charge) {
	for i := range bills {
		for _, ch := range bills[i].charges {
			if !ch.Day.Before(day(q.From)) && ch.Day.Before(q.To) {
				all = append(all, ch)
			}
		}
	}
	slices.SortFunc(all, compareCharges)
	return all
}

func compareCharges(a, b Charge) int {
	return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Plan, b.Plan), compareBool(a.Correction, b.Correction),
		cmp.Compare(a.UsedIn, b.UsedIn), cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)), cmp.Compare(a.Meter, b.Meter), cmp.Compare(a.Tier, b.Tier))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func kindOrder(k Kind) int {
	if k == KindUsage {
		return 0
	}
	return 1
}
