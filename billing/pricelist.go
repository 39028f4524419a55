package billing

import (
	"time"
)

// PriceList are the prices of all plans, in all months. Immutable once made.
type PriceList struct {
	versions map[string][]version
	pinned   map[monthOfPlan]*Book // what was invoiced by
}

// version is what a plan costs from a month on, until there is a later one.
type version struct {
	from   Month
	at     time.Time // when it was said
	unset  bool      // the file's again: prices and book are those
	prices Prices
	book   *Book // nil: nothing is billed
}

func (p *PriceList) add(plan string, v version) {
	if p.versions == nil {
		p.versions = map[string][]version{}
	}
	p.versions[plan] = append(p.versions[plan], v)
}

// Say adds what SetPrices would write, or UnsetPrices where prices are nil: for a look at
// what would be. Prices must be right. Before anybody else has the list.
func (p *PriceList) Say(plan string, from Month, prices *Prices, at time.Time) {
	v := version{from: from, at: at}
	if prices == nil {
		v.fileAgain(p.versions[plan])
	} else {
		v.prices = *prices
		v.book, _ = prices.Book()
	}
	p.add(plan, v)
}

// fileAgain makes v what the file says, which is the first of a plan's versions if it says
// anything.
func (v *version) fileAgain(all []version) {
	v.unset = true
	if len(all) > 0 && all[0].from == 0 {
		v.prices, v.book = all[0].prices, all[0].book
	}
}

// Book is what a plan costs in a month, as far as was said at that moment (zero: now);
// nil if it has no prices. Of what was said for the same month the newest counts; but
// when a month has been invoiced, what it was invoiced by.
func (p *PriceList) Book(plan string, m Month, asOf time.Time) *Book {
	if b, ok := p.pinned[monthOfPlan{m, plan}]; ok {
		return b
	}
	if v := p.version(plan, m, asOf); v != nil { // its book may be nil
		return v.book
	}
	return nil
}

// version is that of a month; nil if there is none.
func (p *PriceList) version(plan string, m Month, asOf time.Time) (found *version) {
	all := p.versions[plan]
	for i := range all {
		v := &all[i]
		if v.from > m || !asOf.IsZero() && v.at.After(asOf) {
			continue
		}
		if found == nil || v.from > found.from || v.from == found.from && !v.at.Before(found.at) {
			found = v
		}
	}
	return found
}

// PlanPrices are prices with the month that they are from; the zero Month is of those
// in the gateway's file.
type PlanPrices struct {
	From   Month
	Prices Prices
	// Unset: the file's count again from that month on, a later one than was asked for;
	// no currency if it has none.
	Unset bool
}

// Plan are a plan's prices from a month on: those in force then, and those to come.
func (p *PriceList) Plan(plan string, m Month) (all []PlanPrices) {
	if v := p.version(plan, m, time.Time{}); v != nil && v.book != nil {
		from := v.from
		if v.unset {
			from = 0
		}
		all = append(all, PlanPrices{From: from, Prices: v.prices})
	}
	last := m
	for {
		next := Month(0)
		for _, v := range p.versions[plan] {
			if v.from > last && (next == 0 || v.from < next) {
				next = v.from
			}
		}
		if next == 0 {
			return all
		}
		v := p.version(plan, next, time.Time{})
		all = append(all, PlanPrices{From: v.from, Prices: v.prices, Unset: v.unset})
		last = next
	}
}

// Prices are those that a plan has in a month, as Book.
func (p *PriceList) Prices(plan string, m Month, asOf time.Time) *Prices {
	if v := p.version(plan, m, asOf); v != nil && v.book != nil {
		return &v.prices
	}
	return nil
}
