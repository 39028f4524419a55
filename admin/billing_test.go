package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/admin/api"
	"weir/billing"
	"weir/metering"
	"weir/tenancy"
)

// fixtureInstances are those of the fixture's directory and store.
type fixtureInstances struct{ f *fixture }

func (i fixtureInstances) Each(fn func(tenancy.Instance) bool) {
	i.f.directory.Each(func(v *tenancy.View) bool { return fn(v.Instance) })
}

func (i fixtureInstances) Restrain(ctx context.Context, id tenancy.InstanceID, r tenancy.Restraint) (tenancy.Revision, error) {
	_, rev, err := i.f.store.UpdateInstance(ctx, id, func(in *tenancy.Instance) error {
		in.Restraint = r
		return nil
	})
	return rev, err
}

// billing bills f.billed, at 4 cents a GiB on plan standard; the clock is the config's.
func (f *fixture) billing(rdb redis.UniversalClient) *Billing {
	now := func() time.Time {
		if f.cfg.Now != nil {
			return f.cfg.Now()
		}
		return time.Now()
	}
	f.billed = &fakeMetered{}
	store := billing.NewStore(rdb, map[string]billing.Prices{"standard": {Currency: "EUR", Meters: []billing.MeterPrices{
		{Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "1", Tiers: []billing.TierPrices{{Above: "101", Price: "0.03"}}},
	}}})
	biller := billing.NewBiller(billing.Config{
		Records: f.billed, Store: store, Now: now,
		Sealed: func(context.Context) (metering.Hour, error) {
			if f.billed.sealed == 0 {
				f.billed.sealed = metering.HourOf(now()) - 1
			}
			return f.billed.sealed, f.billed.err
		},
	})
	return &Billing{Biller: biller, Store: store, Keeper: billing.NewKeeper(billing.KeeperConfig{Biller: biller, Instances: fixtureInstances{f}})}
}

// lastMonth is a month that is over, for the clock.
func (f *fixture) lastMonth() billing.Month { return billing.MonthOf(f.cfg.Now()) - 1 }

// bill lets a tenant have used 201 GiB of standard in the month before.
func (f *fixture) bill(t testing.TB, tenant tenancy.TenantID, instance string) {
	f.billed.add(t, tenant, instance, f.lastMonth().String()+"-10T10", "standard", "", 201<<30)
}

// billed is a fixture on the 23rd of November 2026.
func billed(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.cfg.Now = func() time.Time { return usageNow }
	return f.start()
}

