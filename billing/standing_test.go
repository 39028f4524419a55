package billing

import (
	"errors"
	"fmt"
	"testing"

	"weir/tenancy"
)

// TestWould: where a tenant would stand is where it then stands, and asking changes nothing.
func TestWould(t *testing.T) {
	records := &fakeRecords{}
	k, instances, c := newKeeper(t, records)
	ctx := t.Context()
	c.at = at(t, "2026-11-05T10:00:00Z")
	records.add(t, "orders", "standard", "2026-11-05T08", requests(700))
	prepaid := Budget{Currency: "EUR", Mode: ModePrepaid, Action: tenancy.RestraintStop, Since: monthOf(t, "2026-11")}
	paid := &TopUp{ID: "one", Amount: "10.00", At: c.at}
	for _, step := range []struct {
		b         Budget
		up        *TopUp
		available string
		tightens  int
		counted   bool
		instances string // after it was set
	}{
		{Budget{Currency: "EUR", Mode: ModeSoft, Amount: "1"}, nil, "1.00", 0, false, "orders: bills: else:"},
		{prepaid, paid, "10.00", 0, false, "orders: bills: else:"}, // paid at once: no outage
		{prepaid, paid, "10.00", 0, true, "orders: bills: else:"},
		{Budget{Currency: "EUR", Mode: ModeHard, Amount: "7.00", Action: tenancy.RestraintThrottle}, nil, "7.00", 2, false, "orders:throttle bills:throttle else:"},
		{Budget{Currency: "EUR", Mode: ModeHard, Amount: "6.00", Action: tenancy.RestraintThrottle}, nil, "6.00", 0, false, "orders:throttle bills:throttle else:"},
		{Budget{Currency: "EUR", Mode: ModeHard, Amount: "6.00", Action: tenancy.RestraintStop}, nil, "6.00", 2, false, "orders:stop bills:stop else:"},
		{Budget{Currency: "EUR", Mode: ModeHard, Amount: "6.00", Action: tenancy.RestraintThrottle}, nil, "6.00", 0, false, "orders:throttle bills:throttle else:"},
		{prepaid, &TopUp{ID: "two", Amount: "0.01"}, "10.01", 0, false, "orders: bills: else:"},
	} {
		name := fmt.Sprintf("%s %s %s", step.b.Mode, step.b.Amount, step.b.Action)
		before := instances.String()
		would, err := k.Would(ctx, "t-acme", step.b, step.up)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if Money(would.Balance.Available) != step.available || Money(would.Balance.Spent) != "7.00" || would.Tightens() != step.tightens || would.Instances != 2 {
			t.Errorf("%s would be %+v, %d tighter", name, would, would.Tightens())
		}
		if instances.String() != before {
			t.Errorf("%s: asking made %s of %s", name, instances, before)
		}
		counted, err := k.store.SetBudget(ctx, "t-acme", step.b, step.up)
		if err != nil || counted != step.counted {
			t.Errorf("%s: counted %t, %v", name, counted, err)
		}
		if _, err := k.Tenant(ctx, "t-acme"); err != nil || instances.String() != step.instances {
			t.Errorf("%s: %s %v, want %s", name, instances, err, step.instances)
		}
		is, err := k.Standing(ctx, "t-acme")
		if err != nil || !is.Settled() || Money(is.Balance.Available) != step.available || is.InForce() != is.Wanted {
			t.Errorf("%s: %+v %v", name, is, err)
		}
	}
}

