package quota

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"weir/tenancy"
)

func TestQuotaHoldsWithRedisAway(t *testing.T) {
	const rate = 10e6
	plan := tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}
	for _, test := range []struct {
		name          string
		before, after []int   // gateways with load
		least         float64 // part of the quota that is used in the worst 10 s
	}{
		{"all go on", []int{0, 1, 2}, []int{0, 1, 2}, 0.75},
		{"one goes on", []int{0}, []int{0}, 0.3},
		{"one becomes three", []int{0}, []int{0, 1, 2}, 0.7},
		{"the load moves", []int{0}, []int{1}, 0.1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, 3, plan, func(t *testing.T, f *fleet) {
				for _, l := range f.limiters {
					defer l.Scope("i-1", "v", "c").Close() // each gateway serves somebody: they know of each other
				}
				f.begin(20_000, 10, test.before...)
				time.Sleep(20 * time.Second)
				f.setAway(true)
				time.Sleep(2 * time.Second)
				f.begin(20_000, 10, test.after...)
				time.Sleep(28 * time.Second)
				f.setAway(false)
				time.Sleep(20 * time.Second)
				f.begin(20_000, 0)
				most, least := f.windows(5 * time.Second)
				t.Logf("in any 10 s %.3f to %.3f of the quota", least/rate, most/rate)
				if most > 1.05*rate || least < test.least*rate {
					t.Errorf("in 10 s %.3f to %.3f of the quota were used, want %.2f to 1.05", least/rate, most/rate, test.least)
				}
			})
		})
	}
}

func TestAwayIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		registry := prometheus.NewRegistry()
		f := &fleet{Memory: NewMemory(time.Now), t: t, plan: everyRate(1000)}
		l := New(Config{Instance: f.instance, Lender: f, Gateway: "a", Registry: registry, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		s := l.Scope("i-1", "u", "c")
		for _, step := range []struct {
			away    bool
			lasts   time.Duration
			mode    float64
			warned  int
			resumed int
		}{
			{false, 5 * time.Second, 0, 0, 0},
			{true, 5 * time.Second, 1, 0, 0},
			{true, 10 * time.Minute, 1, 1, 0},
			{false, 5 * time.Second, 0, 1, 1},
			{true, 30 * time.Second, 1, 1, 1}, // too short for an alarm
			{false, 5 * time.Second, 0, 1, 1},
		} {
			f.setAway(step.away)
			time.Sleep(step.lasts)
			synctest.Wait()
			warned, resumed := strings.Count(log.String(), "quotas run on local shares"), strings.Count(log.String(), "shared over all gateways again")
			if mode := gauge(t, registry, "weir_quota_mode"); mode != step.mode || warned != step.warned || resumed != step.resumed {
				t.Errorf("%+v: mode %v, %d warnings, %d resumptions", step, mode, warned, resumed)
			}
		}
		s.Close()
		cancel()
		running.Wait()
		if !strings.Contains(log.String(), "fix=") {
			t.Errorf("the alarm does not say what to do:\n%s", &log)
		}
	})
}

func gauge(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	return metric(t, g, name).GetGauge().GetValue()
}

func metric(t *testing.T, g prometheus.Gatherer, name string) *dto.Metric {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0]
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

func TestIdleInstancesCostNothing(t *testing.T) {
	inFleet(t, 1, everyRate(1000), func(t *testing.T, f *fleet) {
		l := f.limiters[0]
		var scopes []*Scope
		for i := range 10_000 {
			s := l.Scope(tenancy.InstanceID(fmt.Sprint("i-", i)), "u", "c")
			if i%10 == 0 { // some have done something
				s.Spend(Requests, 5)
			}
			scopes = append(scopes, s)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := f.count()
		time.Sleep(100 * time.Second)
		if n := f.count() - before; n > 101 {
			t.Errorf("10,000 idle instances cost %d calls in 100 s, want one a second: that the gateway lives", n)
		}
		if len(l.rounds.hot) > 0 {
			t.Errorf("%d buckets are hot", len(l.rounds.hot))
		}
		for _, s := range scopes {
			s.Close()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before = f.count()
		time.Sleep(100 * time.Second)
		if n := f.count() - before; n > 0 || len(l.accounts) > 0 {
			t.Errorf("when all have gone there are %d accounts and %d calls", len(l.accounts), n)
		}
	})
}

func (f *fleet) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func TestCallsAreFew(t *testing.T) {
	inFleet(t, 1, tenancy.Limits{tenancy.LimitRequests: {Value: 1000}}, func(t *testing.T, f *fleet) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for i := range 50 { // hot instances
			s := f.limiters[0].Scope(tenancy.InstanceID(fmt.Sprint("i-", i)), "u", "c")
			all.Go(func() { work(ctx, s, Requests, 50) })
		}
		all.Wait()
		if n := f.count(); n > 5*20+1 {
			t.Errorf("50 hot instances cost %d calls in 20 s, want 5 a second", n)
		}
	})
}

func TestDebtOutlivesItsConnection(t *testing.T) {
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1000}}, func(t *testing.T, f *fleet) {
		l := f.limiters[0]
		s := l.Scope("i-1", "u", "c")
		s.Spend(ProduceBytes, 10_000)
		s.Close()
		time.Sleep(2 * time.Second)
		s = l.Scope("i-1", "u", "c")
		if d := s.Spend(ProduceBytes, 0); d.Throttle < 4*time.Second {
			t.Errorf("who connects anew is throttled for %v, with 8 kB of debt at 1 kB/s", d.Throttle)
		}
		s.Close()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if len(l.accounts) != 0 {
			t.Error("an account with nothing owed is kept")
		}
	})
}

func TestLeasesAreHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{Memory: NewMemory(time.Now), t: t, plan: tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1e6, Burst: 1e7}, tenancy.LimitConnections: {Value: 10}}}
		l := New(Config{Instance: f.instance, Lender: f, Gateway: "a"})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		release, err := l.Connect(t.Context(), "i-1")
		if err != nil {
			t.Fatal(err)
		}
		s := l.Scope("i-1", "u", "c")
		s.Spend(ProduceBytes, 1e6)
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		lent := s.now.Load().buckets[ProduceBytes][0].left()
		if lent <= 0 {
			t.Fatalf("%d were lent", lent)
		}
		b := f.instances["i-1"].buckets[string(tenancy.LimitProduceBytes)]
		before := b.tokens
		release()
		cancel()
		running.Wait()
		if back := b.tokens - before; back < float64(lent)/scale-1 || len(b.reports) != 0 || len(f.instances["i-1"].places) != 0 || len(f.gateways) != 0 {
			t.Errorf("of %d lent %v were handed back; %d reports, %d places, %d gateways are left", lent/scale, back, len(b.reports), len(f.instances["i-1"].places), len(f.gateways))
		}
	})
}