func TestStatements(t *testing.T) {
	f := billed(t)
	f.bill(t, "t-acme", "orders")
	f.billed.add(t, "t-acme", "orders", "2026-11-10T10", "standard", "", 11<<30)
	f.billed.add(t, "t-other", "theirs", "2026-11-10T10", "standard", "", 999<<30)
	own := f.token("t-acme", "billing-reader")

	list := decodeAs[api.Statements](t, f.do(own, http.MethodGet, "/v1/statements", nil))
	if len(list.Items) != 2 || list.Items[0].ID != "t-acme-2026-11-EUR" || list.Items[0].Total != "0.40" || list.Items[0].State != "open" ||
		list.Items[0].Forecast == "" || list.Items[1].Total != "7.00" || list.Items[1].Forecast != "" || list.Items[1].State != "open" || list.Next != nil {
		t.Errorf("%+v", list)
	}
	page := decodeAs[api.Statements](t, f.do(own, http.MethodGet, "/v1/statements?limit=1", nil))
	if len(page.Items) != 1 || page.Next == nil {
		t.Fatalf("%+v", page)
	}
	if page = decodeAs[api.Statements](t, f.do(own, http.MethodGet, "/v1/statements?limit=1&after="+*page.Next, nil)); len(page.Items) != 1 || page.Items[0].Month != "2026-10" || page.Next != nil {
		t.Errorf("%+v", page)
	}

	st := decodeAs[api.Statement](t, f.do(own, http.MethodGet, "/v1/statements/t-acme-2026-10", nil))
	if st.ID != "t-acme-2026-10-EUR" || st.Total != "7.00" || len(st.Lines) != 3 || st.Lines[2].Amount != "3.00" || st.Lines[2].Quantity != "100" || st.Lines[2].UnitPrice != "0.03" {
		t.Errorf("%+v", st)
	}
	if a := f.do(own, http.MethodPost, "/v1/statements/t-acme-2026-10/finalize", nil); a.problem(t).Code != "not-allowed" {
		t.Errorf("a tenant's reader: %s", a.body)
	}
	operator := f.token("", "operator")
	if a := f.do(operator, http.MethodPost, "/v1/statements/t-acme-2026-11-EUR/finalize", nil); a.problem(t).Code != "statement-open" {
		t.Errorf("a month that is not over: %s", a.body)
	}
	final := decodeAs[api.Statement](t, f.do(operator, http.MethodPost, "/v1/statements/t-acme-2026-10-EUR/finalize", nil))
	if final.State != "final" || final.FinalizedAt == nil || !final.FinalizedAt.Equal(usageNow) {
		t.Errorf("%+v", final)
	}
	f.billed.add(t, "t-acme", "orders", "2026-10-10T11", "standard", "", 1<<40)
	f.billed.all[len(f.billed.all)-1].Number = 9
	again := decodeAs[api.Statement](t, f.do(own, http.MethodGet, "/v1/statements/t-acme-2026-10-EUR", nil))
	if again.Total != "7.00" || again.SHA256 != final.SHA256 {
		t.Errorf("%+v", again)
	}
	file := f.do(own, http.MethodGet, "/v1/statements/t-acme-2026-10-EUR.csv", nil)
	if sum := sha256.Sum256([]byte(file.body)); hex.EncodeToString(sum[:]) != final.SHA256 || !strings.HasPrefix(file.header.Get("Content-Type"), "text/csv") ||
		file.header.Get("Content-Disposition") != `attachment; filename="t-acme-2026-10-EUR.csv"` {
		t.Errorf("%d %v %s", file.status, file.header, file.body)
	}
	list = decodeAs[api.Statements](t, f.do(operator, http.MethodGet, "/v1/statements?tenant=t-acme&month=2026-10", nil))
	if len(list.Items) != 1 || list.Items[0].SHA256 != final.SHA256 {
		t.Errorf("%+v", list)
	}
	for path, code := range map[string]string{
		"/v1/statements/t-other-2026-11-EUR":     "statement-not-found",
		"/v1/statements/t-other-2026-11-EUR.csv": "statement-not-found",
		"/v1/statements/t-acme-2026-09-EUR":      "statement-not-found",
		"/v1/statements/t-acme-2026-12-EUR":      "statement-not-found",
		"/v1/statements/t-acme-2026-10-USD":      "statement-not-found",
		"/v1/statements/nonsense":                "statement-not-found",
		"/v1/statements?tenant=t-other":          "tenant-not-found",
		"/v1/statements?month=2026-12":           "validation-failed",
		"/v1/statements?month=soon":              "validation-failed",
	} {
		if a := f.do(own, http.MethodGet, path, nil); a.problem(t).Code != code {
			t.Errorf("%s: %s, want %s", path, a.body, code)
		}
	}
	if a := f.do(operator, http.MethodGet, "/v1/statements", nil); a.problem(t).Code != "validation-failed" {
		t.Errorf("an operator of no tenant: %s", a.body)
	}
	f.billed.err = context.DeadlineExceeded
	if a := f.do(own, http.MethodGet, "/v1/statements/t-acme-2026-11-EUR", nil); a.problem(t).Code != "store-unavailable" {
		t.Errorf("without records: %s", a.body)
	}
}

