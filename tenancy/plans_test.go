package tenancy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func wantPlan(t *testing.T, g *gateway, plan string, want Limits) {
	t.Helper()
	if diff := cmp.Diff(want, g.Plan(plan)); diff != "" {
		t.Errorf("plan %s (-want +got):\n%s", plan, diff)
	}
}

func TestPlans(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	before := run(t, s, "gw-1").waitReady()
	set := func(plan string, put Limits, remove ...LimitName) {
		t.Helper()
		rev, err := s.ChangePlan(ctx, plan, put, remove)
		if err != nil {
			t.Fatal(err)
		}
		waitInForce(t, s, rev, 1)
	}
	wantPlan(t, before, "standard", nil)
	set("standard", Limits{LimitTopics: {Value: 10}, LimitRequests: {Value: 100, Burst: 7}})
	held := before.Plan("standard")
	set("standard", Limits{LimitGroups: {Value: 5}}, LimitTopics, LimitPartitions)
	set("large", Limits{LimitTopics: {Value: 1000}})
	want := Limits{LimitRequests: {Value: 100, Burst: 7}, LimitGroups: {Value: 5}}
	wantPlan(t, before, "standard", want)
	wantPlan(t, before, "large", Limits{LimitTopics: {Value: 1000}})
	if len(held) != 2 || held[LimitTopics].Value != 10 {
		t.Errorf("limits changed after they were handed out: %v", held)
	}
	all, err := s.PlanLimits(ctx)
	if diff := cmp.Diff(PlanLimits{"standard": want, "large": {LimitTopics: {Value: 1000}}}, all); diff != "" || err != nil {
		t.Error(diff, err)
	}

	before.stop()
	after := run(t, s, "gw-2").waitReady() // a restart
	wantPlan(t, after, "standard", want)
	set("standard", nil, LimitRequests, LimitGroups)
	set("large", nil, LimitTopics)
	wantPlan(t, after, "standard", nil)
	if len(after.events()) != 0 {
		t.Errorf("plans were taken for instances: %v", after.events())
	}

	for what, put := range map[string]Limits{"value": {LimitTopics: {Value: 0}}, "name": {"bytes": {Value: 1}}} {
		if _, err := s.ChangePlan(ctx, "standard", put, nil); err == nil {
			t.Errorf("a wrong %s was stored", what)
		}
	}
	if _, err := s.ChangePlan(ctx, "no plan", Limits{LimitTopics: {Value: 1}}, nil); err == nil {
		t.Error("a plan whose name has a space was stored")
	}
}

// Watchers are called once a change, after it is in force.
func TestWatchPlans(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	d := NewDirectory(DirectoryConfig{Store: s, Gateway: "gw-1", Sweep: time.Millisecond})
	seen := make(chan Limits, 100)
	d.WatchPlans(func() { seen <- d.Plan("standard") })
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() { defer close(done); _ = d.Run(ctx) }()
	for i := range 3 {
		want := Limits{LimitTopics: {Value: float64(i + 1)}}
		if _, err := s.ChangePlan(ctx, "standard", want, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-seen:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		case <-time.After(soon):
			t.Fatal("never told")
		}
	}
	rev, err := s.ChangePlan(ctx, "large", Limits{LimitTopics: {Value: 1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	if len(seen) != 1 { // sweeps have not told again what was known
		t.Errorf("told %d times of one change", len(seen))
	}
}

// Plans stay in force while Redis is away or has lost them, and a change whose
// announcement was lost is found by the sweep.
func TestPlansWithoutRedis(t *testing.T) {
	m, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	g := run(t, s, "gw-1", sweepEvery(20*time.Millisecond)).waitReady()
	first := Limits{LimitTopics: {Value: 10}}
	rev, err := s.ChangePlan(ctx, "standard", first, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	m.Close()
	g.log.waitFor(t, "redis is away", 1)
	wantPlan(t, g, "standard", first)
	restart(t, m)
	g.log.waitFor(t, "redis is back", 1)
	wantPlan(t, g, "standard", first)

	m.Del(keyPlans)
	g.log.waitFor(t, "redis has lost the limits of plans", 1)
	wantPlan(t, g, "standard", first)

	m.HSet(keyPlans, planField("standard", LimitTopics), `{"value":`, fieldStamp, "s1")
	g.log.waitFor(t, "keeping the former limits of plans", 1)
	wantPlan(t, g, "standard", first)

	mustCreate(t, s, someInstance("orders"))
	m.HSet(keyPlans, planField("standard", LimitTopics), `{"value":11}`, fieldStamp, "s2")
	deadline := time.After(soon)
	for g.Plan("standard")[LimitTopics].Value != 11 {
		select {
		case <-deadline:
			t.Fatal("a change that was not announced is never found")
		case <-time.After(time.Millisecond):
		}
	}
	if n := g.log.count("redis has lost the limits of plans"); n != 1 {
		t.Errorf("said %d times that they are lost", n)
	}
}