// TestSetWithTopUp: a budget and what was paid are set together, or neither is.
func TestSetWithTopUp(t *testing.T) {
	k, _, c := newKeeper(t, &fakeRecords{})
	ctx := t.Context()
	c.at = at(t, "2026-11-05T10:00:00Z")
	prepaid := Budget{Currency: "EUR", Mode: ModePrepaid, Action: tenancy.RestraintStop, Since: monthOf(t, "2026-11")}
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeSoft, Amount: "1"})
	if _, err := k.store.SetBudget(ctx, "t-acme", prepaid, &TopUp{ID: "one", Amount: "10.00"}); err != nil {
		t.Fatal(err)
	}
	soft := Budget{Currency: "EUR", Mode: ModeSoft, Amount: "2"}
	var wrong Mistake
	if _, err := k.store.SetBudget(ctx, "t-acme", soft, &TopUp{ID: "two", Amount: "1"}); !errors.As(err, &wrong) || wrong.Path != "balance" {
		t.Errorf("a balance of a soft one: %v", err)
	}
	for _, amount := range []string{"-1", "0", "1.001", ""} {
		if _, err := k.store.SetBudget(ctx, "t-acme", prepaid, &TopUp{ID: "two", Amount: amount}); !errors.As(err, &wrong) || wrong.Path != "balance.amount" {
			t.Errorf("%q: %v", amount, err)
		}
	}
	throttle := prepaid
	throttle.Action = tenancy.RestraintThrottle
	if _, err := k.store.SetBudget(ctx, "t-acme", throttle, &TopUp{ID: "one", Amount: "11.00"}); !errors.Is(err, ErrTaken) {
		t.Errorf("an id that is taken: %v", err)
	}
	if _, err := k.Would(ctx, "t-acme", throttle, &TopUp{ID: "one", Amount: "11.00"}); !errors.Is(err, ErrTaken) {
		t.Errorf("it would be: %v", err)
	}
	b, ups, err := k.store.Budget(ctx, "t-acme")
	if err != nil || b != prepaid || len(ups) != 1 || ups[0].Amount != "10.00" {
		t.Errorf("after what was refused: %+v %+v %v", b, ups, err)
	}
	// Money of another currency is no money here, and is still there.
	dollars := prepaid
	dollars.Currency = "USD"
	if _, err := k.store.SetBudget(ctx, "t-acme", dollars, &TopUp{ID: "one", Amount: "10.00"}); !errors.Is(err, ErrTaken) {
		t.Errorf("the id of a top-up in euros: %v", err)
	}
	mustSet(t, k, dollars)
	if _, is, err := k.Balance(ctx, "t-acme"); err != nil || Money(is.Available) != "0.00" {
		t.Errorf("in dollars: %+v %v", is, err)
	}
	mustSet(t, k, prepaid)
	if _, is, err := k.Balance(ctx, "t-acme"); err != nil || Money(is.Available) != "10.00" {
		t.Errorf("in euros again: %+v %v", is, err)
	}
	if err := k.store.DeleteBudget(ctx, "t-acme", true); err != nil {
		t.Fatal(err)
	}
	if _, ups, err := k.store.Budget(ctx, "t-acme"); !errors.Is(err, ErrNotFound) || len(ups) != 1 {
		t.Errorf("deleted: %+v %v", ups, err)
	}
}

// TestUnsettled: before the next look, what is in force is told apart from what comes.
func TestUnsettled(t *testing.T) {
	records := &fakeRecords{}
	k, instances, c := newKeeper(t, records)
	c.at = at(t, "2026-11-05T10:00:00Z")
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeHard, Amount: "7.00", Action: tenancy.RestraintThrottle})
	records.add(t, "orders", "standard", "2026-11-05T08", requests(700))
	is, err := k.Standing(t.Context(), "t-acme")
	if err != nil || is.Settled() || is.InForce() != "" || is.Wanted != tenancy.RestraintThrottle || is.Restrained() != 0 {
		t.Errorf("before: %+v %v", is, err)
	}
	k.mustKeep(t)
	instances.all = append(instances.all, tenancy.Instance{ID: "young", Tenant: "t-acme"})
	is, err = k.Standing(t.Context(), "t-acme")
	if err != nil || is.Settled() || is.InForce() != tenancy.RestraintThrottle || is.Restrained() != 2 || is.Instances != 3 || is.Tightens() != 1 {
		t.Errorf("with a new one: %+v %v", is, err)
	}
}

