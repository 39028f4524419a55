package admin

import (
	"net/http"
	"strings"
	"testing"

	"weir/admin/api"
	"weir/quota"
	"weir/tenancy"
)

// restrain is what the keeper of budgets does.
func (f *fixture) restrain(id tenancy.InstanceID, r tenancy.Restraint) {
	f.t.Helper()
	_, rev, err := f.store.UpdateInstance(f.t.Context(), id, func(i *tenancy.Instance) error {
		i.Restraint = r
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.directory.Await(f.t.Context(), rev); err != nil {
		f.t.Fatal(err)
	}
}

// TestQuotasOfASpentBudget: what is in force is shown, and who says so.
func TestQuotasOfASpentBudget(t *testing.T) {
	f, use := newQuotaFixture(t)
	use.used["orders"] = map[tenancy.LimitName]Use{tenancy.LimitProduceBytes: {Used: mib}, tenancy.LimitFetchBytes: {Used: 10}}
	f.restrain("orders", tenancy.RestraintThrottle)
	own := f.token("t-acme", "quota-admin")

	f.wantBounds(map[tenancy.LimitName]string{
		tenancy.LimitProduceBytes: "65536 burst 16384 budget", tenancy.LimitFetchBytes: "65536 burst 16384 budget",
		tenancy.LimitTopics: "20 plan", tenancy.LimitRequests: "100 burst 500 plan",
	})
	all := f.quotas(own)
	produce, fetch := all.Limits["produce_bytes_per_second"], all.Limits["fetch_bytes_per_second"]
	if produce.Else == nil || sayBound(*produce.Else) != "10485760 burst 2621440 plan" || fetch.Else == nil || sayBound(*fetch.Else) != "none" ||
		all.Tenant != "t-acme" || fetch.Used == nil || all.Limits["topics"].Else != nil {
		t.Errorf("%+v", all)
	}

	// A change is made, and what is in force instead is said.
	a := f.do(own, http.MethodPatch, quotasPath+"?dry_run=true", `{"limits":{"produce_bytes_per_second":{"limit":20971520},"fetch_bytes_per_second":{"limit":1024}}}`)
	f.wantChanges(a, true, "produce_bytes_per_second: 10485760 burst 2621440 plan -> 20971520 burst 5242880 instance throttles",
		"fetch_bytes_per_second: none -> 1024 burst 256 instance")
	did := decodeAs[api.ChangedQuotas](t, a)
	if c := did.Changes[0]; did.BudgetOf != "t-acme" || c.InForce == nil || sayBound(*c.InForce) != "65536 burst 16384 budget" || did.Changes[1].InForce != nil {
		t.Errorf("%+v", did)
	}
	// A plan that bounds less than before holds nobody back whom the budget holds already.
	operator := f.token("", "operator")
	plan := decodeAs[api.ChangedPlan](t, f.do(operator, http.MethodPatch, "/v1/plans/standard?dry_run=true", `{"limits":{"fetch_bytes_per_second":{"limit":1048576}}}`))
	if plan.AffectedCount != 0 {
		t.Errorf("%+v", plan)
	}

	f.restrain("orders", tenancy.RestraintNone)
	if l := f.quotas(own).Limits["produce_bytes_per_second"]; sayBound(l.Bound) != "10485760 burst 2621440 plan" || l.Else != nil {
		t.Errorf("set free: %+v", l)
	}
}

// TestThrottlesOfASpentBudget: another limit would change nothing, so none is proposed.
func TestThrottlesOfASpentBudget(t *testing.T) {
	f := newFixture(t)
	user := "etl"
	f.cfg.Throttles = &fakeThrottles{all: []quota.Throttle{
		{Limit: tenancy.LimitProduceBytes, Kind: quota.Throttled, Count: 1},
		{Limit: tenancy.LimitTopics, Kind: quota.Refused, Count: 1},
		{Limit: tenancy.LimitFetchBytes, Kind: quota.Throttled, Of: tenancy.QuotaEntity{User: &user}, Count: 1},
	}}
	f.start()
	f.create("t-acme", "orders")
	says := func() (texts []string) {
		for _, l := range decodeAs[api.Throttles](t, f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/throttles", nil)).Limits {
			texts = append(texts, l.Text+" | "+l.Fix+" | "+l.Try)
		}
		return texts
	}
	f.restrain("orders", tenancy.RestraintThrottle)
	const spent = "the budget of tenant t-acme is spent, which leaves 64 KiB a second | " +
		"raise the budget, add to its balance, or wait for the next month; another limit changes nothing | weir budget get --tenant t-acme"
	if got := says(); len(got) != 3 || got[0] != spent || strings.Contains(got[1]+got[2], "budget") {
		t.Errorf("%q", got)
	}
	f.restrain("orders", tenancy.RestraintNone)
	if got := says(); len(got) != 3 || strings.Contains(strings.Join(got, ""), "budget") {
		t.Errorf("set free: %q", got)
	}
}
