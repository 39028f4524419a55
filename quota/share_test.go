package quota

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Whatever gateways ask for: no more is lent in any time than flows in and was there,
// and a bucket never holds less than nothing, nor more than its burst.
func TestNothingIsCreated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.01, 1e9).Draw(t, "rate")
		burst := rate * rapid.Float64Range(0.25, 10).Draw(t, "burst")
		var c central
		now, seq := int64(1), int64(0)
		type lend struct {
			at      int64
			granted float64
		}
		var all []lend
		back := 0.0
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now += rapid.Int64Range(0, 500_000).Draw(t, "us")
			seq++
			gateway := strconv.Itoa(rapid.IntRange(0, 7).Draw(t, "gateway"))
			a := Ask{
				Rate: rate, Burst: burst, Demand: rate * rapid.Float64Range(0, 5).Draw(t, "demand"),
				Want: rate * rapid.Float64Range(-1, 3).Draw(t, "want"),
			}
			if back > 0 && rapid.Bool().Draw(t, "hand back") {
				a.Back, back = back/2, back/2
			}
			l := c.lend(now, gateway, 1, seq, a)
			if l.Grant < 0 || l.Grant > max(a.Want, 0) || c.tokens < -1e-6*burst || c.tokens > burst*(1+1e-9) {
				t.Fatalf("of %v wanted %v is lent; %v of %v left", a.Want, l.Grant, c.tokens, burst)
			}
			back += l.Grant
			all = append(all, lend{now, l.Grant - a.Back})
			if again := c.lend(now, gateway, 1, seq, a); again.Grant != l.Grant || again.Left != l.Left {
				t.Fatalf("the same call again is lent %v, first %v; left %v, first %v", again.Grant, l.Grant, again.Left, l.Left)
			}
			if late := c.lend(now, gateway, 1, seq-1, a); late.Grant != 0 || late.Left != l.Left {
				t.Fatalf("a late call is lent %v", late.Grant)
			}
		}
		for i := range all {
			sum := 0.0
			for k := i; k < len(all); k++ {
				sum += all[k].granted
				if most := rate*seconds(all[i].at, all[k].at) + burst; sum > most*(1+1e-9) {
					t.Fatalf("%v was lent in %v s, at most %v is there", sum, seconds(all[i].at, all[k].at), most)
				}
			}
		}
	})
}

func TestShare(t *testing.T) {
	for _, test := range []struct {
		name            string
		ask             Ask
		all             Lent
		elapsed, tokens float64
		want            float64
	}{
		{"what it wants", Ask{Rate: 100, Burst: 25, Demand: 50, Want: 10}, Lent{Demand: 90, Gateways: 2}, 0.2, 25, 10},
		{"what is there", Ask{Rate: 100, Burst: 25, Demand: 50, Want: 30}, Lent{Demand: 90, Gateways: 2}, 0.2, 25, 25},
		{"nothing is wanted", Ask{Rate: 100, Burst: 25, Want: -5}, Lent{Demand: 500, Gateways: 2}, 0.2, 25, 0},
		{"a fair share", Ask{Rate: 100, Burst: 25, Demand: 100, Want: 30}, Lent{Demand: 200, Gateways: 2}, 0.2, 15, 1.1 * 100 * 0.2 * 0.5},
		{"a little for who starts", Ask{Rate: 100, Burst: 25, Demand: 0, Want: 30}, Lent{Demand: 200, Gateways: 2}, 0.2, 15, 1.1 * 100 * 0.2 * 0.05},
		{"what nobody else wants", Ask{Rate: 100, Burst: 25, Demand: 0, Want: 30}, Lent{Demand: 200, Gateways: 2}, 0.2, 25, 10},
		{"no more than is there", Ask{Rate: 100, Burst: 25, Demand: 100, Want: 30}, Lent{Demand: 200, Gateways: 2}, 1, 15, 15},
	} {
		if got := share(test.ask, test.all, test.elapsed, test.tokens); got < test.want-1e-9 || got > test.want+1e-9 {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestReportsAge(t *testing.T) {
	var c central
	c.lend(1, "a", 1, 1, Ask{Rate: 10, Burst: 5, Demand: 8})
	for _, test := range []struct {
		after    float64 // seconds
		demand   float64
		gateways int
	}{{0.2, 8, 1}, {0.35, 8, 1}, {0.85, 4, 1}, {1.35, 2, 1}, {2.6, 0, 0}} {
		if got := c.fleet(1 + int64(test.after*1e6)); got.Demand < test.demand-1e-9 || got.Demand > test.demand+1e-9 || got.Gateways != test.gateways {
			t.Errorf("after %v s the demand is %v of %d, want %v of %d", test.after, got.Demand, got.Gateways, test.demand, test.gateways)
		}
	}
}

func TestClockThatJumps(t *testing.T) {
	const hour = 3600e6
	c := central{}
	ask := Ask{Rate: 100, Burst: 25, Demand: 100, Want: 1000}
	now := int64(10 * hour)
	c.lend(now, "a", 1, 1, ask)
	now -= hour
	c.lend(now, "a", 1, 2, ask)
	if l := c.lend(now+100_000, "a", 1, 3, ask); l.Grant < 9.9 || l.Grant > 10.1 {
		t.Errorf("0.1 s after the clock was set back an hour %v is lent, want 10", l.Grant)
	}
	if l := c.lend(now+5*hour, "a", 1, 4, ask); l.Grant > 25 {
		t.Errorf("after the clock was set forward %v is lent, want the burst", l.Grant)
	}
}

func TestFrozenShare(t *testing.T) {
	u := use{admitted: 80}
	for _, test := range []struct{ away, want float64 }{{0, 80}, {5, 52.5}, {10, 25}, {100, 25}} {
		if got := u.frozen(100, test.away, 4); got != test.want {
			t.Errorf("after %v s: %v, want %v", test.away, got, test.want)
		}
	}
	u.observe(1, 0, 0, true)
	if u.admitted != 80 {
		t.Errorf("the frozen average is %v", u.admitted)
	}
}
