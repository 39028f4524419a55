package tenancy

import (
	"strings"
	"testing"
)

func TestRestrained(t *testing.T) {
	limit := func(v float64) Limits { return Limits{LimitProduceBytes: {Value: v, Burst: 1}} }
	for name, c := range map[string]struct {
		restraint       Restraint
		own, plan       Limits
		produce, fetch  float64
		produceOf, none Source
	}{
		"not restrained":        {RestraintNone, nil, limit(1 << 20), 1 << 20, 0, SourcePlan, SourceNone},
		"stopped":               {RestraintStop, nil, nil, 0, 0, SourceNone, SourceNone},
		"not bounded":           {RestraintThrottle, nil, nil, ThrottledBytes, ThrottledBytes, SourceBudget, SourceBudget},
		"plan is higher":        {RestraintThrottle, nil, limit(1 << 20), ThrottledBytes, ThrottledBytes, SourceBudget, SourceBudget},
		"its own is higher":     {RestraintThrottle, limit(1 << 30), limit(1024), ThrottledBytes, ThrottledBytes, SourceBudget, SourceBudget},
		"its own is lower":      {RestraintThrottle, limit(1024), limit(1 << 20), 1024, ThrottledBytes, SourceInstance, SourceBudget},
		"plan is lower":         {RestraintThrottle, nil, limit(1024), 1024, ThrottledBytes, SourcePlan, SourceBudget},
		"lower than the plan's": {RestraintThrottle, limit(2048), limit(1024), 2048, ThrottledBytes, SourceInstance, SourceBudget},
	} {
		t.Run(name, func(t *testing.T) {
			got := Effective(c.plan, c.own, c.restraint)
			if p := got[LimitProduceBytes]; p.Value != c.produce || p.Source != c.produceOf {
				t.Errorf("produce %v, want %v of %s", p, c.produce, c.produceOf)
			}
			if f := got[LimitFetchBytes]; f.Value != c.fetch || f.Source != c.none {
				t.Errorf("fetch %v, want %v of %s", f, c.fetch, c.none)
			}
			if r := got[LimitRequests]; r.Source != SourceNone {
				t.Errorf("requests %v: what is no byte rate is not restrained", r)
			}
		})
	}
}

func TestUnknownRestraint(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	_, _, err := s.UpdateInstance(t.Context(), "orders", func(i *Instance) error {
		i.Restraint = "slow"
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), `restraint "slow" is unknown`) {
		t.Errorf("%v", err)
	}
}
