package billing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
)

// bill is what an instance's use of a month on a plan costs.
type bill struct {
	monthOfPlan
	book    *Book
	used    Used // of the month, charged in it; without what was charged later
	charges []Charge
}

// bills rates what an instance used, month by month. Plans without prices have none.
func (p *PriceList) bills(q Query, u *use) ([]bill, error) {
	keys := slices.SortedFunc(maps.Keys(u.months), func(a, b monthOfPlan) int {
		return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.plan, b.plan))
	})
	var all []bill
	for _, key := range keys {
		of := u.months[key]
		if key.month < MonthOf(q.From) && len(of.late) == 0 {
			continue // read only to find corrections
		}
		book := p.Book(key.plan, key.month, q.AsOf)
		if book == nil {
			continue
		}
		m := &meterRun{book: book, charge: Charge{
			Tenant: u.tenant, Instance: u.instance, Plan: key.plan, Pool: of.pool, Currency: book.Currency, UsedIn: key.month,
		}}
		b := bill{monthOfPlan: key, book: book}
		if err := m.own(of.own, key.month, q.To); err != nil {
			return nil, err
		}
		b.used = m.used
		if err := m.late(of.late); err != nil {
			return nil, err
		}
		b.charges = m.charges
		all = append(all, b)
	}
	return all, nil
}

// meterRun adds up a month, and notes by how much each day's use makes it dearer.
type meterRun struct {
	book    *Book
	charge  Charge // what all have in common
	used    Used
	billed  []Item // what used costs so far
	charges []Charge
}

// own are the days of the month itself. Its minimum is charged on its last day, if
// the period reaches to its end.
func (m *meterRun) own(days map[time.Time]metering.Values, month Month, to time.Time) error {
	over := !month.End().After(to)
	last := day(month.End().Add(-time.Hour))
	order := slices.SortedFunc(maps.Keys(days), time.Time.Compare)
	for _, d := range order {
		m.used.Add(days[d])
		if err := m.settle(d, over && d.Equal(last)); err != nil {
			return err
		}
	}
	if over && len(order) > 0 {
		return m.settle(last, true)
	}
	return nil
}

// late are days on which hours of the month were charged when it had been invoiced.
func (m *meterRun) late(days map[time.Time]metering.Values) error {
	m.charge.Correction = true
	for _, d := range slices.SortedFunc(maps.Keys(days), time.Time.Compare) {
		m.used.Add(days[d])
		if err := m.settle(d, true); err != nil {
			return err
		}
	}
	return nil
}

// settle charges what is not billed yet, or gives back what was too much.
func (m *meterRun) settle(d time.Time, over bool) error {
	now := Rate(m.book, &m.used, over)
	for _, it := range now {
		if err := m.change(d, m.item(it), it); err != nil {
			return err
		}
	}
	for _, was := range m.billed {
		if !slices.ContainsFunc(now, was.same) { // a correction took all of it back
			gone := Item{Kind: was.Kind, Meter: was.Meter, Tier: was.Tier, Unit: was.Unit, UnitPrice: was.UnitPrice, Cost: zero(m.book.Currency)}
			if err := m.change(d, was, gone); err != nil {
				return err
			}
		}
	}
	m.billed = now
	return nil
}

func (it Item) same(o Item) bool {
	return it.Kind == o.Kind && it.Meter == o.Meter && it.Tier == o.Tier
}

// item is what was billed so far of the same.
func (m *meterRun) item(it Item) Item {
	if i := slices.IndexFunc(m.billed, it.same); i >= 0 {
		return m.billed[i]
	}
	return Item{Cost: zero(m.book.Currency)}
}

// change charges the difference, if there is any.
func (m *meterRun) change(d time.Time, was, is Item) error {
	var used apd.BigInt
	used.Sub(&is.Used, &was.Used)
	ch := m.charge
	ch.Day, ch.Meter, ch.Kind, ch.Tier, ch.Unit, ch.UnitPrice = d, is.Meter, is.Kind, is.Tier, is.Unit, is.UnitPrice
	ch.Quantity, ch.Cost = minus(is.Quantity, was.Quantity), minus(is.Cost, was.Cost)
	if used.Sign() == 0 && ch.Cost.IsZero() && ch.Quantity.IsZero() {
		return nil
	}
	if !used.IsInt64() {
		return fmt.Errorf("instance %s used %s of %s on %s: more than can be", ch.Instance, &used, ch.Meter, d.Format(time.DateOnly))
	}
	ch.Used = used.Int64()
	if ch.Kind == KindMinimum { // the price of a month is what it costs
		ch.Quantity, ch.UnitPrice = *apd.New(1, 0), ch.Cost
	}
	m.charges = append(m.charges, ch)
	return nil
}
