package quota

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"weir/tenancy"
)

func newTestRedis(t *testing.T) (*miniredis.Miniredis, *Redis) {
	t.Helper()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: 1, DialTimeout: time.Second, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	return m, NewRedis(rdb)
}

// The script in Redis and the arithmetic in Go are one.
func TestScriptsDoWhatGoDoes(t *testing.T) {
	m, real := newTestRedis(t)
	rapid.Check(t, func(t *rapid.T) {
		m.FlushAll()
		now := time.Unix(1_700_000_000, 0)
		model := NewMemory(func() time.Time { return now })
		gateways := []string{"a", "b", "c"}
		seq := map[string]int64{}
		rates := map[string]float64{"produce_bytes_per_second": 1000, "requests_per_second:user=u": 0.7}
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			now = now.Add(time.Duration(rapid.Int64Range(-100_000, 3_000_000).Draw(t, "us")) * time.Microsecond)
			m.SetTime(now)
			gateway := rapid.SampledFrom(gateways).Draw(t, "gateway")
			seq[gateway] += rapid.Int64Range(-1, 1).Draw(t, "seq")
			make := func() *Round {
				return &Round{Gateway: gateway, Epoch: 1, Seq: seq[gateway], Beat: true}
			}
			ask := drawAsk(t, rates)
			one, two := make(), make()
			first, second := ask, ask
			one.Asks, two.Asks = []*InstanceAsk{&first}, []*InstanceAsk{&second}
			if err := model.Settle(context.Background(), one); err != nil {
				t.Fatal(err)
			}
			if err := real.Settle(context.Background(), two); err != nil {
				t.Fatal(err)
			}
			for i := range first.Lent {
				if !alike(first.Lent[i], second.Lent[i]) {
					t.Fatalf("bucket %+v: Go lends %+v, Lua %+v", ask.Buckets[i], first.Lent[i], second.Lent[i])
				}
			}
			if first.Placed != second.Placed {
				t.Fatalf("places %+v: Go gives %+v, Lua %+v", ask.Places, first.Placed, second.Placed)
			}
			if one.Forgot != two.Forgot || len(one.Alive) != len(two.Alive) {
				t.Fatalf("beat: Go says %v %v, Lua %v %v", one.Forgot, one.Alive, two.Forgot, two.Alive)
			}
			sameUse(t, model, real)
		}
	})
}

func drawAsk(t *rapid.T, rates map[string]float64) InstanceAsk {
	ask := InstanceAsk{Instance: "i-1"}
	for _, name := range []string{"produce_bytes_per_second", "requests_per_second:user=u"} {
		rate := rates[name] * rapid.Float64Range(0.5, 2).Draw(t, "change")
		ask.Buckets = append(ask.Buckets, Ask{
			Bucket: name, Own: name == "produce_bytes_per_second", Rate: rate, Burst: rate * rapid.Float64Range(0.25, 3).Draw(t, "burst"),
			Demand: rate * rapid.Float64Range(0, 3).Draw(t, "demand"), Admitted: rate * rapid.Float64Range(0, 1).Draw(t, "admitted"),
			Want: rate * rapid.Float64Range(0, 1).Draw(t, "want"), Back: rate * rapid.Float64Range(-0.1, 0.1).Draw(t, "back"),
			Leave: rapid.IntRange(0, 9).Draw(t, "leave") == 0,
		})
	}
	if rapid.Bool().Draw(t, "places") {
		ask.Places = &PlaceAsk{
			Limit: rapid.Int64Range(1, 900).Draw(t, "limit"), Used: rapid.Int64Range(0, 100).Draw(t, "used"), Wanted: rapid.Int64Range(0, 30).Draw(t, "wanted"),
			Alive: rapid.SampledFrom([][]string{nil, {}, {"a"}, {"a", "b", "c"}}).Draw(t, "alive"),
		}
	}
	return ask
}

func alike(a, b Lent) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-6*(1+math.Abs(x)) }
	return near(a.Grant, b.Grant) && near(a.Left, b.Left) && near(a.Demand, b.Demand) && near(a.Admitted, b.Admitted) && a.Gateways == b.Gateways
}

func sameUse(t *rapid.T, model, real Lender) {
	a, err := model.Use(context.Background(), "i-1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := real.Use(context.Background(), "i-1")
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range a {
		if y := b[name]; math.Abs(x.Used-y.Used) > 1e-6*(1+x.Used) || math.Abs(x.Peak24h-y.Peak24h) > 1e-6*(1+x.Peak24h) {
			t.Fatalf("use of %s: Go says %+v, Lua %+v", name, x, y)
		}
	}
}

func TestRedisKeepsNothingOfWhoIsIdle(t *testing.T) {
	m, lender := newTestRedis(t)
	round := &Round{Gateway: "a", Epoch: 1, Seq: 1, Beat: true, Asks: []*InstanceAsk{{
		Instance: "i-1", Buckets: []Ask{{Bucket: "requests_per_second", Own: true, Rate: 10, Burst: 600, Demand: 5, Want: 600}},
		Places: &PlaceAsk{Limit: 10, Used: 1},
	}}}
	if err := lender.Settle(t.Context(), round); err != nil {
		t.Fatal(err)
	}
	key := bucketKeyOf("i-1", "requests_per_second")
	if got := m.TTL(key); got != 70*time.Second { // 60 s until it is full, and 10
		t.Errorf("a bucket that is full in 60 s is kept for %v, want 70 s", got)
	}
	m.FastForward(26 * time.Hour)
	if keys := m.Keys(); len(keys) != 0 {
		t.Errorf("a day later Redis holds %v, want nothing", keys)
	}
}

func TestRedisThatFailsHalfWay(t *testing.T) {
	m, lender := newTestRedis(t)
	m.Set(bucketKeyOf("i-2", "requests_per_second"), "not a hash")
	round := &Round{Gateway: "a", Epoch: 1, Seq: 1}
	for _, id := range []tenancy.InstanceID{"i-1", "i-2", "i-3"} {
		round.Asks = append(round.Asks, &InstanceAsk{Instance: id, Buckets: []Ask{{Bucket: "requests_per_second", Rate: 10, Burst: 2, Want: 1}}})
	}
	if err := lender.Settle(t.Context(), round); err == nil {
		t.Error("a bucket of a wrong type was settled without an error")
	}
	for i, want := range []bool{true, false, true} {
		if round.Asks[i].Settled != want {
			t.Errorf("%s is settled: %v, want %v", round.Asks[i].Instance, round.Asks[i].Settled, want)
		}
	}
}
