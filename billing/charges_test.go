package billing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"weir/metering"
	"weir/tenancy"
)

func show(all []Charge) string {
	var b strings.Builder
	for _, c := range all {
		what := c.Meter.String()
		if c.Kind == KindMinimum {
			what = "minimum"
		}
		fmt.Fprintf(&b, "%s %s %s %d: %s × %s = %s", c.Day.Format("01-02"), c.Instance, what, c.Tier, Text(c.Quantity), Text(c.UnitPrice), Money(c.Cost))
		if c.Correction {
			fmt.Fprintf(&b, " of %s", c.UsedIn)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// simple costs 1 cent a request, 10 of them free, and 1 € at the least.
func simple(t testing.TB) fixedBooks {
	return fixedBooks{"standard": mustBook(t, Prices{Currency: "EUR", Minimum: "1", Meters: []MeterPrices{
		{Meter: "requests", Unit: "1", Price: "0.01", Free: "10", Tiers: []TierPrices{{"1000", "0.005"}}},
	}})}
}

func requests(n int64) metering.Values { return used(map[metering.Meter]int64{metering.Requests: n}) }

func TestCharges(t *testing.T) {
	records := &fakeRecords{}
	records.add(t, "orders", "standard", "2026-10-31T23", requests(500))
	records.add(t, "orders", "standard", "2026-11-01T00", requests(15))
	records.add(t, "orders", "standard", "2026-11-01T23", requests(5))
	records.add(t, "orders", "standard", "2026-11-30T23", requests(1000))
	records.add(t, "orders", "standard", "2026-12-01T00", requests(7))
	records.add(t, "bills", "standard", "2026-11-03T05", requests(20))
	records.add(t, "bills", "unpriced", "2026-11-03T05", requests(20))
	c := &Charger{Records: records, Books: simple(t)}
	for name, k := range map[string]struct {
		from, to string
		want     string
	}{
		"a month": {"2026-11-01", "2026-12-01", `
11-03 bills requests 0: 10 × 0 = 0.00
11-03 bills requests 1: 10 × 0.01 = 0.10
11-30 bills minimum 0: 1 × 0.9 = 0.90
11-01 orders requests 0: 10 × 0 = 0.00
11-01 orders requests 1: 10 × 0.01 = 0.10
11-30 orders requests 1: 980 × 0.01 = 9.80
11-30 orders requests 2: 20 × 0.005 = 0.10
`},
		"a day, by what the month came to before": {"2026-11-30", "2026-12-01", `
11-30 bills minimum 0: 1 × 0.9 = 0.90
11-30 orders requests 1: 980 × 0.01 = 9.80
11-30 orders requests 2: 20 × 0.005 = 0.10
`},
		"no minimum before the month is over": {"2026-11-01", "2026-11-30", `
11-03 bills requests 0: 10 × 0 = 0.00
11-03 bills requests 1: 10 × 0.01 = 0.10
11-01 orders requests 0: 10 × 0 = 0.00
11-01 orders requests 1: 10 × 0.01 = 0.10
`},
		"over the month's end": {"2026-10-31", "2026-11-02", `
10-31 orders requests 0: 10 × 0 = 0.00
10-31 orders requests 1: 490 × 0.01 = 4.90
11-01 orders requests 0: 10 × 0 = 0.00
11-01 orders requests 1: 10 × 0.01 = 0.10
`},
		"a day not over": {"2026-11-01", "2026-11-01T23:00:00Z", `
11-01 orders requests 0: 10 × 0 = 0.00
11-01 orders requests 1: 5 × 0.01 = 0.05
`},
		"nothing": {"2026-11-07", "2026-11-09", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "\n" + show(charges(t, c, Query{From: at(t, k.from), To: at(t, k.to)}))
			if got != k.want {
				t.Errorf("got %s\nwant %s", got, k.want)
			}
		})
	}
}

// TestLeapFebruary: the 29th is in it, and the minimum is charged then.
func TestLeapFebruary(t *testing.T) {
	records := &fakeRecords{}
	records.add(t, "orders", "standard", "2028-02-29T23", requests(11))
	c := &Charger{Records: records, Books: simple(t)}
	got := show(charges(t, c, Query{From: at(t, "2028-02-01"), To: at(t, "2028-03-01")}))
	const want = `02-29 orders requests 0: 10 × 0 = 0.00
02-29 orders requests 1: 1 × 0.01 = 0.01
02-29 orders minimum 0: 1 × 0.99 = 0.99
`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestCorrections(t *testing.T) {
	records := &fakeRecords{}
	correct := func(hour string, n int64, revision int, sealed string) {
		r := records.add(t, "orders", "standard", hour, requests(n))
		r.Revision, r.Sealed = revision, at(t, sealed)
	}
	correct("2026-11-30T20", 1000, 0, "2026-11-30T21:15:00Z") // 1
	correct("2026-11-30T20", 10, 1, "2026-12-02T00:00:00Z")   // 2: before the statement
	correct("2026-11-30T20", 6, 2, "2026-12-05T09:00:00Z")    // 3: after it
	correct("2026-11-30T21", -16, 1, "2026-12-05T10:00:00Z")  // 4: and on the same day
	correct("2026-11-30T20", -900, 3, "2026-12-06T09:00:00Z") // 5
	correct("2026-11-30T22", 100, 0, "2026-11-30T23:15:00Z")  // 6: sealed late, under its own time
	correct("2026-12-07T00", 1, 0, "2026-12-07T01:15:00Z")    // 7
	finals := fakeFinals{monthOf(t, "2026-11"): {At: at(t, "2026-12-03T00:00:00Z"), Numbers: map[tenancy.InstanceID]int64{"orders": 2}}}
	c := &Charger{Records: records, Books: simple(t), Finals: finals}

	got := show(charges(t, c, Query{From: at(t, "2026-11-01"), To: at(t, "2026-12-01")}))
	const november = `11-30 orders requests 0: 10 × 0 = 0.00
11-30 orders requests 1: 990 × 0.01 = 9.90
11-30 orders requests 2: 10 × 0.005 = 0.05
`
	if got != november { // 5 cents are half to even of 0.05: exact
		t.Errorf("got %s\nwant %s", got, november)
	}
	got = show(charges(t, c, Query{From: at(t, "2026-12-01"), To: at(t, "2027-01-01")}))
	// On the 3rd 100 more came, which had been used in November, above 1000; on the 5th
	// 10 of them are taken back; on the 6th 900: all above 1000 (100) and 800 below.
	const december = `12-03 orders requests 2: 100 × 0.005 = 0.50 of 2026-11
12-05 orders requests 2: -10 × 0.005 = -0.05 of 2026-11
12-06 orders requests 1: -800 × 0.01 = -8.00 of 2026-11
12-06 orders requests 2: -100 × 0.005 = -0.50 of 2026-11
12-07 orders requests 0: 1 × 0 = 0.00
12-31 orders minimum 0: 1 × 1 = 1.00
`
	if got != december {
		t.Errorf("got %s\nwant %s", got, december)
	}

	finals[monthOf(t, "2026-12")] = Marks{At: at(t, "2027-01-03T00:00:00Z"), Numbers: map[tenancy.InstanceID]int64{"orders": 7}}
	if again := show(charges(t, c, Query{From: at(t, "2026-12-01"), To: at(t, "2027-01-01")})); again != december {
		t.Errorf("when December is final too: %s", again)
	}
	correct("2026-11-30T20", 1, 4, "2026-12-31T23:00:00Z") // 8: sealed before, but nobody had seen it
	if got := show(charges(t, c, Query{From: at(t, "2027-01-01"), To: at(t, "2027-02-01")})); got != "01-03 orders requests 1: 1 × 0.01 = 0.01 of 2026-11\n" {
		t.Errorf("in January: %s", got)
	}
}

func monthOf(t testing.TB, text string) Month {
	t.Helper()
	m, err := ParseMonth(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBadQueries(t *testing.T) {
	c := &Charger{Records: &fakeRecords{}, Books: simple(t)}
	for name, q := range map[string]Query{
		"reversed":  {From: at(t, "2026-11-02"), To: at(t, "2026-11-01")},
		"empty":     {From: at(t, "2026-11-02"), To: at(t, "2026-11-02")},
		"no day":    {From: at(t, "2026-11-02T01:00:00Z"), To: at(t, "2026-11-03")},
		"no hour":   {From: at(t, "2026-11-02"), To: at(t, "2026-11-03T00:30:00Z")},
		"elsewhere": {From: at(t, "2026-11-02").In(time.FixedZone("", 3600)).Add(-time.Hour), To: at(t, "2026-11-03")},
	} {
		n := 0
		for _, err := range c.Charges(t.Context(), q) {
			n++
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d times, want one error", name, n)
		}
	}
}

// TestChargesAddUp: whatever is used when, and however it is asked for day by day, the
// charges of a month are what the month costs, to the last digit.
func TestChargesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(t, "currency")
		book, _ := new(drawPrices(t, currency)).Book()
		records, total := &fakeRecords{}, Used{}
		for i := range rapid.IntRange(0, 12).Draw(t, "records") {
			hour := metering.HourOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) + metering.Hour(rapid.IntRange(0, 719).Draw(t, "hour"))
			v := drawValues(t)
			total.Add(v)
			records.sealed = append(records.sealed, metering.Record{
				Line: metering.Line{Hour: hour, Instance: "orders", Tenant: "t-acme", Plan: "standard"}, Values: v, Number: int64(i + 1),
			})
		}
		c := &Charger{Records: records, Books: fixedBooks{"standard": book}}
		want := map[string]apd.Decimal{}
		for _, it := range Rate(book, &total, true) {
			want[fmt.Sprint(it.Kind, it.Meter, it.Tier)] = it.Cost
			want[fmt.Sprint(it.Kind, it.Meter, it.Tier, "used")] = it.Quantity
		}
		got := map[string]apd.Decimal{}
		month := Query{From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
		for d := month.From; d.Before(month.To); d = d.AddDate(0, 0, 1) {
			for ch, err := range c.Charges(t.Context(), Query{From: d, To: d.AddDate(0, 0, 1)}) {
				if err != nil {
					t.Fatal(err)
				}
				key := fmt.Sprint(ch.Kind, ch.Meter, ch.Tier)
				got[key] = plus(got[key], ch.Cost)
				got[key+"used"] = plus(got[key+"used"], ch.Quantity)
			}
		}
		for key, is := range got {
			if w := want[key]; is.Cmp(&w) != 0 && !strings.HasPrefix(key, string(KindMinimum)) {
				t.Fatalf("%s: charges are %s, the month is %s", key, &is, &w)
			}
		}
		sum := zero(currency)
		for ch := range c.Charges(t.Context(), month) {
			sum = plus(sum, ch.Cost)
		}
		if all := Total(currency, Rate(book, &total, true)); sum.Cmp(&all) != 0 {
			t.Fatalf("charges are %s, the month is %s", &sum, &all)
		}
	})
}

// TestCorrectionsAddUp: however late records come, and whenever months were invoiced,
// all charges for a month are together what the month cost.
func TestCorrectionsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, _ := new(drawPrices(t, "EUR")).Book()
		records, total := &fakeRecords{}, Used{}
		begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		n := rapid.IntRange(1, 10).Draw(t, "records")
		for i := range n {
			hour := metering.HourOf(begin) + metering.Hour(rapid.IntRange(0, 719).Draw(t, "hour"))
			v := drawValues(t)
			if i > 0 && rapid.Bool().Draw(t, "back") { // a correction takes back what was too much
				was := records.sealed[i-1]
				for m := range v {
					v[m] = -max(0, was.Values[m]/2)
				}
				hour = was.Hour
			}
			total.Add(v)
			sealed := hour.End().Add(time.Duration(rapid.IntRange(0, 40*24).Draw(t, "late")) * time.Hour)
			records.sealed = append(records.sealed, metering.Record{
				Line:   metering.Line{Hour: hour, Instance: "orders", Tenant: "t-acme", Plan: "standard"},
				Values: v, Number: int64(i + 1), Sealed: sealed, Revision: i,
			})
		}
		finals := fakeFinals{}
		mark := int64(0)
		for i, m := range []Month{MonthOf(begin), MonthOf(begin) + 1} {
			mark = rapid.Int64Range(mark, int64(n)).Draw(t, "mark")
			if rapid.Bool().Draw(t, "final") && (i == 0 || len(finals) == 1) {
				finals[m] = Marks{At: m.End().Add(50 * time.Hour), Numbers: map[tenancy.InstanceID]int64{"orders": mark}}
			}
		}
		c := &Charger{Records: records, Books: fixedBooks{"standard": book}, Finals: finals}
		sum := zero("EUR")
		for m := MonthOf(begin); m < MonthOf(begin)+3; m++ {
			for ch, err := range c.Charges(t.Context(), Query{From: m.Begin(), To: m.End()}) {
				if err != nil {
					t.Fatal(err)
				}
				if ch.UsedIn != MonthOf(begin) || ch.Correction != (m > MonthOf(begin)) || MonthOf(ch.Day) != m {
					t.Fatalf("asked for %s: %+v", m, ch)
				}
				sum = plus(sum, ch.Cost)
			}
		}
		if all := Total("EUR", Rate(book, &total, true)); sum.Cmp(&all) != 0 {
			t.Fatalf("charges are %s, the month is %s", &sum, &all)
		}
	})
}

// TestMoreThan64Bits: 400 TB stored for a day are 3.4 × 10¹⁹ byte seconds.
func TestMoreThan64Bits(t *testing.T) {
	records := &fakeRecords{}
	for h := range 24 {
		records.add(t, "orders", "standard", fmt.Sprintf("2026-11-30T%02d", h), used(map[metering.Meter]int64{metering.StorageByteSeconds: 400e12 * 3600}))
	}
	c := &Charger{Records: records, Books: fixedBooks{"standard": mustBook(t, Prices{Currency: "EUR", Meters: []MeterPrices{
		{Meter: "storage_byte_seconds", Unit: "GB-Hours", Price: "0.0001"},
	}})}}
	all := charges(t, c, Query{From: at(t, "2026-11-01"), To: at(t, "2026-12-01")})
	// 400,000 GB × 24 hours × 0.0001
	if len(all) != 1 || Money(all[0].Cost) != "960.00" || all[0].Used.String() != "34560000000000000000" {
		t.Errorf("got %s, used %s", show(all), &all[0].Used)
	}
}
