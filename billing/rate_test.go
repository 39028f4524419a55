package billing

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"weir/metering"
)

func TestRate(t *testing.T) {
	const gib = 1 << 30
	for name, c := range map[string]struct {
		prices Prices
		used   map[metering.Meter]int64
		want   []string // meter tier quantity unit × price = cost
	}{
		"nothing used": {Prices{Currency: "EUR", Minimum: "5"}, nil, nil},
		"half to even down": { // 0.5 cents
			Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1K", Price: "0.005"}}},
			map[metering.Meter]int64{metering.Requests: 1000},
			[]string{"requests 0 1 1K Requests × 0.005 = 0.00"},
		},
		"half to even up": { // 1.5 cents
			Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1K", Price: "0.005"}}},
			map[metering.Meter]int64{metering.Requests: 3000},
			[]string{"requests 0 3 1K Requests × 0.005 = 0.02"},
		},
		"a hair over a half": { // 0.5000005 cents
			Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1M", Price: "0.005"}}},
			map[metering.Meter]int64{metering.Requests: 1000001},
			[]string{"requests 0 1.000001 1M Requests × 0.005 = 0.01"},
		},
		"one byte": {
			Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "produce_bytes", Unit: "GiB", Price: "0.04"}}},
			map[metering.Meter]int64{metering.ProduceBytes: 1},
			[]string{"produce_bytes 0 0.000000000931322574615478515625 GiB × 0.04 = 0.00"},
		},
		"free": {
			Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "fetch_bytes", Unit: "GiB", Price: "0.04", Free: "10"}}},
			map[metering.Meter]int64{metering.FetchBytes: 10 * gib},
			[]string{"fetch_bytes 0 10 GiB × 0 = 0.00"},
		},
		"free and tiers": {
			Prices{Currency: "USD", Meters: []MeterPrices{{
				Meter: "fetch_bytes", Unit: "GB", Price: "0.10", Free: "1",
				Tiers: []TierPrices{{"10", "0.05"}, {"100", "0.01"}},
			}}},
			map[metering.Meter]int64{metering.FetchBytes: 250e9},
			[]string{"fetch_bytes 0 1 GB × 0 = 0.00", "fetch_bytes 1 9 GB × 0.1 = 0.90", "fetch_bytes 2 90 GB × 0.05 = 4.50", "fetch_bytes 3 150 GB × 0.01 = 1.50"},
		},
		"no minor units": { // 2.5 yen, half to even
			Prices{Currency: "JPY", Minimum: "100", Meters: []MeterPrices{{Meter: "partition_seconds", Unit: "Hours", Price: "2.5"}}},
			map[metering.Meter]int64{metering.PartitionSeconds: 3600},
			[]string{"partition_seconds 0 1 Partition-Hours × 2.5 = 2", "minimum 98"},
		},
		"three minor units, a third of an hour": {
			Prices{Currency: "KWD", Meters: []MeterPrices{{Meter: "connection_seconds", Unit: "Hours", Price: "1"}}},
			map[metering.Meter]int64{metering.ConnectionSeconds: 1200},
			[]string{"connection_seconds 0 0.333333333333 Connection-Hours × 1 = 0.333"},
		},
		"what has no price is free, but calls for the minimum": {
			Prices{Currency: "EUR", Minimum: "4.99"},
			map[metering.Meter]int64{metering.Requests: 1},
			[]string{"minimum 4.99"},
		},
		"what strangers did to an idle instance calls for nothing": {
			Prices{Currency: "EUR", Minimum: "4.99"},
			map[metering.Meter]int64{metering.ConnectionAttempts: 7, metering.AuthFailures: 7},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var u Used
			u.Add(used(c.used))
			var got []string
			for _, it := range Rate(mustBook(t, c.prices), &u, true) {
				if it.Kind == KindMinimum {
					got = append(got, "minimum "+Money(it.Cost))
					continue
				}
				got = append(got, fmt.Sprintf("%s %d %s %s × %s = %s", it.Meter, it.Tier, Text(it.Quantity), it.Unit, Text(it.UnitPrice), Money(it.Cost)))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestQuotient compares with big.Rat, which knows nothing of apd.
func TestQuotient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		d := rapid.SampledFrom([]int64{1, 2, 3, 7, 8, 1000, 3600, 1 << 30, 3600 << 30}).Draw(t, "d")
		places := rapid.Int32Range(0, 6).Draw(t, "places")
		if rapid.Bool().Draw(t, "tie") { // the next tie, if there is one
			n -= n % d
			n += d / 2
		}
		got := quotient(apd.NewBigInt(n), apd.NewBigInt(d), places)
		rat := big.NewRat(n, d)
		rounded, ok := new(big.Rat).SetString(got.Text('f'))
		if !ok {
			t.Fatal(got.Text('f'))
		}
		ulp := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
		off := new(big.Rat).Sub(rounded, rat)
		twice := new(big.Rat).Mul(off.Abs(off), big.NewRat(2, 1))
		switch c := twice.Cmp(ulp); {
		case c > 0:
			t.Fatalf("%d/%d to %d places is %s: off by more than a half", n, d, places, &got)
		case c == 0 && got.Coeff.Bit(0) == 1:
			t.Fatalf("%d/%d to %d places is %s: a tie, and odd", n, d, places, &got)
		}
	})
}

