package admin

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/tenancy"
)

// refuse keeps a refused connection as a gateway does.
func (f *fixture) refuse(id tenancy.InstanceID, reason string) {
	f.t.Helper()
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	r := tenancy.Refusal{
		Instance: id, First: at, Last: at.Add(time.Second), Count: 2, Gateway: "gw-7", Endpoint: "0.0.0.0:9092",
		Address: netip.MustParsePrefix("10.9.4.4/32"), Host: "orders.kafka.example.com", Mechanism: "PLAIN", User: "alice", Reason: reason,
	}
	if err := f.store.AddRefusals(f.t.Context(), []tenancy.Refusal{r}, time.Now()); err != nil {
		f.t.Fatal(err)
	}
}

func TestRefusedEvents(t *testing.T) {
	f := newFixture(t)
	f.cfg.Explain = func(r api.Refusal) api.Refusal {
		r.Text, r.Fix, r.Try = r.Instance+" does not allow "+r.Address, "allow it", "weir network allow "+r.Instance
		return r
	}
	f.start()
	f.create("t-acme", "orders")
	f.refuse("orders", "first")
	f.refuse("orders", "network-refused")
	f.refuse("", "plaintext-on-tls-port")
	token := f.token("t-acme", "viewer")

	got := decodeAs[api.Refusals](t, f.do(token, http.MethodGet, "/v1/events?kind=refused&instance=orders&limit=1&since=1h", nil))
	if len(got.Items) != 1 || got.Next == nil || got.Items[0].ID != *got.Next {
		t.Fatalf("%+v", got)
	}
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	want := api.Refusal{
		ID: got.Items[0].ID, Kind: "refused", At: at.Add(time.Second), First: at, Count: 2, Instance: "orders", Tenant: "t-acme", Address: "10.9.4.4",
		Endpoint: "0.0.0.0:9092", Host: "orders.kafka.example.com", Mechanism: "PLAIN", User: "alice", Reason: "network-refused",
		Text: "orders does not allow 10.9.4.4", Fix: "allow it", Try: "weir network allow orders",
	}
	if diff := cmp.Diff(want, got.Items[0]); diff != "" {
		t.Error(diff)
	}
	got = decodeAs[api.Refusals](t, f.do(token, http.MethodGet, "/v1/events?instance=orders&after="+*got.Next, nil))
	if len(got.Items) != 1 || got.Items[0].Reason != "first" || got.Next != nil {
		t.Errorf("%+v", got)
	}
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if a := f.do(token, http.MethodGet, "/v1/events?instance=orders&since="+later, nil); a.body != `{"items":[],"next":null}`+"\n" {
		t.Errorf("since later: %s", a.body)
	}
	// The operator sees which gateway, and what was of nobody.
	operator := f.token("", "operator")
	if got = decodeAs[api.Refusals](t, f.do(operator, http.MethodGet, "/v1/events?instance=orders", nil)); got.Items[0].Gateway != "gw-7" {
		t.Errorf("%+v", got)
	}
	if got = decodeAs[api.Refusals](t, f.do(operator, http.MethodGet, "/v1/events", nil)); len(got.Items) != 1 || got.Items[0].Instance != "" {
		t.Errorf("%+v", got)
	}
}

func TestRefusedEventsRights(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	for _, c := range []struct {
		tenant      tenancy.TenantID
		role, query string
		status      int
	}{
		{"t-acme", "tenant-admin", "?instance=orders", 200},
		{"t-acme", "tenant-admin", "", 403},
		{"t-other", "tenant-admin", "?instance=orders", 404},
		{"t-acme", "quota-admin", "?instance=orders", 403},
		{"", "operator", "", 200},
		{"t-acme", "viewer", "?instance=nothing", 404},
		{"t-acme", "viewer", "?instance=orders&kind=audit", 422},
		{"t-acme", "viewer", "?instance=orders&since=yesterday", 422},
		{"t-acme", "viewer", "?instance=orders&since=-1h", 422},
		{"t-acme", "viewer", "?instance=orders&after=x", 422},
		{"t-acme", "viewer", "?instance=orders&limit=501", 422},
	} {
		a := f.do(f.token(c.tenant, c.role), http.MethodGet, "/v1/events"+c.query, nil)
		if a.status != c.status {
			t.Errorf("%s of %q, %s: %d %s", c.role, c.tenant, c.query, a.status, a.body)
		}
	}
	f.redis.Close()
	if p := f.do(f.token("", "operator"), http.MethodGet, "/v1/events", nil).problem(t); p.Code != "store-unavailable" {
		t.Errorf("without redis: %+v", p)
	}
}
