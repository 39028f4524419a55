package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
	"weir/billing/export"
	"weir/metering"
	"weir/tenancy"
)

// fakeMetered are records in memory; those of hours from sealed on are open.
type fakeMetered struct {
	all    []metering.Record
	sealed metering.Hour
	err    error
	// reading is called before records are given: an hour may be sealed then.
	reading func(*fakeMetered)
	// each is called before each record, and may fail.
	each func(n int) error
}

func (f *fakeMetered) SealedThrough(context.Context) (metering.Hour, bool, error) {
	return f.sealed - 1, f.sealed > 0, f.err
}

func (f *fakeMetered) Records(ctx context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	if f.reading != nil {
		defer f.reading(f)
	}
	return f.some(ctx, q, func(r *metering.Record) bool { return r.Hour < f.sealed })
}

func (f *fakeMetered) Open(ctx context.Context, q metering.Query) iter.Seq2[metering.Record, error] {
	return f.some(ctx, q, func(r *metering.Record) bool { return r.Hour >= f.sealed })
}

func (f *fakeMetered) some(ctx context.Context, q metering.Query, want func(*metering.Record) bool) iter.Seq2[metering.Record, error] {
	var some []metering.Record
	for _, r := range f.all {
		if r.Hour >= q.From && r.Hour < q.To && (q.Tenant == "" || q.Tenant == r.Tenant) && (q.Instance == "" || q.Instance == r.Instance) &&
			(q.Parts || r.Part == "") && (q.AsOf.IsZero() || !r.Sealed.After(q.AsOf)) && want(&r) {
			some = append(some, r)
		}
	}
	slices.SortStableFunc(some, func(a, b metering.Record) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Hour, b.Hour),
			cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Revision, b.Revision))
	})
	return func(yield func(metering.Record, error) bool) {
		if f.err != nil {
			yield(metering.Record{}, f.err)
			return
		}
		for n, r := range some {
			err := ctx.Err()
			if f.each != nil && err == nil {
				err = f.each(n)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// add counts produced bytes of a line in an hour, as in 2026-11-22T19.
func (f *fakeMetered) add(t testing.TB, tenant tenancy.TenantID, instance, hour, plan, part string, bytes int64) {
	t.Helper()
	h, err := metering.ParseHour(hour)
	if err != nil {
		t.Fatal(err)
	}
	f.all = append(f.all, metering.Record{
		Line:     metering.Line{Hour: h, Instance: tenancy.InstanceID(instance), Tenant: tenant, Plan: plan, Pool: testPool, Part: part},
		Complete: true, Gateways: 1, Values: metering.Values{metering.ProduceBytes: bytes}, Sealed: h.End().Add(metering.SealAfter), Number: 1,
	})
}

var usageNow = time.Date(2026, 11, 23, 8, 20, 0, 0, time.UTC)

// metered is a fixture with what two tenants used; hours up to 8 are sealed, and it is 8:20.
func metered(t *testing.T) (*fixture, *fakeMetered) {
	t.Helper()
	m := &fakeMetered{sealed: metering.HourOf(usageNow)}
	for hour := range 24 {
		m.add(t, "t-acme", "orders", fmt.Sprintf("2026-11-22T%02d", hour), "standard", "", 100)
	}
	m.add(t, "t-acme", "orders", "2026-11-22T12", "large", "", 7)
	m.add(t, "t-acme", "orders", "2026-11-22T12", "standard", "user=alice", 60)
	m.add(t, "t-acme", "orders", "2026-11-22T12", "standard", "user", 40)
	m.add(t, "t-acme", "orders", "2026-11-22T12", "standard", "topic=bills", 100)
	m.add(t, "t-acme", "orders", "2026-11-22T13", "standard", "user=alice", 1)
	m.add(t, "t-acme", "orders", "2026-10-31T23", "standard", "", 1)
	m.add(t, "t-acme", "orders", "2026-11-23T08", "standard", "", 3) // open
	m.add(t, "t-acme", "bills", "2026-11-23T07", "standard", "", 5)
	m.add(t, "t-acme", "bills", "2026-11-23T08", "standard", "", 2) // open
	m.add(t, "t-acme", "gone", "2026-11-22T01", "standard", "", 11) // deleted since
	m.add(t, "t-other", "theirs", "2026-11-22T01", "standard", "", 1<<62)
	m.add(t, "t-other", "theirs", "2026-11-22T02", "standard", "", 1<<62)
	m.add(t, "t-other", "theirs", "2026-11-22T03", "standard", "", 1<<62)
	f := newFixture(t)
	f.cfg.Now = func() time.Time { return usageNow }
	f.cfg.Metered = m
	f.cfg.Exports = export.New(export.Config{Records: m, Retention: 9600 * time.Hour, Now: f.cfg.Now})
	f.start()
	f.create("t-acme", "orders")
	f.create("t-acme", "bills")
	f.create("t-other", "theirs")
	return f, m
}

// usageLines are the items of an answer, one each: whose, from when, whether sealed, bytes.
func usageLines(u api.Usage) (lines []string) {
	for _, i := range u.Items {
		var line strings.Builder
		line.WriteString(i.Tenant + " " + i.Instance + " " + i.Start.Format("01-02T15") + "-" + i.End.Format("01-02T15"))
		for _, name := range []*string{&i.Plan, i.User, i.Topic} {
			if name != nil && (name != &i.Plan || *name != "") {
				line.WriteString(" " + strconv.Quote(*name))
			}
		}
		if !i.Sealed {
			line.WriteString(" open")
		}
		lines = append(lines, line.String()+" "+i.Meters["produce_bytes"])
	}
	return lines
}

func TestUsage(t *testing.T) {
	f, m := metered(t)
	m.all = append(m.all, metering.Record{ // a correction: it comes on top
		Line:     metering.Line{Hour: metering.HourOf(usageNow) - 10, Instance: "orders", Tenant: "t-acme", Plan: "standard"},
		Revision: 1, Values: metering.Values{-1}, Sealed: usageNow,
	})
	for _, c := range []struct {
		name   string
		tenant tenancy.TenantID
		role   string
		query  string
		want   []string
	}{
		{
			"by day is what is asked for if nothing is", "t-acme", "viewer", "", []string{
				"t-acme bills 11-23T00-11-23T09 open 7",
				"t-acme gone 11-22T00-11-23T00 11",
				"t-acme orders 11-22T00-11-23T00 2406",
				"t-acme orders 11-23T00-11-23T09 open 3",
			},
		},
		{
			"by month, over its end", "t-acme", "billing-reader", "?granularity=month&from=2026-10-01&to=2026-12-01&instance=orders", []string{
				"t-acme orders 10-01T00-11-01T00 1",
				"t-acme orders 11-01T00-11-23T09 open 2409",
			},
		},
		{
			"by hour, sealed and open", "t-acme", "quota-admin", "?granularity=hour&from=2026-11-23T07&instance=bills", []string{
				"t-acme bills 11-23T07-11-23T08 5",
				"t-acme bills 11-23T08-11-23T09 open 2",
			},
		},
		{
			"by plan", "t-acme", "viewer", "?from=2026-11-22&to=2026-11-23&instance=orders&group_by=plan", []string{
				`t-acme orders 11-22T00-11-23T00 "large" 7`,
				`t-acme orders 11-22T00-11-23T00 "standard" 2399`,
			},
		},
		{
			"by user", "t-acme", "tenant-admin", "?from=2026-11-22&to=2026-11-23&group_by=user", []string{
				`t-acme orders 11-22T00-11-23T00 "" 40`,
				`t-acme orders 11-22T00-11-23T00 "alice" 61`,
			},
		},
		{
			"by topic", "t-acme", "viewer", "?from=2026-11-22&to=2026-11-23&group_by=topic", []string{
				`t-acme orders 11-22T00-11-23T00 "bills" 100`,
			},
		},
		{
			"of all, by tenant, beyond 64 bits", "", "operator", "?from=2026-11-22&to=2026-11-23&group_by=tenant", []string{
				"t-acme  11-22T00-11-23T00 2417",
				"t-other  11-22T00-11-23T00 13835058055282163712",
			},
		},
		{
			"of a deleted instance", "t-acme", "viewer", "?instance=gone", []string{"t-acme gone 11-22T00-11-23T00 11"},
		},
		{
			"nothing", "t-acme", "viewer", "?instance=orders&from=2026-11-21&to=2026-11-22", nil,
		},
	} {
		a := f.do(f.token(c.tenant, c.role), http.MethodGet, "/v1/usage"+c.query, nil)
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
			continue
		}
		got := decodeAs[api.Usage](t, a)
		if lines := usageLines(got); !slices.Equal(lines, c.want) || got.Next != nil || got.Items == nil || !got.SealedUntil.Equal(m.sealed.Begin()) {
			t.Errorf("%s:\n%q\nwant\n%q\n%+v", c.name, lines, c.want, got)
		}
	}
}

// Page by page there is the same as in one piece, however small the pages are.
func TestUsagePages(t *testing.T) {
	f, _ := metered(t)
	token := f.token("", "operator")
	for _, query := range []string{"granularity=hour", "granularity=day&group_by=plan", "granularity=hour&group_by=user", "group_by=tenant&granularity=hour", "granularity=hour&instance=orders"} {
		whole := decodeAs[api.Usage](t, f.do(token, http.MethodGet, "/v1/usage?limit=500&"+query, nil))
		for _, limit := range []int{1, 2, 7} {
			var lines []string
			for after := ""; ; {
				page := decodeAs[api.Usage](t, f.do(f.token("", "operator"), http.MethodGet, fmt.Sprintf("/v1/usage?limit=%d&after=%s&%s", limit, after, query), nil))
				lines = append(lines, usageLines(page)...)
				if page.Next == nil {
					break
				}
				if after = *page.Next; len(page.Items) != limit {
					t.Fatalf("%d items on a page of %d with a next", len(page.Items), limit)
				}
			}
			if want := usageLines(whole); !slices.Equal(lines, want) || len(want) == 0 {
				t.Errorf("%s by %d:\n%q\nwant\n%q", query, limit, lines, want)
			}
		}
	}
}

// An hour that is sealed between the two looks is there once.
func TestUsageSealedMeanwhile(t *testing.T) {
	f, m := metered(t)
	m.reading = func(m *fakeMetered) {
		m.sealed, m.reading = m.sealed+1, nil // read as open before, and as sealed from now on
	}
	got := decodeAs[api.Usage](t, f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/usage?from=2026-11-23&instance=bills", nil))
	if lines := usageLines(got); !slices.Equal(lines, []string{"t-acme bills 11-23T00-11-23T09 7"}) {
		t.Errorf("%q", lines)
	}
}

func TestUsageMeters(t *testing.T) {
	f, _ := metered(t)
	got := decodeAs[api.Usage](t, f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/usage?meters=produce_bytes,requests&limit=1", nil))
	if m := got.Items[0].Meters; len(m) != 2 || m["produce_bytes"] != "7" || m["requests"] != "0" {
		t.Errorf("%v", m)
	}
}

func TestUsageRefused(t *testing.T) {
	f, m := metered(t)
	for _, c := range []struct {
		tenant      tenancy.TenantID
		role, query string
		status      int
		code        string
	}{
		{"t-acme", "billing-reader", "?group_by=user", 403, "not-allowed"},
		{"t-acme", "billing-reader", "?group_by=topic", 403, "not-allowed"},
		{"t-acme", "viewer", "?tenant=t-other", 404, "tenant-not-found"},
		{"t-acme", "viewer", "?instance=theirs", 404, "instance-not-found"},
		{"t-acme", "viewer", "?instance=nothing", 404, "instance-not-found"},
		{"t-acme", "viewer", "?instance=No+Name", 404, "instance-not-found"},
		{"", "operator", "?instance=theirs&tenant=t-acme", 404, "instance-not-found"},
		{"", "operator", "?tenant=NO", 422, "validation-failed"},
		{"t-acme", "viewer", "?from=2026-11-23&to=2026-11-22", 422, "validation-failed"},
		{"t-acme", "viewer", "?from=2026-12-01", 422, "validation-failed"},
		{"t-acme", "viewer", "?from=yesterday", 422, "validation-failed"},
		{"t-acme", "viewer", "?from=2026-11-22T01:30:00Z", 422, "validation-failed"},
		{"t-acme", "viewer", "?granularity=year", 422, "validation-failed"},
		{"t-acme", "viewer", "?group_by=moon", 422, "validation-failed"},
		{"t-acme", "viewer", "?meters=produce_bytes,weight", 422, "validation-failed"},
		{"t-acme", "viewer", "?after=zz", 422, "validation-failed"},
		{"t-acme", "viewer", "?limit=501", 422, "validation-failed"},
	} {
		a := f.do(f.token(c.tenant, c.role), http.MethodGet, "/v1/usage"+c.query, nil)
		if a.status != c.status || a.problem(t).Code != c.code {
			t.Errorf("%s of %q, %s: %d %s", c.role, c.tenant, c.query, a.status, a.body)
		}
	}
	m.err = errors.New("redis is away")
	if p := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/usage", nil).problem(t); p.Code != "store-unavailable" {
		t.Errorf("%+v", p)
	}
}

func TestUsageNotMetered(t *testing.T) {
	f := newFixture(t).start()
	if p := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/usage", nil).problem(t); p.Code != "usage-not-metered" {
		t.Errorf("%+v", p)
	}
}