// drawPrices are any that are right.
func drawPrices(t *rapid.T, currency string) Prices {
	p := Prices{Currency: currency}
	if rapid.Bool().Draw(t, "minimum") {
		p.Minimum = fmt.Sprint(rapid.IntRange(0, 100).Draw(t, "min"))
	}
	for _, m := range []metering.Meter{metering.ProduceBytes, metering.Requests, metering.PartitionSeconds, metering.StorageByteSeconds} {
		units := unitsOf[measured[m].kind]
		mp := MeterPrices{
			Meter: m.String(), Unit: units[rapid.IntRange(0, len(units)-1).Draw(t, "unit")].name,
			Price: fmt.Sprintf("0.%012d", rapid.Int64Range(0, 999_999_999_999).Draw(t, "price")),
		}
		above := 0
		if rapid.Bool().Draw(t, "free") {
			above = rapid.IntRange(1, 3).Draw(t, "units")
			mp.Free = fmt.Sprint(above)
		}
		for range rapid.IntRange(0, 3).Draw(t, "tiers") {
			above += rapid.IntRange(1, 5).Draw(t, "more")
			mp.Tiers = append(mp.Tiers, TierPrices{fmt.Sprint(above), fmt.Sprintf("%d.%d", rapid.IntRange(0, 9).Draw(t, "whole"), rapid.IntRange(0, 99).Draw(t, "part"))})
		}
		p.Meters = append(p.Meters, mp)
	}
	return p
}

// drawValues are some use, around where tiers are.
func drawValues(t *rapid.T) metering.Values {
	return used(map[metering.Meter]int64{
		metering.ProduceBytes:       rapid.Int64Range(0, 30<<30).Draw(t, "bytes"),
		metering.Requests:           rapid.Int64Range(0, 30e6).Draw(t, "requests"),
		metering.PartitionSeconds:   rapid.Int64Range(0, 30*3600).Draw(t, "seconds"),
		metering.StorageByteSeconds: rapid.Int64Range(0, 30*3600<<30).Draw(t, "byteseconds"),
	})
}

func TestRateIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, wrong := new(drawPrices(t, rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(t, "currency"))).Book()
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		var less, more Used
		v := drawValues(t)
		less.Add(v)
		more.Add(v)
		more.Add(drawValues(t))
		for _, over := range []bool{false, true} {
			a, z := Total(b.Currency, Rate(b, &less, over)), Total(b.Currency, Rate(b, &more, over))
			if z.Cmp(&a) < 0 {
				t.Fatalf("over %v: %s for less, %s for more", over, &a, &z)
			}
		}
	})
}

// TestTiersAreContinuous: the first byte of a tier costs what one byte costs there, and
// perhaps a cent by rounding; not that others become dearer by it.
func TestTiersAreContinuous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _ := new(drawPrices(t, "EUR")).Book()
		for i := range b.meters {
			m := &b.meters[i]
			sum := func(n *apd.BigInt) apd.Decimal { return Total("EUR", m.rate(n, 2)) }
			for j := range m.tiers {
				next := new(apd.BigInt).Add(&m.tiers[j].from, apd.NewBigInt(1))
				step := minus(sum(next), sum(&m.tiers[j].from))
				one := cost(apd.NewBigInt(1), apd.NewBigInt(m.unit.size), m.tiers[j].price, 2)
				if most := plus(one, *apd.New(1, -2)); step.Cmp(&most) > 0 {
					t.Fatalf("%s, tier %d: the first of it costs %s", m.meter, j, &step)
				}
			}
		}
	})
}
