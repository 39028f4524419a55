package billing

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"weir/metering"
	"weir/tenancy"
)

// fakeRecords are records in memory, in the order that metering.Records promises.
type fakeRecords struct {
	sealed, open []metering.Record
	asked        []metering.Query
}

func (f *fakeRecords) Records(_ context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	f.asked = append(f.asked, q)
	return serve(f.sealed, q)
}

func (f *fakeRecords) Open(_ context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	return serve(f.open, q)
}

func serve(all []metering.Record, q metering.Query) iter.Seq2[metering.Record, error] {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b metering.Record) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Hour, b.Hour),
			cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Revision, b.Revision))
	})
	return func(yield func(metering.Record, error) bool) {
		for _, r := range all {
			if q.Tenant != "" && r.Tenant != q.Tenant || q.Instance != "" && r.Instance != q.Instance ||
				r.Hour < q.From || r.Hour >= q.To || !q.AsOf.IsZero() && r.Sealed.After(q.AsOf) || r.Part != "" && !q.Parts {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// add seals what an instance used in an hour, as in "2026-11-22T19".
func (f *fakeRecords) add(t testing.TB, in tenancy.InstanceID, plan, hour string, v metering.Values) *metering.Record {
	t.Helper()
	h, err := metering.ParseHour(hour)
	if err != nil {
		t.Fatal(err)
	}
	number := int64(1)
	for _, r := range f.sealed {
		if r.Instance == in {
			number = max(number, r.Number+1)
		}
	}
	f.sealed = append(f.sealed, metering.Record{
		Line:   metering.Line{Hour: h, Instance: in, Tenant: "t-acme", Plan: plan, Pool: "eu1"},
		Values: v, Number: number, Sealed: h.End().Add(metering.SealAfter), Complete: true, Gateways: 1,
	})
	return &f.sealed[len(f.sealed)-1]
}

// fixedBooks are the prices of plans, the same in every month.
type fixedBooks map[string]*Book

func (f fixedBooks) Prices(context.Context) (*PriceList, error) {
	all := &PriceList{}
	for plan, b := range f {
		all.add(plan, version{book: b})
	}
	return all, nil
}

// fakeFinals are marks by month.
type fakeFinals map[Month]Marks

func (f fakeFinals) Marks(_ context.Context, _ tenancy.TenantID, m Month) (Marks, bool, error) {
	marks, ok := f[m]
	return marks, ok, nil
}

func mustBook(t testing.TB, p Prices) *Book {
	t.Helper()
	b, wrong := p.Book()
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return b
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	for _, form := range []string{time.RFC3339, time.DateOnly, monthForm} {
		if when, err := time.Parse(form, text); err == nil {
			return when
		}
	}
	t.Fatalf("%q is no time", text)
	return time.Time{}
}

// used are values by meter.
func used(v map[metering.Meter]int64) (all metering.Values) {
	for m, n := range v {
		all[m] = n
	}
	return all
}

func charges(t testing.TB, c *Charger, q Query) (all []Charge) {
	t.Helper()
	for ch, err := range c.Charges(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ch)
	}
	return all
}
