package export

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/cockroachdb/apd/v3"
	"github.com/redis/go-redis/v9"

	"weir/billing"
	"weir/metering"
	"weir/tenancy"
)

// listed are records in memory, in order; those are there that are sealed by now.
type listed struct {
	all []metering.Record
	now time.Time
}

func (l *listed) SealedThrough(context.Context) (metering.Hour, bool, error) {
	return metering.HourOf(l.now) - 2, true, nil
}

func (l *listed) Open(context.Context, metering.Query) iter.Seq2[metering.Record, error] {
	return func(func(metering.Record, error) bool) {}
}

func (l *listed) Records(_ context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	return func(yield func(metering.Record, error) bool) {
		for _, r := range l.all {
			if r.Hour < q.From || r.Hour >= q.To || q.Tenant != "" && r.Tenant != q.Tenant || q.Instance != "" && r.Instance != q.Instance || !q.AsOf.IsZero() && r.Sealed.After(q.AsOf) || r.Sealed.After(l.now) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// invoiced is an exporter on three instances of two tenants, on two plans in two
// currencies: free units, tiers, a minimum that is not reached, and an hour of October
// that came after October was invoiced.
func invoiced(t *testing.T) (*Exporter, *billing.Biller) {
	t.Helper()
	l := &listed{now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
	add := func(tenant tenancy.TenantID, instance tenancy.InstanceID, plan, from string, hours int, v metering.Values) {
		h := day(t, from)
		for n := range hours {
			l.all = append(l.all, metering.Record{
				Line:   metering.Line{Hour: h + metering.Hour(n), Tenant: tenant, Instance: instance, Plan: plan, Pool: "eu1"},
				Values: v, Sealed: (h + metering.Hour(n)).End().Add(metering.SealAfter), Number: int64(len(l.all) + 1),
			})
		}
	}
	used := metering.Values{
		metering.ProduceBytes: 123_456_789_012, metering.FetchBytes: 7, metering.ProduceRecords: 333_333,
		metering.PartitionSeconds: 3601, metering.StorageByteSeconds: 1 << 47,
	}
	add("t-acme", "bills", "=large", "2026-11-20", 30, metering.Values{metering.ProduceBytes: 1 << 30})
	add("t-acme", "orders", "standard", "2026-10-31", 24, used)
	last := len(l.all) - 1
	add("t-acme", "orders", "standard", "2026-11-01", 24*20, used)
	late := &l.all[last]
	late.Revision, late.Sealed, late.Number = 1, time.Date(2026, 11, 5, 3, 0, 0, 0, time.UTC), 1000
	add("t-zeta", "quiet", "standard", "2026-11-02", 1, metering.Values{metering.ProduceBytes: 1})
	add("t-zeta", "zz", "standard", "2026-11-30", 24, metering.Values{metering.ProduceBytes: 1 << 40})

	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	store := billing.NewStore(rdb, map[string]billing.Prices{
		"standard": {Currency: "EUR", Minimum: "5.00", Meters: []billing.MeterPrices{
			{Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "10", Tiers: []billing.TierPrices{{Above: "1000", Price: "0.03"}, {Above: "20000", Price: "0.0123456789"}}},
			{Meter: "produce_records", Unit: "1M", Price: "0.10"},
			{Meter: "partition_seconds", Unit: "Hours", Price: "0.0015"},
			{Meter: "storage_byte_seconds", Unit: "GiB-Hours", Price: "0.000123"},
		}},
		"=large": {Currency: "JPY", Meters: []billing.MeterPrices{{Meter: "produce_bytes", Unit: "GB", Price: "7.5"}}},
	})
	now := func() time.Time { return l.now }
	b := billing.NewBiller(billing.Config{
		Records: l, Store: store, Now: now,
		Sealed: func(context.Context) (metering.Hour, error) { return metering.HourOf(l.now) - 1, nil },
	})
	october, err := billing.ParseMonth("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finalize(t.Context(), "t-acme", october); err != nil {
		t.Fatal(err)
	}
	l.now = time.Date(2026, 12, 10, 12, 0, 0, 0, time.UTC)
	return New(Config{Records: l, Charges: b, Retention: 9600 * time.Hour, Issuer: "Kafka, Inc", Now: now}), b
}

// A month of charges: the file keeps the rules, and comes to what the statements do.
func TestFOCUS(t *testing.T) {
	x, b := invoiced(t)
	s, err := x.Plan(t.Context(), Spec{Format: FOCUS, From: day(t, "2026-11-01"), To: day(t, "2026-12-01")})
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	made, err := x.Write(t.Context(), s, s.Files()[0], &raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := checkFocus(bytes.NewReader(raw.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	sums, seen := map[string]*apd.Decimal{}, map[string]bool{}
	total := money{}
	for _, l := range lines {
		key := l["InvoiceId"]
		if sums[key] == nil {
			sums[key] = new(apd.Decimal)
		}
		if _, err := exactly().Add(sums[key], sums[key], number(l["BilledCost"])); err != nil {
			t.Fatal(err)
		}
		if err := total.add(l["BillingCurrency"], number(l["BilledCost"])); err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{l["ChargeCategory"], l["ChargeClass"], l["BillingCurrency"], l["PricingUnit"]} {
			seen[what] = true
		}
	}
	for _, what := range []string{"Usage", "Adjustment", "Correction", "EUR", "JPY", "GiB", "GB", "GiB-Hours", "1000000 Records", "Partition-Hours"} {
		if !seen[what] {
			t.Errorf("no row has %q: the test says nothing of it", what)
		}
	}
	november, err := billing.ParseMonth("2026-11")
	if err != nil {
		t.Fatal(err)
	}
	statements := 0
	for _, tenant := range []tenancy.TenantID{"t-acme", "t-zeta"} {
		all, err := b.Finalize(t.Context(), tenant, november)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range all {
			statements++
			if sums[st.ID] == nil || billing.Money(*sums[st.ID]) != st.Total || st.Total == "0.00" {
				t.Errorf("%s: FOCUS comes to %s, the statement to %s", st.ID, sums[st.ID], st.Total)
			}
		}
	}
	if statements != 3 || len(sums) != 3 || made.Rows != int64(len(lines)) || made.Costs["EUR"] != billing.Money(*total["EUR"]) || made.Costs["JPY"] != billing.Money(*total["JPY"]) {
		t.Errorf("%d statements, %v, %+v", statements, sums, made)
	}
	// The statements are final by now, which an export as of before does not see.
	var again bytes.Buffer
	if _, err := x.Write(t.Context(), s, s.Files()[0], &again, 0); err != nil || !bytes.Equal(raw.Bytes(), again.Bytes()) {
		t.Errorf("exported twice, the bytes differ: %v", err)
	}
	if !strings.Contains(raw.String(), "'=large/produce_bytes") || strings.Contains(raw.String(), ",=large") {
		t.Error("a plan called =large is a formula")
	}
}

// The checker finds what is wrong: each rule is broken once.
func TestFOCUSChecker(t *testing.T) {
	x, _ := invoiced(t)
	s := Spec{Format: FOCUS, Tenant: "t-acme", Instance: "orders", From: day(t, "2026-11-01"), To: day(t, "2026-11-03"), AsOf: time.Date(2026, 12, 10, 0, 0, 0, 0, time.UTC)}
	var raw bytes.Buffer
	if _, err := x.Write(t.Context(), s, s.Files()[0], &raw, 0); err != nil {
		t.Fatal(err)
	}
	text := raw.String()
	lines, err := checkFocus(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	// A price that there is a row of on both days, so that rows can contradict each other.
	daily := lines[slices.IndexFunc(lines, func(l focusLine) bool { return l["SkuMeter"] == "partition_seconds" })]
	change := func(column, value string) string {
		return strings.Replace(text, cellsOf(text, daily, "", ""), cellsOf(text, daily, column, value), 1)
	}
	for says, broken := range map[string]string{
		"column BilledCost is missing":  strings.Replace(text, "BilledCost", "ChargeFrequencies", 1),
		"is none of FOCUS":              strings.Replace(text, "BilledCost", "billed_cost", 1),
		"is there twice":                strings.Replace(text, "RegionName", "RegionId", 1),
		"behind custom ones":            strings.Replace(text, "RegionName", "x_Region", 1),
		"BillingAccountId is null":      change("BillingAccountId", ""),
		"PricingQuantity is null":       change("PricingQuantity", ""),
		"ConsumedUnit is null":          change("ConsumedUnit", ""),
		`ChargeCategory "Use" is none`:  change("ChargeCategory", "Use"),
		`ChargeClass "Corrected"`:       change("ChargeClass", "Corrected"),
		`BilledCost "1e3" is of`:        change("BilledCost", "1e3"),
		`BilledCost "+1" is of`:         change("BilledCost", "+1"),
		`BillingCurrency "eur"`:         change("BillingCurrency", "eur"),
		`ChargePeriodStart "2026-11-01`: change("ChargePeriodStart", "2026-11-01 00:00:00"),
		`PricingUnit "gigabytes"`:       change("PricingUnit", "gigabytes"),
		`PricingUnit "1M Records"`:      change("PricingUnit", "1M Records"),
		`Tags "[]"`:                     change("Tags", "[]"),
		"stands for nothing":            change("RegionName", "NULL"),
		"is not before":                 change("ChargePeriodEnd", "2026-10-01T00:00:00Z"),
		"not within the billing":        change("ChargePeriodStart", "2026-10-30T00:00:00Z"),
		"times PricingQuantity":         change("ListCost", "1234.56"),
		"is negative":                   change("ListUnitPrice", "-1"),
		"nothing is prepaid":            change("EffectiveCost", "0.01"),
		"only one of SkuId":             change("SkuMeter", ""),
		"and not null":                  change("ChargeCategory", "Tax"),
		"has two parents":               change("SkuId", "standard/other"),
		"usage comes Recurring":         change("ChargeFrequency", "Recurring"),
	} {
		if _, err := checkFocus(strings.NewReader(broken)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// cellsOf is a line of a file again, with another value in one column.
func cellsOf(text string, l focusLine, column, value string) string {
	header, _, _ := strings.Cut(text, "\n")
	var line []byte
	for name := range strings.SplitSeq(header, ",") {
		cell := l[name]
		if name == column {
			cell = value
		}
		if focusRules()[name].kind == ofDecimal {
			line = append(append(line, cell...), ',')
		} else {
			line = append(appendCell(line, cell), ',')
		}
	}
	return string(line[:len(line)-1])
}
