package admin

import (
	"net/http"
	"strings"
	"testing"

	"weir/admin/api"
	"weir/tenancy"
)

// TestBudgetSaysWhatItDoes: the answer has the state that follows, a dry run's too, and
// that changes nothing.
func TestBudgetSaysWhatItDoes(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	f.create("t-acme", "bills")
	f.create("t-other", "theirs")
	f.billed.add(t, "t-acme", "orders", "2026-11-10T10", "standard", "", 201<<30) // 7.00
	operator := f.token("", "operator")
	const path = "/v1/tenants/t-acme/budget"
	set := func(query, body string) api.ChangedBudget {
		t.Helper()
		return decodeAs[api.ChangedBudget](t, f.do(operator, http.MethodPut, path+query, body))
	}
	did := set("?dry_run=true", `{"mode":"hard","currency":"EUR","amount":"5"}`)
	if is := did.Balance; !did.DryRun || did.ReadyOn != nil || did.Tightens != 2 || is == nil || is.Spent != "7.00" || is.Left != "-2.00" ||
		is.Restraint != "" || is.Next != "throttle" || is.Instances != 2 || is.Held != 0 {
		t.Errorf("%+v %+v", did, did.Balance)
	}
	if a := f.do(operator, http.MethodGet, path, nil); a.problem(t).Code != "budget-not-found" {
		t.Errorf("after a dry run: %s", a.body)
	}
	did = set("", `{"mode":"prepaid","currency":"EUR","balance":{"id":"pay-1","amount":"10.00","note":"first"}}`)
	if is := did.Balance; did.Tightens != 0 || did.ReadyOn != nil || is.Available != "10.00" || is.Left != "3.00" || is.Restraint+is.Next != "" {
		t.Errorf("paid at once: %+v %+v", did, did.Balance)
	}
	if v, _ := f.directory.View("orders"); v.Instance.Version != 1 {
		t.Errorf("it was stopped for a while: %+v", v.Instance)
	}
	if did = set("", `{"mode":"prepaid","currency":"EUR","balance":{"id":"pay-1","amount":"10.00"}}`); !did.Counted || did.Balance.Available != "10.00" {
		t.Errorf("said again: %+v", did)
	}
	up := decodeAs[api.ChangedBalance](t, f.do(operator, http.MethodPost, "/v1/tenants/t-acme/balance", `{"id":"pay-1","currency":"EUR","amount":"10.00"}`))
	if !up.Counted || up.Left != "3.00" || len(up.TopUps) != 1 || up.TopUps[0].Note != "first" {
		t.Errorf("and by a top-up: %+v", up)
	}
	did = set("", `{"mode":"hard","currency":"EUR","amount":"7","action":"stop"}`)
	if is := did.Balance; did.Tightens != 2 || did.ReadyOn == nil || is.Restraint != "stop" || is.Held != 2 || is.Next != "" {
		t.Errorf("spent: %+v %+v", did, did.Balance)
	}
	for body, want := range map[string]string{
		`{"mode":"soft","currency":"EUR","amount":"9","balance":{"id":"pay-2","amount":"1"}}`: "body.balance: only a prepaid budget has one",
		`{"mode":"prepaid","currency":"EUR","balance":{"id":"pay-2","amount":"0"}}`:           `body.balance.amount: "0" is nothing: want more than 0`,
		`{"mode":"prepaid","currency":"EURO","balance":{"id":"pay-2","amount":"1"}}`:          `body.currency: "EURO" is no currency here; did you mean EUR?`,
		`{"mode":"soft","currency":"eur","amount":"1"}`:                                       `body.currency: "eur" is no currency here; did you mean EUR?`,
		`{"mode":"soft","currency":"","amount":"1"}`:                                          "body.currency: is needed, as in EUR",
		`{"mode":"hard","currency":"EUR"}`:                                                    "body.amount: is needed: digits, as in 0.04",
		`{"mode":"hard","currency":"EUR","amount":"-5"}`:                                      `body.amount: "-5" is negative: want 0 or more`,
	} {
		p := f.do(operator, http.MethodPut, path, body).problem(t)
		if len(p.Errors) != 1 || p.Errors[0].Location+": "+p.Errors[0].Message != want {
			t.Errorf("%s: %+v, want %s", body, p.Errors, want)
		}
	}
	if p := f.do(operator, http.MethodPut, path, `{"mode":"prepaid","currency":"EUR","balance":{"id":"pay-1","amount":"11"}}`).problem(t); p.Code != "top-up-taken" {
		t.Errorf("%+v", p)
	}
	if b := decodeAs[api.Budget](t, f.do(operator, http.MethodGet, path, nil)); b.Mode != "hard" || b.Amount != "7" {
		t.Errorf("after what was refused: %+v", b)
	}
}

