package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// fakeInstances are those of t-acme and t-other, in memory.
type fakeInstances struct {
	all     []tenancy.Instance
	changes int
}

func (f *fakeInstances) Each(fn func(tenancy.Instance) bool) {
	for _, in := range f.all {
		if !fn(in) {
			return
		}
	}
}

func (f *fakeInstances) Restrain(_ context.Context, id tenancy.InstanceID, r tenancy.Restraint) (tenancy.Revision, error) {
	i := slices.IndexFunc(f.all, func(in tenancy.Instance) bool { return in.ID == id })
	f.all[i].Restraint = r
	f.changes++
	return tenancy.Revision(f.changes), nil
}

func (f *fakeInstances) String() string {
	var parts []string
	for _, in := range f.all {
		parts = append(parts, string(in.ID)+":"+string(in.Restraint))
	}
	return strings.Join(parts, " ")
}

// newKeeper keeps budgets over records in memory: a cent a request.
func newKeeper(t *testing.T, records *fakeRecords) (*Keeper, *fakeInstances, *clock) {
	t.Helper()
	b, c := newBiller(t, records, map[string]Prices{"standard": {Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1", Price: "0.01"}}}})
	f := &fakeInstances{all: []tenancy.Instance{
		{ID: "orders", Tenant: "t-acme"}, {ID: "bills", Tenant: "t-acme", State: tenancy.StateSuspended}, {ID: "else", Tenant: "t-other"},
	}}
	return NewKeeper(KeeperConfig{Biller: b, Instances: f, Registry: prometheus.NewRegistry()}), f, c
}

// metered are the metrics that are not 0.
func (k *Keeper) metered(t *testing.T) string {
	t.Helper()
	families, err := k.cfg.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetGauge().GetValue() + m.GetCounter().GetValue(); v != 0 {
				parts = append(parts, fmt.Sprintf("%s %s=%v", f.GetName(), m.GetLabel()[0].GetValue(), v))
			}
		}
	}
	return strings.Join(parts, ", ")
}

func (k *Keeper) mustKeep(t *testing.T) {
	t.Helper()
	if err := k.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (k *Keeper) told(t *testing.T) string {
	t.Helper()
	all, err := k.store.Events(t.Context(), "t-acme", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, e := range slices.Backward(all) {
		parts = append(parts, fmt.Sprintf("%s@%s/%s", e.Threshold, e.Spent, e.Available))
	}
	return strings.Join(parts, " ")
}

func mustSet(t *testing.T, k *Keeper, b Budget) {
	t.Helper()
	if _, err := k.store.SetBudget(t.Context(), "t-acme", b, nil); err != nil {
		t.Fatal(err)
	}
}

func TestHardBudget(t *testing.T) {
	records := &fakeRecords{}
	k, instances, c := newKeeper(t, records)
	hard := Budget{Currency: "EUR", Mode: ModeHard, Amount: "10.00", Action: tenancy.RestraintThrottle}
	mustSet(t, k, hard)
	for _, step := range []struct {
		at, hour  string
		requests  int64
		open      bool // counted, and not sealed
		budget    *Budget
		instances string
		told      string // in all
	}{
		{at: "2026-11-01T05:00:00Z", instances: "orders: bills: else:"},
		{at: "2026-11-01T06:00:00Z", hour: "2026-11-01T04", requests: 499, instances: "orders: bills: else:"}, // too early for a forecast
		{at: "2026-11-01T06:01:00Z", hour: "2026-11-01T06", requests: 1, open: true, instances: "orders: bills: else:", told: "50@5.00/10.00"},
		{at: "2026-11-29T00:00:00Z", hour: "2026-11-01T06", requests: 1, instances: "orders: bills: else:", told: "50@5.00/10.00"},
		{at: "2026-11-29T05:00:00Z", hour: "2026-11-29T03", requests: 350, instances: "orders: bills: else:", told: "50@5.00/10.00 80@8.50/10.00"},
		{at: "2026-11-29T05:01:00Z", hour: "2026-11-29T04", requests: 149, open: true, instances: "orders: bills: else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00"},
		{at: "2026-11-29T05:02:00Z", hour: "2026-11-29T05", requests: 1, open: true, instances: "orders:throttle bills:throttle else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00"},
		{at: "2026-11-29T05:03:00Z", instances: "orders:throttle bills:throttle else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00"}, // once
		{
			at: "2026-11-29T05:04:00Z", budget: &Budget{Currency: "EUR", Mode: ModeHard, Amount: "10.00", Action: tenancy.RestraintStop},
			instances: "orders:stop bills:stop else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00",
		},
		{
			at: "2026-11-29T05:05:00Z", budget: &Budget{Currency: "EUR", Mode: ModeHard, Amount: "40.00", Action: tenancy.RestraintStop},
			instances: "orders: bills: else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00",
		},
		{
			at: "2026-11-29T05:06:00Z", budget: &hard,
			instances: "orders:throttle bills:throttle else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00",
		},
		{
			at:        "2026-12-01T00:00:00Z", // another month
			instances: "orders: bills: else:", told: "50@5.00/10.00 80@8.50/10.00 forecast@9.99/10.00 100@10.00/10.00",
		},
	} {
		c.at = at(t, step.at)
		if step.hour != "" {
			records.add(t, "orders", "standard", step.hour, requests(step.requests))
			if step.open {
				records.open = append(records.open, records.sealed[len(records.sealed)-1])
				records.sealed = records.sealed[:len(records.sealed)-1]
			}
		}
		if step.budget != nil {
			mustSet(t, k, *step.budget)
		}
		k.mustKeep(t)
		if got := instances.String(); got != step.instances {
			t.Errorf("at %s: %s, want %s", step.at, got, step.instances)
		}
		if got := k.told(t); got != step.told {
			t.Errorf("at %s: told %s, want %s", step.at, got, step.told)
		}
	}
	c.at = at(t, "2026-11-30T00:00:00Z")
	records.add(t, "orders", "standard", "2026-11-29T05", requests(150)) // sealed by now
	k.mustKeep(t)
	if err := k.store.DeleteBudget(t.Context(), "t-acme", true); err != nil {
		t.Fatal(err)
	}
	before := instances.String()
	k.mustKeep(t)
	if after := instances.String(); before != "orders:throttle bills:throttle else:" || after != "orders: bills: else:" {
		t.Errorf("with a budget %s, without %s", before, after)
	}
}

// TestSealedMeanwhile: an hour that is open and sealed at once counts once.
func TestSealedMeanwhile(t *testing.T) {
	records := &fakeRecords{}
	k, _, c := newKeeper(t, records)
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeSoft, Amount: "10"})
	r := *records.add(t, "orders", "standard", "2026-11-05T10", requests(100))
	records.open = append(records.open, r)
	records.add(t, "orders", "standard", "2026-11-05T10", requests(7)).Revision = 1
	c.at = at(t, "2026-11-05T10:59:00Z")
	if _, is, err := k.Balance(t.Context(), "t-acme"); err != nil || Money(is.Spent) != "1.07" {
		t.Errorf("%v %v, want 1.07", is, err)
	}
}

// TestCannotJudge: what cannot be read changes nothing.
func TestCannotJudge(t *testing.T) {
	records := &fakeRecords{}
	k, instances, c := newKeeper(t, records)
	c.at = at(t, "2026-11-05T10:00:00Z")
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeHard, Amount: "1", Action: tenancy.RestraintStop})
	records.add(t, "orders", "standard", "2026-11-05T08", requests(100))
	k.mustKeep(t)
	const stopped = "weir_budget_thresholds_total 100=1, weir_budget_thresholds_total 50=1, weir_budget_thresholds_total 80=1, weir_budget_thresholds_total forecast=1, weir_budgets stopped=1"
	if got := k.metered(t); got != stopped {
		t.Errorf("metrics are %s", got)
	}
	if err := k.store.rdb.HSet(t.Context(), budgetKey("t-acme"), fieldBudget, "{").Err(); err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(t.Context()); err == nil || instances.String() != "orders:stop bills:stop else:" {
		t.Errorf("%v, %s", err, instances)
	}
	if got := k.metered(t); got != strings.ReplaceAll(stopped, "stopped", "unknown") {
		t.Errorf("metrics are %s", got)
	}
}

