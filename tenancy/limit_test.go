package tenancy

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLimitCheck(t *testing.T) {
	for text, tc := range map[string]struct {
		name LimitName
		l    Limit
	}{
		"":           {LimitProduceBytes, Limit{Value: 1024}},
		" ":          {LimitProduceBytes, Limit{Value: 1 << 50, Burst: 1 << 51}},
		"  ":         {LimitTopicMutations, Limit{Value: 0.01}},
		"is unknown": {"bytes", Limit{Value: 1}},
		"is 1023, must be from 1024 to 1125899906842624 bytes/s": {LimitProduceBytes, Limit{Value: 1023}},
		"is NaN, must be from 1 to 1000000000 requests/s":        {LimitRequests, Limit{Value: math.NaN()}},
		"is 10.5, must be a whole number of topics":              {LimitTopics, Limit{Value: 10.5}},
		"has a burst of 1, but is no rate":                       {LimitTopics, Limit{Value: 10, Burst: 1}},
		"is 36001, must be from 0 to 36000, an hour's worth":     {LimitRequests, Limit{Value: 10, Burst: 36001}},
		"is -1, must be from 0 to 36000":                         {LimitRequests, Limit{Value: 10, Burst: -1}},
	} {
		err := tc.l.Check(tc.name)
		if want := strings.TrimSpace(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s %+v: %v, want %q", tc.name, tc.l, err, want)
		}
	}
	for _, name := range LimitNames() {
		if k, ok := KindOf(name); !ok || k.Unit == "" || !(k.Min > 0 && k.Min < k.Max) {
			t.Errorf("%s: %+v", name, k)
		}
	}
	if len(LimitNames()) != len(limitKinds) {
		t.Error("LimitNames does not name them all")
	}
}

func TestEffective(t *testing.T) {
	plan := Limits{LimitTopics: {Value: 10}, LimitRequests: {Value: 100, Burst: 7}}
	own := Limits{LimitRequests: {Value: 200}, LimitGroups: {Value: 5}}
	all := Effective(plan, own, RestraintNone)
	for name, want := range map[LimitName]EffectiveLimit{
		LimitTopics:     {Limit{Value: 10}, SourcePlan},
		LimitRequests:   {Limit{Value: 200}, SourceInstance}, // the plan's burst goes with its rate
		LimitGroups:     {Limit{Value: 5}, SourceInstance},
		LimitPartitions: {Source: SourceNone},
	} {
		if diff := cmp.Diff(want, all[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(all) != len(LimitNames()) {
		t.Errorf("%d limits", len(all))
	}
}

func TestReplaceLimits(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1").waitReady()
	_, none, err := s.Limits(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChangeLimits(ctx, "orders", Limits{LimitTopics: {Value: 10}, LimitRequests: {Value: 100, Burst: 7}}, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.ReplaceLimits(ctx, "orders", Limits{}, none)
	wantErr(t, "a tag of what was there before", err, ErrStale)
	_, tag, err := s.Limits(ctx, "orders")
	if err != nil || tag == none {
		t.Fatal(tag, err)
	}
	want := Limits{LimitGroups: {Value: 5}}
	rev, now, err := s.ReplaceLimits(ctx, "orders", want, tag)
	if err != nil {
		t.Fatal(err)
	}
	waitInForce(t, s, rev, 1)
	got, tag, err := s.Limits(ctx, "orders")
	if diff := cmp.Diff(want, got); diff != "" || tag != now || err != nil {
		t.Error(diff, tag, now, err)
	}
	if v, _ := g.View("orders"); !cmp.Equal(v.Limits, want) {
		t.Errorf("in force: %v", v.Limits)
	}
	if _, _, err = s.ReplaceLimits(ctx, "orders", Limits{LimitGroups: {Value: -1}}, ""); err == nil || !strings.Contains(err.Error(), "groups is -1") {
		t.Error(err)
	}
	_, _, err = s.ReplaceLimits(ctx, "nobody", want, "")
	wantErr(t, "no instance", err, ErrNotFound)
}
