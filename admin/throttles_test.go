package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
	"weir/quota"
	"weir/tenancy"
)

// fakeThrottles are those of any instance.
type fakeThrottles struct {
	all   []quota.Throttle
	since time.Time // that was asked for
	err   error
}

func (f *fakeThrottles) Throttles(_ context.Context, _ tenancy.InstanceID, since time.Time) ([]quota.Throttle, error) {
	f.since = since
	return f.all, f.err
}

func (f *fakeThrottles) Summary(context.Context, tenancy.InstanceID) (quota.ThrottleSummary, error) {
	return quota.ThrottleSummary{}, f.err
}

func someThrottles() []quota.Throttle {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	user, every := "etl", ""
	return []quota.Throttle{
		{
			Limit: tenancy.LimitProduceBytes, Kind: quota.Throttled, User: "etl", Client: "spark-7", Count: 120,
			Told: 30 * time.Second, Held: 11500 * time.Millisecond, Over: 3.25, First: at, Last: at.Add(time.Minute), Since: at.Add(time.Second),
		},
		{
			Limit: tenancy.LimitFetchBytes, Kind: quota.Throttled, Of: tenancy.QuotaEntity{User: &user, ClientID: &every}, User: "etl", Client: "spark-7",
			Count: 3, Told: 5 * time.Second, First: at, Last: at.Add(time.Minute),
		},
		{Limit: tenancy.LimitProduceBytes, Kind: quota.Throttled, Other: true, Count: 2, Told: 2 * time.Second, First: at, Last: at},
		{Limit: tenancy.LimitTopics, Kind: quota.Refused, User: "etl", Count: 4, First: at, Last: at},
	}
}

func TestThrottlesGolden(t *testing.T) {
	f := newFixture(t)
	known := &fakeThrottles{all: someThrottles()}
	f.cfg.Throttles = known
	now := time.Date(2026, 11, 23, 8, 2, 0, 0, time.UTC)
	f.cfg.Now = func() time.Time { return now }
	f.start()
	f.create("t-acme", "orders")
	a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/throttles", nil)
	if a.status != http.StatusOK || !known.since.Equal(now.Add(-time.Hour)) {
		t.Errorf("status %d, since %s", a.status, known.since)
	}
	golden(t, "throttles.json", strings.ReplaceAll(a.body, "},", "},\n"))
	f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/throttles?minutes=1440", nil)
	if !known.since.Equal(now.Add(-24 * time.Hour)) {
		t.Errorf("of a day: since %s", known.since)
	}
}

func TestThrottlesOfNobody(t *testing.T) {
	for name, known := range map[string]Throttles{"nothing": &fakeThrottles{}, "nobody knows": nil} {
		f := newFixture(t)
		f.cfg.Throttles = known
		f.start()
		f.create("t-acme", "orders")
		got := decodeAs[api.Throttles](t, f.do(f.token("t-acme", "quota-admin"), http.MethodGet, "/v1/instances/orders/throttles", nil))
		if got.Items == nil || got.Limits == nil || len(got.Items)+len(got.Limits) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An answer has so many rows at the most; the sums are of all.
func TestThrottlesAreMany(t *testing.T) {
	f := newFixture(t)
	known := &fakeThrottles{}
	for n := range maxThrottles + 7 {
		known.all = append(known.all, quota.Throttle{Limit: tenancy.LimitRequests, Kind: quota.Throttled, Client: fmt.Sprint(n), Count: 1, Told: time.Second})
	}
	f.cfg.Throttles = known
	f.start()
	f.create("t-acme", "orders")
	got := decodeAs[api.Throttles](t, f.do(f.token("", "operator"), http.MethodGet, "/v1/instances/orders/throttles", nil))
	if len(got.Items) != maxThrottles || got.Omitted != 7 || len(got.Limits) != 1 || got.Limits[0].Throttled != maxThrottles+7 || got.Limits[0].Seconds != maxThrottles+7 {
		t.Errorf("%d items, %d omitted, %+v", len(got.Items), got.Omitted, got.Limits)
	}
}

func TestThrottlesRefused(t *testing.T) {
	f := newFixture(t)
	known := &fakeThrottles{}
	f.cfg.Throttles = known
	f.start()
	f.create("t-acme", "orders")
	for _, c := range []struct {
		tenant      tenancy.TenantID
		role, query string
		status      int
	}{
		{"t-acme", "tenant-admin", "?minutes=1", 200},
		{"t-acme", "billing-reader", "", 403},
		{"t-other", "tenant-admin", "", 404},
		{"t-acme", "viewer", "?minutes=0", 422},
		{"t-acme", "viewer", "?minutes=1441", 422},
		{"t-acme", "viewer", "?minutes=many", 422},
	} {
		if a := f.do(f.token(c.tenant, c.role), http.MethodGet, "/v1/instances/orders/throttles"+c.query, nil); a.status != c.status {
			t.Errorf("%s of %q, %s: %d %s", c.role, c.tenant, c.query, a.status, a.body)
		}
	}
	known.err = errors.New("redis is away")
	if p := f.do(f.token("", "operator"), http.MethodGet, "/v1/instances/orders/throttles", nil).problem(t); p.Code != "store-unavailable" {
		t.Errorf("%+v", p)
	}
}

func TestCures(t *testing.T) {
	for _, limit := range tenancy.LimitNames() {
		if c := cures[limit]; c.text == "" || c.fix == "" {
			t.Errorf("nothing is said of %s", limit)
		}
	}
}
