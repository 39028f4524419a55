package quota

import (
	"testing"
	"time"

	"weir/tenancy"
)

// Gateways that know of each other only by Redis; rounds are made by hand, by a clock
// that is Redis's too.
func TestGatewaysOnOneRedis(t *testing.T) {
	m, lender := newTestRedis(t)
	const rate, gateways, piece = 1e6, 3, 1000
	v := &tenancy.View{Instance: tenancy.Instance{ID: "i-1"}}
	plan := tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}
	var limiters []*Limiter
	var scopes []*Scope
	for i := range gateways {
		l := New(Config{
			Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) { return v, plan, true },
			Lender:   lender, Gateway: string(rune('a' + i)),
		})
		limiters, scopes = append(limiters, l), append(scopes, l.Scope("i-1", "u", "c"))
	}
	now := time.Unix(1_700_000_000, 0)
	done := 0
	tenth := func(tick int) {
		now = now.Add(100 * time.Millisecond)
		m.SetTime(now)
		for i, s := range scopes {
			b := s.now.Load().buckets[ProduceBytes][0]
			for n := 0; n < 3*rate/gateways/10/piece && b.free(piece); n++ { // three times the limit is asked for
				s.Spend(ProduceBytes, piece)
				done += piece
			}
			if r := &limiters[i].rounds; tick%2 == i%2 {
				if round := r.plan(now); round != nil {
					r.apply(now, round, r.settle(t.Context(), round))
				}
			}
		}
	}
	for tick := range 50 {
		tenth(tick)
	}
	done = 0
	for tick := range 200 {
		tenth(tick)
	}
	if part := float64(done) / (20 * rate); part > 1.05 || part < 0.95 {
		t.Errorf("three gateways admitted %.3f of the limit, want 0.95 to 1.05", part)
	}
	use, err := limiters[0].Usage(t.Context(), "i-1")
	if u := use[tenancy.LimitProduceBytes]; err != nil || u.Used < 0.9*rate || u.Used > 1.1*rate || u.Peak24h < u.Used {
		t.Errorf("use is %+v, %v; want about %v", u, err, rate)
	}
	now = now.Add(5 * time.Hour)
	m.SetTime(now)
	use, err = limiters[1].Usage(t.Context(), "i-1")
	if u := use[tenancy.LimitProduceBytes]; err != nil || u.Used != 0 || u.Peak24h < 0.9*rate {
		t.Errorf("five hours later use is %+v, %v; want 0, and the peak", u, err)
	}
	now = now.Add(20 * time.Hour)
	m.SetTime(now)
	if use, err = limiters[1].Usage(t.Context(), "i-1"); err != nil || use[tenancy.LimitProduceBytes].Peak24h != 0 {
		t.Errorf("a day later use is %+v, %v; want no peak", use[tenancy.LimitProduceBytes], err)
	}
}

// A script that Redis does not know any more, and Redis that has lost all.
func TestRedisThatForgets(t *testing.T) {
	m, lender := newTestRedis(t)
	ask := func(seq int64) Lent {
		round := &Round{Gateway: "a", Epoch: 1, Seq: seq, Beat: true, Asks: []*InstanceAsk{{
			Instance: "i-1", Buckets: []Ask{{Bucket: "requests_per_second", Rate: 10, Burst: 5, Demand: 5, Want: 5}},
		}}}
		if err := lender.Settle(t.Context(), round); err != nil {
			t.Fatal(err)
		}
		if forgot := seq != 2; round.Forgot != forgot {
			t.Errorf("call %d: the gateway was forgotten: %v, want %v", seq, round.Forgot, forgot)
		}
		return round.Asks[0].Lent[0]
	}
	m.SetTime(time.Unix(1_700_000_000, 0))
	if got := ask(1).Grant + ask(2).Grant; got != 5 {
		t.Errorf("two asks at a time get %v, want the burst, 5", got)
	}
	m.FlushAll()
	if err := lender.rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := ask(3).Grant; got != 5 {
		t.Errorf("a Redis that knows nothing lends %v, want the burst, 5", got)
	}
}
