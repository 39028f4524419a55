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
		"not bounded":           {RestraintThrottle, nil, nil, ThrottledBytes, ThrottledBytes, SourceInstance, SourceInstance},
		"plan is higher":        {RestraintThrottle, nil, limit(1 << 20), ThrottledBytes, ThrottledBytes, SourceInstance, SourceInstance},
		"its own is higher":     {RestraintThrottle, limit(1 << 30), limit(1024), ThrottledBytes, ThrottledBytes, SourceInstance, SourceInstance},
		"its own is lower":      {RestraintThrottle, limit(1024), limit(1 << 20), 1024, ThrottledBytes, SourceInstance, SourceInstance},
		"plan is lower":         {RestraintThrottle, nil, limit(1024), 1024, ThrottledBytes, SourcePlan, SourceInstance},
		"lower than the plan's": {RestraintThrottle, limit(2048), limit(1024), 2048, ThrottledBytes, SourceInstance, SourceInstance},
	} {
		t.Run(name, func(t *testing.T) {
			v := &View{Instance: Instance{Restraint: c.restraint}, Limits: c.own}
			before := len(c.own)
			got := Effective(c.plan, v.Restrained(c.plan).Limits)
			if p := got[LimitProduceBytes]; p.Value != c.produce || p.Source != c.produceOf {
				t.Errorf("produce %v, want %v of %s", p, c.produce, c.produceOf)
			}
			if f := got[LimitFetchBytes]; f.Value != c.fetch || f.Source != c.none {
				t.Errorf("fetch %v, want %v of %s", f, c.fetch, c.none)
			}
			if len(v.Limits) != before {
				t.Error("the view itself was changed")
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