func TestCurrencies(t *testing.T) {
	for code, want := range map[string]string{
		"EUR":  "",
		"":     "is needed, as in EUR",
		"eur":  `"eur" is no currency here; did you mean EUR?`,
		"EURO": `"EURO" is no currency here; did you mean EUR?`,
	} {
		err := CheckCurrency(code)
		if got := fmt.Sprint(err); got != want && !(want == "" && err == nil) {
			t.Errorf("%q: %s, want %s", code, got, want)
		}
	}
}

// TestOperatorsBudgets: what an operator has set a tenant cannot replace, however late it
// looked.
func TestOperatorsBudgets(t *testing.T) {
	k, _, _ := newKeeper(t, &fakeRecords{})
	ctx := t.Context()
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeHard, Amount: "1", Action: tenancy.RestraintStop, ByOperator: true})
	if _, err := k.store.SetBudget(ctx, "t-acme", Budget{Currency: "EUR", Mode: ModeSoft, Amount: "99"}, nil); !errors.Is(err, ErrOperators) {
		t.Errorf("a tenant replaces it: %v", err)
	}
	if err := k.store.DeleteBudget(ctx, "t-acme", false); !errors.Is(err, ErrOperators) {
		t.Errorf("a tenant removes it: %v", err)
	}
	if b, _, err := k.store.Budget(ctx, "t-acme"); err != nil || b.Mode != ModeHard {
		t.Errorf("%+v %v", b, err)
	}
	if err := k.store.DeleteBudget(ctx, "t-acme", true); err != nil {
		t.Fatal(err)
	}
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeSoft, Amount: "99"})
	if err := k.store.DeleteBudget(ctx, "t-acme", false); err != nil {
		t.Errorf("a tenant removes its own: %v", err)
	}
}

// TestPrepaidSince: what months have used of a balance is not given back by another
// budget in between.
func TestPrepaidSince(t *testing.T) {
	k, _, _ := newKeeper(t, &fakeRecords{})
	ctx := t.Context()
	since := func(currency string) string {
		t.Helper()
		m, ok, err := k.store.PrepaidSince(ctx, "t-acme", currency)
		if err != nil || !ok {
			return fmt.Sprint("none ", err)
		}
		return m.String()
	}
	prepaid := Budget{Currency: "EUR", Mode: ModePrepaid, Action: tenancy.RestraintStop, Since: monthOf(t, "2026-10")}
	mustSet(t, k, prepaid)
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeSoft, Amount: "1"})
	dollars := prepaid
	dollars.Currency, dollars.Since = "USD", monthOf(t, "2026-11")
	mustSet(t, k, dollars)
	if err := k.store.DeleteBudget(ctx, "t-acme", true); err != nil {
		t.Fatal(err)
	}
	late := prepaid
	late.Since = monthOf(t, "2026-12")
	mustSet(t, k, late)
	if got := since("EUR") + " " + since("USD") + " " + since("GBP"); got != "2026-10 2026-11 none <nil>" {
		t.Error(got)
	}
}

// TestSpelledAmounts: who pays again may write the amount in another way.
func TestSpelledAmounts(t *testing.T) {
	k, _, _ := newKeeper(t, &fakeRecords{})
	ctx := t.Context()
	prepaid := Budget{Currency: "EUR", Mode: ModePrepaid, Action: tenancy.RestraintStop, Since: monthOf(t, "2026-11")}
	for _, amount := range []string{"10", "10.00", "10.0"} {
		would, err := k.Would(ctx, "t-acme", prepaid, &TopUp{ID: "one", Amount: amount})
		if err != nil || would.Counted != (amount != "10") {
			t.Errorf("%s: %+v %v", amount, would, err)
		}
		counted, err := k.store.SetBudget(ctx, "t-acme", prepaid, &TopUp{ID: "one", Amount: amount})
		if err != nil || counted != (amount != "10") {
			t.Errorf("%s: %t %v", amount, counted, err)
		}
	}
	if counted, err := k.store.TopUp(ctx, "t-acme", TopUp{ID: "one", Amount: "10", Currency: "EUR"}); err != nil || !counted {
		t.Errorf("%t %v", counted, err)
	}
}
