package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"weir/billing"
	"weir/metering"
	"weir/tenancy"
)

// fakeRecords has every line of so many instances in every hour, made up as it is
// asked for.
type fakeRecords struct {
	instances int
	tenants   int // that share them
	parts     bool
	late      time.Time // a correction of each instance's newest hour, sealed then
	sealed    metering.Hour
	fail      error // after some records
	open      bool  // it was read beyond what is sealed
	yielded   int
}

// day is the first hour of what tests export.
func day(t testing.TB, text string) metering.Hour {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return metering.HourOf(at)
}

func (f *fakeRecords) SealedThrough(context.Context) (metering.Hour, bool, error) {
	return f.sealed - 1, f.sealed > 0, nil
}

func (f *fakeRecords) Open(context.Context, metering.Query) iter.Seq2[metering.Record, error] {
	return func(func(metering.Record, error) bool) {}
}

// values of an instance and an hour: all different, so that no two columns can be
// taken for each other.
func values(n int, h metering.Hour) (v metering.Values) {
	for m := range v {
		v[m] = int64(n+1)*1000 + int64(h%24)*100 + int64(m)
	}
	v[metering.StorageByteSeconds] = 1 << 62
	return v
}

func (f *fakeRecords) of(n int, h metering.Hour) (all []metering.Record) {
	r := metering.Record{
		Line: metering.Line{
			Hour: h, Instance: tenancy.InstanceID(fmt.Sprintf("i-%06d", n)), Tenant: tenancy.TenantID(fmt.Sprintf("t-%03d", n*f.tenants/f.instances)),
			Plan: "standard", Pool: "main",
		},
		Complete: true, Gateways: 3, Values: values(n, h), Sealed: h.End().Add(metering.SealAfter), Number: int64(h), Prev: [32]byte{byte(n), 1, 2, 3},
	}
	all = append(all, r)
	if f.parts {
		r.Part, r.Values = "user==HYPERLINK(\"x\")", metering.Values{1}
		all = append(all, r)
	}
	if !f.late.IsZero() && h == f.sealed-1 {
		r.Part, r.Revision, r.Values, r.Sealed = "", 1, metering.Values{-1}, f.late
		all = append(all, r)
	}
	return all
}

func (f *fakeRecords) Records(ctx context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	return func(yield func(metering.Record, error) bool) {
		f.open = f.open || q.To > f.sealed
		for n := range f.instances {
			for h := q.From; h < min(q.To, f.sealed); h++ {
				for _, r := range f.of(n, h) {
					if r.Part != "" && !q.Parts || q.Tenant != "" && q.Tenant != r.Tenant || q.Instance != "" && q.Instance != r.Instance || r.Sealed.After(q.AsOf) {
						continue
					}
					if f.yielded++; f.fail != nil && f.yielded > 100 {
						yield(metering.Record{}, f.fail)
						return
					}
					if err := ctx.Err(); err != nil {
						yield(metering.Record{}, err)
						return
					}
					if !yield(r, nil) {
						return
					}
				}
			}
		}
	}
}

// fakeCharges gives those of a list that were asked for.
type fakeCharges []billing.Charge

func (f fakeCharges) Charges(_ context.Context, q billing.Query) iter.Seq2[billing.Charge, error] {
	return func(yield func(billing.Charge, error) bool) {
		all := slices.Clone(f)
		slices.SortStableFunc(all, func(a, b billing.Charge) int {
			return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Instance, b.Instance), a.Day.Compare(b.Day))
		})
		for _, c := range all {
			if q.Tenant != "" && q.Tenant != c.Tenant || c.Day.Before(q.From) || !c.Day.Before(q.To) {
				continue
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

var errAway = errors.New("redis is away")

// rig is an exporter on made-up records, at a moment when everything is sealed.
type rig struct {
	*Exporter
	records *fakeRecords
	now     time.Time
}

func newRig(t testing.TB, instances int) *rig {
	r := &rig{records: &fakeRecords{instances: instances, tenants: max(1, instances/10), sealed: day(t, "2026-11-24")}}
	r.now = r.records.sealed.Begin().Add(time.Hour)
	r.Exporter = New(Config{Records: r.records, Retention: 9600 * time.Hour, Now: func() time.Time { return r.now }})
	return r
}

// spec is of two days.
func (r *rig) spec(t testing.TB, f Format) Spec {
	t.Helper()
	s, err := r.Plan(t.Context(), Spec{Format: f, From: day(t, "2026-11-22"), To: day(t, "2026-11-24")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
