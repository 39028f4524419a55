package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/tenancy"
)

func (f *fixture) plan(token, name string) (map[string]string, int) {
	f.t.Helper()
	a := f.do(token, http.MethodGet, "/v1/plans/"+name, nil)
	if a.status != http.StatusOK {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	p := decodeAs[api.Plan](f.t, a)
	return planLines(p), p.Instances
}

// planLines are what a plan bounds.
func planLines(p api.Plan) map[string]string {
	out := map[string]string{}
	for name, l := range p.Limits {
		if l.Source != "none" {
			out[name] = sayBound(l.Bound)
		}
	}
	return out
}

func TestPlans(t *testing.T) {
	f, _ := newQuotaFixture(t)
	f.create("t-other", "bills")
	token := f.token("", "operator")
	all := decodeAs[api.Plans](t, f.do(token, http.MethodGet, "/v1/plans", nil))
	if len(all.Items) != 2 || all.Items[0].Name != "standard" || all.Items[0].Instances != 2 || all.Items[1].Name != "large" || len(planLines(all.Items[1])) != 0 {
		t.Errorf("%+v", all)
	}
	if _, n := f.plan(f.token("t-acme", "tenant-admin"), "standard"); n != 1 {
		t.Errorf("a tenant sees %d instances", n)
	}
	change := func(query, body string, want ...string) api.ChangedPlan {
		t.Helper()
		a := f.do(token, http.MethodPatch, "/v1/plans/standard"+query, body)
		if a.status != http.StatusOK || (a.header.Get("Weir-Revision") == "") != (query != "") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		got := decodeAs[api.ChangedPlan](t, a)
		if diff := cmp.Diff(want, sayChanges(got.Changes)); diff != "" || query == "" && *got.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) {
			t.Error(diff, a.body)
		}
		return got
	}
	change("", `{"limits":{"topics":{"limit":30},"groups":{"limit":5},"partitions":null}}`, "topics: 20 file -> 30 override", "groups: none -> 5 override")
	want := map[string]string{"topics": "30 override", "groups": "5 override", "produce_bytes_per_second": "10485760 burst 2621440 file", "requests_per_second": "100 burst 500 file"}
	if got, _ := f.plan(token, "standard"); !cmp.Equal(want, got) {
		t.Error(cmp.Diff(want, got))
	}
	if got := f.directory.Plan("standard"); len(got) != 2 || got[tenancy.LimitTopics].Value != 30 {
		t.Errorf("in force: %v", got)
	}
	f.wantBounds(map[tenancy.LimitName]string{
		tenancy.LimitProduceBytes: "10485760 burst 2621440 plan", tenancy.LimitTopics: "30 plan", tenancy.LimitRequests: "100 burst 500 plan", tenancy.LimitGroups: "5 plan",
	})
	change("?dry_run=true", `{"limits":{"topics":null}}`, "topics: 30 override -> 20 file")
	change("", `{"limits":{"topics":null,"groups":null}}`, "topics: 30 override -> 20 file", "groups: 5 override -> none")
	if p := f.do(token, http.MethodPatch, "/v1/plans/huge", `{"limits":{}}`).problem(t); p.Code != "plan-not-found" || p.Try == "" {
		t.Errorf("%+v", p)
	}
}

// A dry run names those whom the change would hold back, and counts the rest.
func TestPlanDryRun(t *testing.T) {
	f, use := newQuotaFixture(t)
	token := f.token("", "operator")
	const n = maxAffected + 5
	for i := range n {
		id := tenancy.InstanceID(fmt.Sprintf("busy-%03d", i))
		in := tenancy.Instance{ID: id, Name: string(id), Tenant: "t-acme", Plan: "standard", Pool: testPool, State: tenancy.StateActive, ClusterID: "x"}
		if _, _, err := f.store.CreateInstance(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		use.used[id] = map[tenancy.LimitName]Use{tenancy.LimitProduceBytes: {Used: 2 * mib}, tenancy.LimitTopics: {Used: 1}}
	}
	for id, own := range map[tenancy.InstanceID]tenancy.Limits{"busy-000": {tenancy.LimitProduceBytes: {Value: 9 * mib}}, "busy-001": {tenancy.LimitTopics: {Value: 9}}} {
		if _, err := f.store.ChangeLimits(t.Context(), id, own, nil); err != nil {
			t.Fatal(err)
		}
	}
	rev, err := f.store.ChangeLimits(t.Context(), "orders", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.store.WaitApplied(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	ask := func(body string) api.ChangedPlan {
		t.Helper()
		return decodeAs[api.ChangedPlan](t, f.do(token, http.MethodPatch, "/v1/plans/standard?dry_run=true", body))
	}
	got := ask(`{"limits":{"produce_bytes_per_second":{"limit":1048576},"topics":{"limit":40}}}`)
	if got.AffectedCount != n-1 || len(got.Affected) != maxAffected || got.Unknown != 1 { // nobody knows of orders
		t.Errorf("%d affected, %d named, %d unknown", got.AffectedCount, len(got.Affected), got.Unknown)
	}
	first := got.Affected[0]
	if first.Instance != "busy-001" || !first.WouldThrottle || first.Limit != "produce_bytes_per_second" || *first.Used != 2*mib {
		t.Errorf("%+v", first)
	}
	if !slices.IsSortedFunc(got.Affected, func(a, b api.AffectedInstance) int { return strings.Compare(a.Instance, b.Instance) }) {
		t.Errorf("not in order: %v", got.Affected)
	}
	if got := ask(`{"limits":{"produce_bytes_per_second":{"limit":20971520},"topics":null}}`); got.AffectedCount != 0 || got.Unknown != 0 {
		t.Errorf("what grows holds nobody back: %+v", got)
	}
	if got := ask(`{"limits":{"topics":{"limit":1}}}`); got.AffectedCount != n-1 || !got.Affected[0].WouldRefuse {
		t.Errorf("%+v", got)
	}
}
