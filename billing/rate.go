package billing

import (
	"github.com/cockroachdb/apd/v3"

	"weir/metering"
)

// Used is what an instance used on a plan in a month, by meter. More than an int64:
// 4 TiB stored for a month are 10¹⁹ byte seconds.
type Used [metering.Meters]apd.BigInt

// Add adds what a record says.
func (u *Used) Add(v metering.Values) {
	for m, n := range v {
		if n != 0 {
			u[m].Add(&u[m], apd.NewBigInt(n))
		}
	}
}

func (u *Used) plus(o *Used) {
	for m := range u {
		u[m].Add(&u[m], &o[m])
	}
}

func (u *Used) clone() *Used {
	out := &Used{}
	for m := range u {
		out[m].Set(&u[m])
	}
	return out
}

// IsZero reports whether nothing was used. What strangers have done is no use.
func (u *Used) IsZero() bool {
	for m := range u {
		if u[m].Sign() != 0 && !byStrangers(metering.Meter(m)) {
			return false
		}
	}
	return true
}

// byStrangers says that anybody who can reach a gateway adds to a meter, and knows no
// more than an instance's name: nobody pays for that.
func byStrangers(m metering.Meter) bool {
	return m == metering.ConnectionAttempts || m == metering.AuthFailures
}

// Item is what one meter costs at one price; or, of KindMinimum, what a minimum adds.
type Item struct {
	Kind  Kind
	Meter metering.Meter
	Tier  int
	// Used is in the meter's own, Quantity in Unit (exact, but hours to 12 places).
	Used      apd.BigInt
	Unit      string
	Quantity  apd.Decimal
	UnitPrice apd.Decimal
	// Cost has the digits of the book's currency; half to even, rounded here and
	// nowhere else.
	Cost apd.Decimal
}

// Rate is what a month's use costs: an item for each price that something was used
// at, in order of meters and tiers. Where the month is over, the minimum's comes last.
// Pure: the same use costs the same.
func Rate(b *Book, u *Used, over bool) []Item {
	var items []Item
	total := zero(b.Currency)
	for i := range b.meters {
		for _, it := range b.meters[i].rate(&u[b.meters[i].meter], minorUnits[b.Currency]) {
			total = plus(total, it.Cost)
			items = append(items, it)
		}
	}
	if over && !u.IsZero() && less(total, b.minimum) {
		items = append(items, Item{
			Kind: KindMinimum, Unit: "Months", Quantity: *apd.New(1, 0),
			UnitPrice: minus(b.minimum, total), Cost: minus(b.minimum, total),
		})
	}
	return items
}

// rate is what one meter costs, tier by tier. Less than nothing counts as nothing.
func (b *meterBook) rate(used *apd.BigInt, places int32) (items []Item) {
	for i := range b.tiers {
		t := &b.tiers[i]
		if used.Cmp(&t.from) <= 0 {
			break
		}
		till := used
		if i+1 < len(b.tiers) && used.Cmp(&b.tiers[i+1].from) > 0 {
			till = &b.tiers[i+1].from
		}
		it := Item{Kind: KindUsage, Meter: b.meter, Tier: i, Unit: b.unit.shown(b.meter), UnitPrice: t.price}
		it.Used.Sub(till, &t.from)
		size := apd.NewBigInt(b.unit.size)
		it.Quantity = quotient(&it.Used, size, b.unit.places)
		it.Cost = cost(&it.Used, size, t.price, places)
		items = append(items, it)
	}
	return items
}

// cost is used ÷ size × price, rounded once.
func cost(used, size *apd.BigInt, price apd.Decimal, places int32) apd.Decimal {
	var n, d apd.BigInt
	n.Mul(used, &price.Coeff)
	d.Set(size)
	if price.Exponent < 0 {
		d.Mul(&d, pow10(-price.Exponent))
	} else {
		n.Mul(&n, pow10(price.Exponent))
	}
	return quotient(&n, &d, places)
}

// Total is what items cost together.
func Total(currency string, items []Item) apd.Decimal {
	sum := zero(currency)
	for i := range items {
		sum = plus(sum, items[i].Cost)
	}
	return sum
}
