package billing

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// bill is what an instance's use of a month on a plan costs.
type bill struct {
	monthOfPlan
	book    *Book
	used    *Used // of the month, charged in it; without what was charged later
	charges []Charge
}

// bills rates what an instance used, month by month. Plans without prices have none.
func (p *PriceList) bills(q Query, u *use) []bill {
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
		m.own(of.own, key.month, q.To)
		b.used = m.used.clone()
		m.late(of.late)
		b.charges = m.charges
		all = append(all, b)
	}
	return all
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
func (m *meterRun) own(days map[time.Time]*Used, month Month, to time.Time) {
	over := !month.End().After(to)
	last := day(month.End().Add(-time.Hour))
	order := slices.SortedFunc(maps.Keys(days), time.Time.Compare)
	for _, d := range order {
		m.used.plus(days[d])
		m.settle(d, over && d.Equal(last))
	}
	if over && len(order) > 0 {
		m.settle(last, true)
	}
}

// late are days on which hours of the month were charged when it had been invoiced.
func (m *meterRun) late(days map[time.Time]*Used) {
	m.charge.Correction = true
	for _, d := range slices.SortedFunc(maps.Keys(days), time.Time.Compare) {
		m.used.plus(days[d])
		m.settle(d, true)
	}
}

// settle charges what is not billed yet, or gives back what was too much.
func (m *meterRun) settle(d time.Time, over bool) {
	now := Rate(m.book, &m.used, over)
	for _, it := range now {
		m.change(d, m.item(it), it)
	}
	for _, was := range m.billed {
		if !slices.ContainsFunc(now, was.same) { // a correction took all of it back
			gone := Item{Kind: was.Kind, Meter: was.Meter, Tier: was.Tier, Unit: was.Unit, UnitPrice: was.UnitPrice, Cost: zero(m.book.Currency)}
			m.change(d, was, gone)
		}
	}
	m.billed = now
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
func (m *meterRun) change(d time.Time, was, is Item) {
	ch := m.charge
	ch.Used.Sub(&is.Used, &was.Used)
	ch.Day, ch.Meter, ch.Kind, ch.Tier, ch.Unit, ch.UnitPrice = d, is.Meter, is.Kind, is.Tier, is.Unit, is.UnitPrice
	ch.Quantity, ch.Cost = minus(is.Quantity, was.Quantity), minus(is.Cost, was.Cost)
	if ch.Used.Sign() == 0 && ch.Cost.IsZero() && ch.Quantity.IsZero() {
		return
	}
	if ch.Kind == KindMinimum { // the price of a month is what it costs
		ch.Quantity, ch.UnitPrice = *apd.New(1, 0), ch.Cost
	}
	m.charges = append(m.charges, ch)
}