func TestPrepaid(t *testing.T) {
	records := &fakeRecords{}
	k, instances, c := newKeeper(t, records)
	ctx := t.Context()
	top := func(id, amount string) error {
		_, err := k.store.TopUp(ctx, "t-acme", TopUp{ID: id, Amount: amount, Currency: "EUR", At: c.at})
		return err
	}
	c.at = at(t, "2026-11-05T10:00:00Z")
	if err := top("one", "10.00"); !errors.Is(err, ErrNotPrepaid) {
		t.Errorf("a top-up without a budget: %v", err)
	}
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModePrepaid, Action: tenancy.RestraintStop, Since: monthOf(t, "2026-11")})
	k.mustKeep(t)
	if instances.String() != "orders:stop bills:stop else:" {
		t.Errorf("with nothing paid: %s", instances)
	}
	for _, amount := range []string{"-1", "0", "1.001", "1e3", ""} {
		var bad Mistake
		if err := top("bad", amount); !errors.As(err, &bad) {
			t.Errorf("%q: %v, want a mistake", amount, err)
		}
	}
	for range 2 { // said twice, paid once
		if err := top("one", "10.00"); err != nil {
			t.Fatal(err)
		}
		c.at = c.at.Add(time.Second)
	}
	if err := top("one", "11.00"); !errors.Is(err, ErrTaken) {
		t.Errorf("the same id with another amount: %v", err)
	}
	if _, err := k.store.TopUp(ctx, "t-acme", TopUp{ID: "two", Amount: "1", Currency: "USD"}); !errors.Is(err, ErrNotPrepaid) {
		t.Errorf("of another currency: %v", err)
	}
	left := func(when, want, restrained string) {
		t.Helper()
		c.at = at(t, when)
		k.mustKeep(t)
		_, is, err := k.Balance(ctx, "t-acme")
		if err != nil {
			t.Fatal(err)
		}
		if got := Money(is.Left()); got != want || instances.String() != restrained {
			t.Errorf("at %s: %s left, %s; want %s, %s", when, got, instances, want, restrained)
		}
	}
	free, stopped := "orders: bills: else:", "orders:stop bills:stop else:"
	left("2026-11-05T10:30:00Z", "10.00", free)
	records.add(t, "orders", "standard", "2026-11-07T00", requests(400))
	left("2026-11-08T00:00:00Z", "6.00", free)
	left("2026-12-02T00:00:00Z", "6.00", free) // November is over, and not final
	if _, err := k.cfg.Biller.Finalize(ctx, "t-acme", monthOf(t, "2026-11")); err != nil {
		t.Fatal(err)
	}
	left("2026-12-02T00:01:00Z", "6.00", free)
	records.add(t, "orders", "standard", "2026-12-02T00", requests(601))
	left("2026-12-02T03:00:00Z", "-0.01", stopped)
	left("2027-01-01T03:00:00Z", "-0.01", stopped) // another month gives nothing
	if err := top("two", "0.02"); err != nil {
		t.Fatal(err)
	}
	left("2027-01-01T03:01:00Z", "0.01", free)
}

