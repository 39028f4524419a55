package quota

import (
	"context"
	"testing"
	"time"

	"weir/tenancy"
)

// newAlone is a limiter of a process that is alone, whose buckets nobody fills.
func newAlone(plan tenancy.Limits, quotas ...tenancy.Quota) *Limiter {
	v := &tenancy.View{Instance: tenancy.Instance{ID: "i-1"}, Quotas: quotas}
	return New(Config{Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) { return v, plan, true }})
}

func everyRate(value float64) tenancy.Limits {
	all := tenancy.Limits{}
	for d := range dimensions {
		all[d.Limit()] = tenancy.Limit{Value: value}
	}
	return all
}

func user(name string) tenancy.QuotaEntity { return tenancy.QuotaEntity{User: &name} }

// rich is a scope with all limits, and sub-quotas, that has plenty of everything.
func rich() *Scope {
	l := newAlone(everyRate(1e9), tenancy.Quota{Entity: user("u"), Values: map[string]float64{
		tenancy.QuotaProducerBytes: 1e9, tenancy.QuotaConsumerBytes: 1e9, tenancy.QuotaRequestTime: 1e9, tenancy.QuotaMutations: 1e9,
	}})
	s := l.Scope("i-1", "u", "c")
	for _, of := range s.now.Load().buckets {
		for _, b := range of {
			if b != nil {
				b.credit.Add(1 << 60)
			}
		}
	}
	return s
}

// exchange is what one exchange is charged, at the most.
func exchange(ctx context.Context, s *Scope) Decision {
	_, _ = s.Await(ctx, Requests, 1, time.Second)
	all := s.Spend(Requests, 1)
	_, _ = s.Await(ctx, ProduceBytes, 1000, time.Second)
	all = all.Max(s.Spend(ProduceBytes, 1000))
	all = all.Max(s.Spend(FetchBytes, 1000))
	return all.Max(s.Spend(RequestTime, 20))
}

func TestAdmittedWorkDoesNotAllocate(t *testing.T) {
	ctx, s := t.Context(), rich()
	if n := testing.AllocsPerRun(1000, func() {
		if d := exchange(ctx, s); d.Throttle != 0 {
			t.Fatalf("throttled by %s", d.Limit)
		}
	}); n != 0 {
		t.Errorf("an exchange allocates %v times, want 0", n)
	}
	for d, want := range map[Dimension]int{Requests: 1, ProduceBytes: 2, FetchBytes: 2, RequestTime: 2} {
		charged := 0
		for _, b := range s.now.Load().buckets[d] {
			if b != nil && b.spent.Load() > 0 {
				charged++
			}
		}
		if charged != want {
			t.Errorf("%s was charged to %d buckets, want %d", d, charged, want)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	ctx, s := b.Context(), rich()
	b.ReportAllocs()
	for b.Loop() {
		exchange(ctx, s)
	}
}

func BenchmarkExchangeWithoutLimits(b *testing.B) {
	ctx, s := b.Context(), newAlone(nil).Scope("i-1", "u", "c")
	for b.Loop() {
		exchange(ctx, s)
	}
}
