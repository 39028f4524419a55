package billing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"weir/metering"
	"weir/tenancy"
)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newStore(t testing.TB, file map[string]Prices) *Store {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return NewStore(rdb, file)
}

// newBiller bills records in memory with a Redis of its own; all that is a day old is sealed.
func newBiller(t testing.TB, records *fakeRecords, file map[string]Prices) (*Biller, *clock) {
	t.Helper()
	c := &clock{}
	b := NewBiller(Config{
		Records: records, Store: newStore(t, file), Now: c.now,
		Sealed: func(context.Context) (metering.Hour, error) { return metering.HourOf(c.at) - 1, nil },
		Tenants: func(_ context.Context, m Month) iter.Seq2[tenancy.TenantID, error] {
			return func(yield func(tenancy.TenantID, error) bool) {
				seen := map[tenancy.TenantID]bool{}
				for _, r := range records.sealed {
					if monthOfHour(r.Hour) == m && !seen[r.Tenant] {
						seen[r.Tenant] = true
						if !yield(r.Tenant, nil) {
							return
						}
					}
				}
			}
		},
	})
	return b, c
}

func lines(st Statement) string {
	var b strings.Builder
	for _, l := range st.Lines {
		fmt.Fprintf(&b, "%s %s %s%s %d: %s %s × %s = %s", l.Instance, l.Plan, l.Meter, map[bool]string{true: "minimum"}[l.Kind == KindMinimum], l.Tier, l.Quantity, l.Unit, l.UnitPrice, l.Amount)
		if l.Correction {
			fmt.Fprintf(&b, " of %s", l.UsedIn)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s %s", st.Total, st.Currency)
	return b.String()
}

// byHand are the prices of TestStatementByHand.
func byHand() map[string]Prices {
	return map[string]Prices{
		"standard": {Currency: "EUR", Minimum: "5.00", Meters: []MeterPrices{
			{Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "10", Tiers: []TierPrices{{"100", "0.03"}, {"1000", "0.025"}}},
			{Meter: "fetch_bytes", Unit: "GiB", Price: "0.0213"},
			{Meter: "partition_seconds", Unit: "Hours", Price: "0.0015"},
			{Meter: "storage_byte_seconds", Unit: "GiB-Hours", Price: "0.000137"},
		}},
		"pro": {Currency: "EUR", Minimum: "50.00", Meters: []MeterPrices{
			{Meter: "produce_bytes", Unit: "GB", Price: "0.0299", Tiers: []TierPrices{{"5000", "0.0199"}}},
			{Meter: "requests", Unit: "1M", Price: "0.35", Free: "1"},
		}},
	}
}

// TestStatementByHand: two instances on two plans with tiers, to the cent.
//
//	orders, standard:
//	  produce_bytes  1234.5 GiB: 10 free; 90 × 0.04 = 3.60; 900 × 0.03 = 27.00;
//	                 234.5 × 0.025 = 5.8625 → 5.86
//	  fetch_bytes    777 GiB × 0.0213 = 16.5501 → 16.55
//	  partitions     12 partitions × 720 hours = 8640 × 0.0015 = 12.96
//	  storage        250 GiB × 720 hours = 180000 × 0.000137 = 24.66
//	                                       3.60 + 27.00 + 5.86 + 16.55 + 12.96 + 24.66 = 90.63
//	tiny, standard:  11 GiB: 10 free, 1 × 0.04 = 0.04; the minimum adds 4.96     =  5.00
//	events, pro:
//	  produce_bytes  7250.25 GB: 5000 × 0.0299 = 149.50;
//	                 2250.25 × 0.0199 = 44.779975 → 44.78
//	  requests       41.5 M: 1 free; 40.5 × 0.35 = 14.175 → 14.18 (half to even: 14.17|5 → 8 is even)
//	                                                            149.50 + 44.78 + 14.18 = 208.46
//	orders, pro, from the 30th on: 1 GB × 0.0299 = 0.0299 → 0.03; the minimum adds 49.97 = 50.00
//	                                                                      total   354.09
func TestStatementByHand(t *testing.T) {
	const gib = 1 << 30
	records := &fakeRecords{}
	for d := 1; d <= 30; d++ { // evenly over the days; the rest on the last
		v := used(map[metering.Meter]int64{
			metering.ProduceBytes: 41 * gib, metering.FetchBytes: 25 * gib,
			metering.PartitionSeconds: 12 * 86400, metering.StorageByteSeconds: 250 * gib * 86400,
		})
		if d == 30 {
			v[metering.ProduceBytes] += 4*gib + gib/2 // 1234.5
			v[metering.FetchBytes] += 27 * gib        // 777
		}
		records.add(t, "orders", "standard", fmt.Sprintf("2026-11-%02dT13", d), v)
	}
	records.add(t, "orders", "pro", "2026-11-30T14", used(map[metering.Meter]int64{metering.ProduceBytes: 1e9}))
	records.add(t, "tiny", "standard", "2026-11-11T11", used(map[metering.Meter]int64{metering.ProduceBytes: 11 * gib}))
	records.add(t, "events", "pro", "2026-11-01T00", used(map[metering.Meter]int64{metering.ProduceBytes: 5000.25e9, metering.Requests: 40e6}))
	records.add(t, "events", "pro", "2026-11-30T23", used(map[metering.Meter]int64{metering.ProduceBytes: 2250e9, metering.Requests: 1.5e6}))
	records.add(t, "events", "pro", "2026-10-31T23", used(map[metering.Meter]int64{metering.ProduceBytes: 9e12})) // October's
	records.add(t, "events", "pro", "2026-12-01T00", used(map[metering.Meter]int64{metering.ProduceBytes: 9e12})) // December's
	b, c := newBiller(t, records, byHand())
	c.at = at(t, "2026-12-01T02:00:00Z")

	all, err := b.Statements(t.Context(), "t-acme", monthOf(t, "2026-11"))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	const want = `events pro produce_bytes 0: 5000 GB × 0.0299 = 149.50
events pro produce_bytes 1: 2250.25 GB × 0.0199 = 44.78
events pro requests 0: 1 1M Requests × 0 = 0.00
events pro requests 1: 40.5 1M Requests × 0.35 = 14.18
orders pro produce_bytes 0: 1 GB × 0.0299 = 0.03
orders pro minimum 0: 1 Months × 49.97 = 49.97
orders standard produce_bytes 0: 10 GiB × 0 = 0.00
orders standard produce_bytes 1: 90 GiB × 0.04 = 3.60
orders standard produce_bytes 2: 900 GiB × 0.03 = 27.00
orders standard produce_bytes 3: 234.5 GiB × 0.025 = 5.86
orders standard fetch_bytes 0: 777 GiB × 0.0213 = 16.55
orders standard partition_seconds 0: 8640 Partition-Hours × 0.0015 = 12.96
orders standard storage_byte_seconds 0: 180000 GiB-Hours × 0.000137 = 24.66
tiny standard produce_bytes 0: 10 GiB × 0 = 0.00
tiny standard produce_bytes 1: 1 GiB × 0.04 = 0.04
tiny standard minimum 0: 1 Months × 4.96 = 4.96
354.09 EUR`
	if diff := cmp.Diff(want, lines(all[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sum := zero("EUR")
	for _, ch := range charges(t, &b.Charger, Query{Tenant: "t-acme", From: at(t, "2026-11-01"), To: at(t, "2026-12-01")}) {
		sum = plus(sum, ch.Cost)
	}
	if Money(sum) != all[0].Total {
		t.Errorf("charges are %s, the statement is %s", Money(sum), all[0].Total)
	}
}

func TestFinalize(t *testing.T) {
	records := &fakeRecords{}
	records.add(t, "orders", "standard", "2026-11-05T00", requests(210))
	file := map[string]Prices{"standard": {Currency: "EUR", Minimum: "1", Meters: []MeterPrices{{Meter: "requests", Unit: "1", Price: "0.01", Free: "10"}}}}
	b, c := newBiller(t, records, file)
	november := monthOf(t, "2026-11")

	for _, early := range []string{"2026-11-20T00:00:00Z", "2026-11-30T23:59:59Z", "2026-12-01T00:59:59Z"} {
		c.at = at(t, early)
		if _, err := b.Finalize(t.Context(), "t-acme", november); !errors.Is(err, ErrOpen) {
			t.Errorf("at %s: %v, want ErrOpen", early, err)
		}
	}
	c.at = at(t, "2026-12-02T12:00:00Z")
	final, err := b.Finalize(t.Context(), "t-acme", november)
	if err != nil || len(final) != 1 {
		t.Fatal(final, err)
	}
	st := final[0]
	if st.ID != "t-acme-2026-11-EUR" || st.State != StateFinal || st.Total != "2.00" || !st.Finalized.Equal(c.at) || !st.Through.Equal(november.End()) {
		t.Errorf("%+v", st)
	}
	var file1 bytes.Buffer
	if err := st.WriteCSV(&file1); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(file1.Bytes()); st.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("sha256 %s is not that of its csv", st.SHA256)
	}

	// What comes later, and other prices, change nothing: not of it, and not its charges.
	records.add(t, "orders", "standard", "2026-11-05T00", requests(10)).Revision = 1
	records.sealed[len(records.sealed)-1].Sealed = at(t, "2026-12-09T10:00:00Z")
	file["standard"] = Prices{Currency: "USD", Minimum: "77"}
	c.at = at(t, "2026-12-20T00:00:00Z")
	again, err := b.Finalize(t.Context(), "t-acme", november)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := b.Statements(t.Context(), "t-acme", november)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(final, again); diff != "" {
		t.Errorf("finalized again: %s", diff)
	}
	if diff := cmp.Diff(final, shown); diff != "" {
		t.Errorf("shown: %s", diff)
	}
	got := show(charges(t, &b.Charger, Query{From: at(t, "2026-11-01"), To: at(t, "2027-01-01")}))
	if want := "11-05 orders requests 0: 10 × 0 = 0.00\n11-05 orders requests 1: 200 × 0.01 = 2.00\n12-09 orders requests 1: 10 × 0.01 = 0.10 of 2026-11\n"; got != want {
		t.Errorf("charges: %s\nwant %s", got, want)
	}
	december, err := b.Statements(t.Context(), "t-acme", november+1)
	if err != nil || len(december) != 1 || lines(december[0]) != "orders standard requests 1: 10 Requests × 0.01 = 0.10 of 2026-11\n0.10 EUR" {
		t.Errorf("December: %v %v", december, err)
	}
}

// TestForecast: 15 of 30 days are sealed, so that all is twice as much, through tiers.
func TestForecast(t *testing.T) {
	records := &fakeRecords{}
	records.add(t, "orders", "standard", "2026-11-05T00", requests(600))
	records.add(t, "idle", "standard", "2026-11-05T00", requests(1))
	b, c := newBiller(t, records, map[string]Prices{"standard": {Currency: "EUR", Minimum: "1", Meters: []MeterPrices{
		{Meter: "requests", Unit: "1", Price: "0.01", Free: "10", Tiers: []TierPrices{{"1000", "0.005"}}},
	}}})
	c.at = at(t, "2026-11-16T01:00:00Z")
	all, err := b.Statements(t.Context(), "t-acme", monthOf(t, "2026-11"))
	// So far 590 × 0.01 = 5.90. At the end 1200: 990 × 0.01 + 200 × 0.005 = 10.90, and the
	// minimum of the idle one.
	if err != nil || len(all) != 1 || all[0].Total != "5.90" || all[0].Forecast != "11.90" || all[0].State != StateOpen {
		t.Errorf("%+v %v, want 5.90 and 11.90", all, err)
	}
	c.at = at(t, "2026-11-01T00:30:00Z") // no hour is sealed
	if all, err := b.Statements(t.Context(), "t-acme", monthOf(t, "2026-11")); err != nil || len(all) != 0 {
		t.Errorf("%+v %v, want none", all, err)
	}
}

func TestStatementIDs(t *testing.T) {
	for id, want := range map[string]string{
		"t-acme-2026-11-EUR":   "t-acme 2026-11 EUR",
		"t-acme-2026-11":       "t-acme 2026-11 ",
		"t-2026-11-2026-12":    "t-2026-11 2026-12 ",
		"2026-11":              "",
		"-2026-11":             "",
		"t-acme-2026-13":       "",
		"t-acme-2026-11-XXX":   "",
		"t-acme2026-11":        "",
		"":                     "",
		"t-acme-2026-11-EUR-x": "",
		"T-2026-11":            "",
	} {
		tenant, m, currency, err := ParseStatementID(id)
		got := ""
		if err == nil {
			got = fmt.Sprintf("%s %s %s", tenant, m, currency)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func TestCSVIsGuarded(t *testing.T) {
	st := Statement{ID: "=cmd", Tenant: "@x", Lines: []StatementLine{{Instance: "-a", Plan: "+SUM(A1)", Unit: "\tGiB", Quantity: "-1", Amount: "-0.04"}}}
	var b bytes.Buffer
	if err := st.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatal(rows, err)
	}
	for i, cell := range rows[1] {
		if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") && rows[0][i] != "quantity" && rows[0][i] != "amount" {
			t.Errorf("%s: %q", rows[0][i], cell)
		}
	}
	if rows[1][len(rows[1])-1] != "-0.04" {
		t.Errorf("the amount became %q", rows[1][len(rows[1])-1])
	}
}

// TestLinesAddUp: lines to the total, and charges to lines, whatever was used.
func TestLinesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(t, "currency")
		book, _ := new(drawPrices(t, currency)).Book()
		s, sum := newSheet(currency), zero(currency)
		run := &meterRun{book: book, charge: Charge{Instance: "orders", Plan: "standard", Currency: currency}}
		for range rapid.IntRange(0, 5).Draw(t, "days") {
			run.used.Add(drawValues(t))
			run.settle(time.Time{}, false)
		}
		run.settle(time.Time{}, true)
		for _, c := range run.charges {
			s.add(c)
			sum = plus(sum, c.Cost)
		}
		st, total := s.statement("t-acme", MonthOf(time.Time{}), currency), zero(currency)
		for _, l := range st.Lines {
			amount, err := ParseAmount(l.Amount, currency)
			if err != nil {
				t.Fatal(err)
			}
			total = plus(total, amount)
		}
		rated := Total(currency, Rate(book, &run.used, true))
		if st.Total != Money(total) || st.Total != Money(sum) || st.Total != Money(rated) {
			t.Fatalf("total %s, lines %s, charges %s, the month %s", st.Total, Money(total), Money(sum), Money(rated))
		}
		if n := len(Rate(book, &run.used, true)); n != len(st.Lines) {
			t.Fatalf("%d lines, %d items", len(st.Lines), n)
		}
	})
}

func TestPriceVersions(t *testing.T) {
	price := func(p string) Prices {
		return Prices{Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1", Price: p}}}
	}
	s := newStore(t, map[string]Prices{"standard": price("1"), "free": price("0")})
	now := at(t, "2026-11-20T00:00:00Z")
	set := func(plan, from, p string, when time.Time) {
		t.Helper()
		if err := s.SetPrices(t.Context(), plan, monthOf(t, from), price(p), when); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetPrices(t.Context(), "standard", monthOf(t, "2026-10"), price("2"), now); err == nil {
		t.Error("prices of a month that is over were changed")
	}
	if err := s.SetPrices(t.Context(), "standard", monthOf(t, "2026-12"), price("1e9"), now); err == nil {
		t.Error("bad prices were set")
	}
	set("standard", "2027-01", "2", now)
	set("standard", "2026-11", "3", now.Add(time.Second))
	set("standard", "2027-01", "4", now.Add(2*time.Second))
	if err := s.pin(t.Context(), "standard", monthOf(t, "2026-10"), price("9")); err != nil {
		t.Fatal(err)
	}
	all, err := s.Prices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plan, month string
		asOf        time.Time
		want        string
	}{
		{"standard", "2026-09", time.Time{}, "1"},
		{"standard", "2026-10", time.Time{}, "9"},
		{"standard", "2026-11", time.Time{}, "3"},
		{"standard", "2026-11", now, "1"},
		{"standard", "2026-12", time.Time{}, "3"},
		{"standard", "2027-01", time.Time{}, "4"},
		{"standard", "2027-01", now.Add(time.Second), "2"},
		{"standard", "2031-01", time.Time{}, "4"},
		{"free", "2026-11", time.Time{}, "0"},
		{"none", "2026-11", time.Time{}, "none"},
	} {
		got := "none"
		if b := all.Book(c.plan, monthOf(t, c.month), c.asOf); b != nil {
			got = Text(b.meters[0].tiers[0].price)
		}
		if got != c.want {
			t.Errorf("%s in %s as of %s: %s, want %s", c.plan, c.month, c.asOf, got, c.want)
		}
	}
	var from []string
	for _, v := range all.Plan("standard", monthOf(t, "2026-11")) {
		from = append(from, v.From.String()+" "+v.Prices.Meters[0].Price)
	}
	if fmt.Sprint(from) != "[2026-11 3 2027-01 4]" {
		t.Errorf("%v", from)
	}
	if err := s.rdb.HSet(t.Context(), keyPrices, "standard 2027-02 1", `{"currency":"EUR","meters":[{"meter":"requests","unit":"1","price":"-1"}]}`).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prices(t.Context()); !errors.Is(err, errBrokenPrices) {
		t.Errorf("%v, want broken prices", err)
	}
}

// sealingMeanwhile seals one more record once all were read for the first time.
type sealingMeanwhile struct {
	*fakeRecords
	more func()
}

func (s *sealingMeanwhile) Records(ctx context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	all := s.fakeRecords.Records(ctx, q)
	s.more()
	s.more = func() {}
	return all
}

// TestSealedWhileFinalized: a record that comes between is in the next month, not lost
// and not there twice.
func TestSealedWhileFinalized(t *testing.T) {
	records := &fakeRecords{}
	records.add(t, "orders", "standard", "2026-11-05T00", requests(100))
	b, c := newBiller(t, records, map[string]Prices{"standard": {Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1", Price: "0.01"}}}})
	c.at = at(t, "2026-12-03T00:00:00Z")
	b.Records = &sealingMeanwhile{records, func() {
		r := records.add(t, "orders", "standard", "2026-11-05T00", requests(7))
		r.Revision, r.Sealed = 1, at(t, "2026-12-02T23:59:00Z")
	}}
	final, err := b.Finalize(t.Context(), "t-acme", monthOf(t, "2026-11"))
	if err != nil || len(final) != 1 || final[0].Total != "1.00" {
		t.Fatalf("%+v %v, want 1.00", final, err)
	}
	if got := show(charges(t, &b.Charger, Query{From: at(t, "2026-12-01"), To: at(t, "2027-01-01")})); got != "12-03 orders requests 0: 7 × 0.01 = 0.07 of 2026-11\n" {
		t.Errorf("December: %s", got)
	}
}