func TestFinalizeDue(t *testing.T) {
	records := &fakeRecords{}
	k, _, c := newKeeper(t, records)
	records.add(t, "orders", "standard", "2026-11-07T00", requests(400))
	for _, step := range []struct{ at, final string }{
		{"2026-12-02T23:59:59Z", "map[]"},
		{"2026-12-03T00:00:00Z", "map[2026-11:map[EUR:4.00]]"},
		{"2027-01-02T23:00:00Z", "map[2026-11:map[EUR:4.00]]"},
		{"2027-01-03T00:00:00Z", "map[2026-11:map[EUR:4.00] 2026-12:map[]]"}, // corrections may come into it
	} {
		c.at = at(t, step.at)
		if err := k.FinalizeDue(t.Context()); err != nil && !errors.Is(err, ErrOpen) {
			t.Fatal(err)
		}
		billed, err := k.store.Billed(t.Context(), "t-acme")
		if err != nil || fmt.Sprint(billed) != step.final {
			t.Errorf("at %s: %v %v, want %s", step.at, billed, err, step.final)
		}
	}
}

func TestBadBudgets(t *testing.T) {
	for name, c := range map[string]struct {
		b    Budget
		path string
	}{
		"nothing":         {Budget{Currency: "EUR", Mode: ModeSoft, Amount: "0.00"}, "amount"},
		"no amount":       {Budget{Currency: "EUR", Mode: ModeSoft}, "amount"},
		"negative":        {Budget{Currency: "EUR", Mode: ModeSoft, Amount: "-5"}, "amount"},
		"exponent":        {Budget{Currency: "EUR", Mode: ModeSoft, Amount: "1e999999999"}, "amount"},
		"currency":        {Budget{Currency: "eur", Mode: ModeSoft, Amount: "5"}, "currency"},
		"mode":            {Budget{Currency: "EUR", Mode: "medium", Amount: "5"}, "mode"},
		"soft action":     {Budget{Currency: "EUR", Mode: ModeSoft, Amount: "5", Action: tenancy.RestraintStop}, "action"},
		"hard, no action": {Budget{Currency: "EUR", Mode: ModeHard, Amount: "5"}, "action"},
		"prepaid amount":  {Budget{Currency: "EUR", Mode: ModePrepaid, Amount: "5", Action: tenancy.RestraintStop}, "amount"},
	} {
		wrong := c.b.Check()
		if len(wrong) != 1 || wrong[0].Path != c.path {
			t.Errorf("%s: %v, want one mistake in %s", name, wrong, c.path)
		}
	}
}