// TestBalanceBeforeTheNextLook: what is in force is not what is about to be.
func TestBalanceBeforeTheNextLook(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	operator := f.token("", "operator")
	f.do(operator, http.MethodPut, "/v1/tenants/t-acme/budget", `{"mode":"hard","currency":"EUR","amount":"7"}`)
	f.billed.add(t, "t-acme", "orders", "2026-11-23T07", "standard", "", 201<<30)
	f.billed.sealed++ // so that it is read again
	is := decodeAs[api.Balance](t, f.do(operator, http.MethodGet, "/v1/tenants/t-acme/balance", nil))
	if is.Spent != "7.00" || is.Restraint != "" || is.Next != "throttle" || is.Held != 0 {
		t.Errorf("%+v", is)
	}
	if err := f.cfg.Billing.Keeper.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	in, err := f.store.Instance(t.Context(), "orders")
	if err != nil || in.Restraint != tenancy.RestraintThrottle {
		t.Fatalf("%+v %v", in, err)
	}
	f.restrain("orders", in.Restraint) // waits until the directory has it
	is = decodeAs[api.Balance](t, f.do(operator, http.MethodGet, "/v1/tenants/t-acme/balance", nil))
	if is.Restraint != "throttle" || is.Next != "" || is.Held != 1 {
		t.Errorf("%+v", is)
	}
}

// TestBudgetWarnings are of what is allowed and probably not meant.
func TestBudgetWarnings(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	operator := f.token("", "operator")
	for _, c := range []struct{ tenant, currency, want string }{
		{"t-acme", "EUR", ""},
		{"t-acme", "USD", "no plan of tenant t-acme (standard) has prices in USD: nothing of what it uses counts"},
		{"acmee", "EUR", "tenant acmee has no instance"},
	} {
		did := decodeAs[api.ChangedBudget](t, f.do(operator, http.MethodPut, "/v1/tenants/"+c.tenant+"/budget", `{"mode":"soft","currency":"`+c.currency+`","amount":"5"}`))
		if got := strings.Join(did.Warnings, "|"); got != c.want || did.Currency != c.currency {
			t.Errorf("%s %s: %q, want %q", c.tenant, c.currency, got, c.want)
		}
	}
}

func TestBudgetList(t *testing.T) {
	f := billed(t)
	f.create("t-acme", "orders")
	operator, own := f.token("", "operator"), f.token("t-acme", "billing-reader")
	list := func(token, query string) (names string, next *string) {
		t.Helper()
		all := decodeAs[api.Budgets](t, f.do(token, http.MethodGet, "/v1/budgets"+query, nil))
		for _, b := range all.Items {
			names += b.Tenant + ":" + b.Balance.Left + " "
		}
		return strings.TrimSpace(names), all.Next
	}
	if got, next := list(operator, ""); got != "" || next != nil {
		t.Errorf("none: %q", got)
	}
	for tenant, amount := range map[string]string{"t-other": "3", "t-acme": "1", "t-new": "2"} {
		f.do(operator, http.MethodPut, "/v1/tenants/"+tenant+"/budget", `{"mode":"hard","currency":"EUR","amount":"`+amount+`"}`)
	}
	if got, next := list(operator, ""); got != "t-acme:1.00 t-new:2.00 t-other:3.00" || next != nil {
		t.Errorf("operator: %q", got)
	}
	got, next := list(operator, "?limit=2")
	if got != "t-acme:1.00 t-new:2.00" || next == nil {
		t.Fatalf("a page: %q", got)
	}
	if got, next = list(operator, "?limit=2&after="+*next); got != "t-other:3.00" || next != nil {
		t.Errorf("the next: %q", got)
	}
	if got, next = list(own, ""); got != "t-acme:1.00" || next != nil {
		t.Errorf("a tenant's: %q", got)
	}
	if got, next = list(f.token("t-nobody", "billing-reader"), ""); got != "" || next != nil {
		t.Errorf("a tenant without one: %q", got)
	}
	f.billed.err = http.ErrServerClosed // records cannot be read
	f.billed.sealed++
	all := decodeAs[api.Budgets](t, f.do(operator, http.MethodGet, "/v1/budgets", nil))
	if len(all.Items) != 3 || all.Items[0].Balance != nil || all.Items[0].Amount != "1" {
		t.Errorf("without records: %+v", all)
	}
}