func TestBudgets(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	f.create("t-other", "theirs")
	f.billed.add(t, "t-acme", "orders", "2026-11-10T10", "standard", "", 201<<30) // 7.00
	own, operator := f.token("t-acme", "tenant-admin"), f.token("", "operator")
	restraint := func(id string) string {
		return decodeAs[api.Instance](t, f.do(operator, http.MethodGet, "/v1/instances/"+id, nil)).Restraint
	}
	const path = "/v1/tenants/t-acme/budget"
	for _, missing := range []string{path, "/v1/tenants/t-acme/balance"} {
		if a := f.do(own, http.MethodGet, missing, nil); a.problem(t).Code != "budget-not-found" {
			t.Errorf("%s: %s", missing, a.body)
		}
	}
	a := f.do(own, http.MethodPut, path, `{"mode":"soft","currency":"EUR","amount":"7"}`)
	if did := decodeAs[api.ChangedBudget](t, a); did.SetBy != "tenant" || did.ReadyOn != nil || a.header.Get("Weir-Revision") != "" {
		t.Errorf("%+v %v", did, a.header)
	}
	if r := restraint("orders"); r != "" {
		t.Errorf("soft: %s", r)
	}
	a = f.do(own, http.MethodPut, path, `{"mode":"hard","currency":"EUR","amount":"7"}`)
	if did := decodeAs[api.ChangedBudget](t, a); did.Action != "throttle" || did.ReadyOn == nil || did.ReadyOn.Gateways != 1 || a.header.Get("Weir-Revision") == "" {
		t.Errorf("%+v %v", did, a.header)
	}
	if v, _ := f.directory.View("orders"); restraint("orders") != "throttle" || restraint("theirs") != "" || v.Instance.Restraint != tenancy.RestraintThrottle {
		t.Errorf("hard: %s, %s, %+v", restraint("orders"), restraint("theirs"), v.Instance)
	}
	balance := decodeAs[api.Balance](t, f.do(f.token("t-acme", "billing-reader"), http.MethodGet, "/v1/tenants/t-acme/balance", nil))
	if balance.Spent != "7.00" || balance.Left != "0.00" || balance.Available != "7.00" || balance.Restraint != "throttle" || balance.Forecast == "" {
		t.Errorf("%+v", balance)
	}
	events := decodeAs[api.BudgetEvents](t, f.do(own, http.MethodGet, "/v1/tenants/t-acme/events?limit=2", nil))
	if len(events.Items) != 2 || events.Next == nil || events.Items[0].Threshold != "forecast" || events.Items[1].Threshold != "100" {
		t.Fatalf("%+v", events)
	}
	events = decodeAs[api.BudgetEvents](t, f.do(own, http.MethodGet, "/v1/tenants/t-acme/events?after="+*events.Next, nil))
	if len(events.Items) != 2 || events.Next != nil || events.Items[1].Threshold != "50" {
		t.Errorf("%+v", events)
	}
	if a := f.do(own, http.MethodPut, path, `{"mode":"prepaid","currency":"EUR"}`); a.problem(t).Code != "not-allowed" {
		t.Errorf("prepaid by the tenant: %s", a.body)
	}
	did := decodeAs[api.ChangedBudget](t, f.do(operator, http.MethodPut, path, `{"mode":"prepaid","currency":"EUR"}`))
	if did.SetBy != "operator" || restraint("orders") != "stop" {
		t.Errorf("%+v, %s", did, restraint("orders"))
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if a := f.do(own, method, path, `{"mode":"soft","currency":"EUR","amount":"9"}`); a.problem(t).Code != "not-allowed" {
			t.Errorf("%s what an operator set: %s", method, a.body)
		}
	}
	for range 2 {
		up := decodeAs[api.ChangedBalance](t, f.do(operator, http.MethodPost, "/v1/tenants/t-acme/balance", `{"id":"pay-1","currency":"EUR","amount":"7.01"}`))
		if up.Left != "0.01" || len(up.TopUps) != 1 || restraint("orders") != "" {
			t.Errorf("%+v, %s", up, restraint("orders"))
		}
	}
	for body, code := range map[string]string{
		`{"id":"pay-1","currency":"EUR","amount":"8"}`:   "top-up-taken",
		`{"id":"pay-2","currency":"USD","amount":"8"}`:   "budget-not-prepaid",
		`{"id":"pay-2","currency":"EUR","amount":"-8"}`:  "validation-failed",
		`{"id":"pay-2","currency":"EUR","amount":"0"}`:   "validation-failed",
		`{"id":"p y","currency":"EUR","amount":"1"}`:     "validation-failed",
		`{"id":"pay-2","currency":"EUR","amount":"1e3"}`: "validation-failed",
	} {
		if a := f.do(operator, http.MethodPost, "/v1/tenants/t-acme/balance", body); a.problem(t).Code != code {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if a := f.do(operator, http.MethodDelete, path, nil); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, bad := range []string{
		`{"mode":"soft","currency":"EUR","amount":"1e999999999"}`, `{"mode":"soft","currency":"EUR","amount":"-1"}`, `{"mode":"soft","currency":"XYZ","amount":"1"}`,
		`{"mode":"soft","currency":"EUR","amount":"1","action":"stop"}`, `{"mode":"prepaid","currency":"EUR","amount":"1"}`, `{"mode":"soft","currency":"EUR"}`,
	} {
		if a := f.do(own, http.MethodPut, path, bad); a.problem(t).Code != "validation-failed" || len(a.problem(t).Errors) != 1 {
			t.Errorf("%s: %s", bad, a.body)
		}
	}
	if a := f.do(own, http.MethodGet, path, nil); a.problem(t).Code != "budget-not-found" {
		t.Errorf("after what was refused: %s", a.body)
	}
	if a := f.do(own, http.MethodGet, "/v1/tenants/t-other/budget", nil); a.problem(t).Code != "tenant-not-found" {
		t.Errorf("somebody else's: %s", a.body)
	}
	if a := f.do(own, http.MethodGet, "/v1/tenants/t-acme/events?after=x", nil); a.problem(t).Code != "validation-failed" {
		t.Errorf("%s", a.body)
	}
}

func TestPlanPrices(t *testing.T) {
	f := billed(t)
	own, operator := f.token("t-acme", "viewer"), f.token("", "operator")
	const path = "/v1/plans/large/prices"
	if all := decodeAs[api.PricesOfPlan](t, f.do(own, http.MethodGet, path, nil)); len(all.Items) != 0 {
		t.Errorf("%+v", all)
	}
	prices := func(from, price string) string {
		return fmt.Sprintf(`{"from":%q,"currency":"USD","minimum":"9.99","meters":[{"meter":"requests","unit":"1M","price":%q,"tiers":[{"above":"10","price":"0.1"}]}]}`, from, price)
	}
	for body, place := range map[string]string{
		prices("2026-10", "0.2"):                             "body.from",
		prices("2026-13", "0.2"):                             "body.from",
		prices("2026-12", "-0.2"):                            "body.meters[0].price",
		prices("2026-12", "1e999999999"):                     "body.meters[0].price",
		`{"currency":"USD","meters":[]}`:                     "body.meters",
		`{"currency":"DOGE","meters":[]}`:                    "body.currency",
		`{"currency":"USD","minimum":"1","meters":[],"x":1}`: "body.x",
		prices("2026-12", "0.2") + prices("a", ""):           "body",
	} {
		if a := f.do(operator, http.MethodPut, path, body); a.status/100 != 4 || !strings.Contains(a.body, `"location":"`+place) {
			t.Errorf("%s: %d %s, want a mistake in %s", body, a.status, a.body, place)
		}
	}
	if a := f.do(own, http.MethodPut, path, prices("2026-12", "0.2")); a.problem(t).Code != "not-allowed" {
		t.Errorf("%s", a.body)
	}
	if a := f.do(operator, http.MethodPut, "/v1/plans/none/prices", prices("2026-12", "0.2")); a.problem(t).Code != "plan-not-found" {
		t.Errorf("%s", a.body)
	}
	all := decodeAs[api.ChangedPrices](t, f.do(operator, http.MethodPut, path, prices("2026-12", "0.2")))
	if len(all.Items) != 1 || *all.Items[0].From != "2026-12" || all.Items[0].Meters[0].Tiers[0].Above != "10" {
		t.Errorf("%+v", all)
	}
	all = decodeAs[api.ChangedPrices](t, f.do(operator, http.MethodPut, path, strings.Replace(prices("2026-12", "0.3"), `"from":"2026-12",`, "", 1)))
	if len(all.Items) != 2 || *all.Items[0].From != "2026-11" || all.Items[0].Meters[0].Price != "0.3" || *all.Items[1].From != "2026-12" {
		t.Errorf("%+v", all)
	}
	plans := decodeAs[api.Plans](t, f.do(own, http.MethodGet, "/v1/plans", nil))
	if plans.Items[0].Prices == nil || plans.Items[0].Prices.Currency != "EUR" || plans.Items[1].Prices == nil || plans.Items[1].Prices.Meters[0].Price != "0.3" {
		t.Errorf("%+v", plans)
	}
}

// TestPricesTakenBack: unset, those of the file count again, from the month that is asked
// for on; a dry run says so and changes nothing.
func TestPricesTakenBack(t *testing.T) {
	f := newFixture(t)
	var said atomic.Int64 // each change is at a moment of its own
	f.cfg.Now = func() time.Time { return usageNow.Add(time.Duration(said.Add(1)) * time.Microsecond) }
	f.start()
	f.create("t-acme", "orders") // on standard, whose file says 0.04 EUR
	operator := f.token("", "operator")
	say := func(a answer) string {
		t.Helper()
		all := decodeAs[api.ChangedPrices](t, a)
		var text strings.Builder
		fmt.Fprintf(&text, "%s %t %d %t:", all.ChangedFrom, all.Reprices, all.Instances, all.DryRun)
		for _, p := range all.Items {
			from, price := "file", "-"
			if p.From != nil {
				from = *p.From
			}
			if len(p.Meters) > 0 {
				price = p.Meters[0].Price
			}
			fmt.Fprintf(&text, " %s %s%s %t", from, price, p.Currency, p.Unset)
		}
		return text.String()
	}
	set := func(plan, from, price string) string {
		return say(f.do(operator, http.MethodPut, "/v1/plans/"+plan+"/prices", fmt.Sprintf(`{"from":%q,"currency":"USD","meters":[{"meter":"requests","unit":"1M","price":%q}]}`, from, price)))
	}
	unset := func(plan, query string) string {
		return say(f.do(operator, http.MethodDelete, "/v1/plans/"+plan+"/prices?"+query, nil))
	}
	for i, step := range []struct{ got, want string }{
		{set("standard", "2026-11", "1"), "2026-11 true 1 false: 2026-11 1USD false"},
		{set("standard", "2027-01", "2"), "2027-01 false 1 false: 2026-11 1USD false 2027-01 2USD false"},
		{unset("standard", "from=2026-12&dry_run=true"), "2026-12 false 1 true: 2026-11 1USD false 2026-12 0.04EUR true 2027-01 2USD false"},
		{unset("standard", "dry_run=true"), "2026-11 true 1 true: file 0.04EUR false 2027-01 2USD false"},
		{unset("standard", "from=2026-12"), "2026-12 false 1 false: 2026-11 1USD false 2026-12 0.04EUR true 2027-01 2USD false"},
		{unset("standard", ""), "2026-11 true 1 false: file 0.04EUR false 2026-12 0.04EUR true 2027-01 2USD false"},
		{set("large", "2026-11", "3"), "2026-11 true 0 false: 2026-11 3USD false"},
		{unset("large", "from=2026-12"), "2026-12 false 0 false: 2026-11 3USD false 2026-12 - true"},
		{unset("large", ""), "2026-11 true 0 false: 2026-12 - true"},
	} {
		if step.got != step.want {
			t.Errorf("%d: %s, want %s", i, step.got, step.want)
		}
	}
	for query, code := range map[string]string{"from=2026-10": "validation-failed", "from=soon": "validation-failed"} {
		if a := f.do(operator, http.MethodDelete, "/v1/plans/large/prices?"+query, nil); a.problem(t).Code != code {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	// What was used on a plan without prices is not billed, that on the other one is.
	f.billed.add(t, "t-acme", "orders", "2026-11-10T10", "large", "", 201<<30)
	f.billed.add(t, "t-acme", "orders", "2026-11-10T11", "standard", "", 11<<30)
	list := decodeAs[api.Statements](t, f.do(operator, http.MethodGet, "/v1/statements?tenant=t-acme&month=2026-11", nil))
	if len(list.Items) != 1 || list.Items[0].Currency != "EUR" || list.Items[0].Total != "0.40" {
		t.Errorf("%+v", list)
	}
}

func TestNoSuchPlan(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	operator := f.token("", "operator")
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/plans/gold", ""},
		{http.MethodGet, "/v1/plans/gold/prices", ""},
		{http.MethodPatch, "/v1/plans/gold", `{"limits":{}}`},
		{http.MethodPost, "/v1/instances", `{"name":"new","tenant":"t-acme","plan":"gold"}`},
		{http.MethodPatch, "/v1/instances/orders", `{"plan":"gold"}`},
		{http.MethodPatch, "/v1/instances/orders?dry_run=true", `{"plan":"gold"}`},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		p := f.do(operator, c.method, c.path, body).problem(t)
		if p.Code != "plan-not-found" || p.Detail != `There is no plan "gold"; there is: standard, large.` {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
}
