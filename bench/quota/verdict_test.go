package quota_test

import (
	"strings"
	"testing"
	"time"

	"weir/bench/quota"
)

func TestVerdicts(t *testing.T) {
	full := func(int, float64) float64 { return 1 }
	steady := quota.Scenario{Name: "s", Length: 60 * time.Second, Demand: full}
	moved := quota.Scenario{Name: "m", Length: 60 * time.Second, Demand: full, Jumps: []float64{30}}
	away := quota.Scenario{Name: "a", Length: 60 * time.Second, Demand: full, Away: [2]float64{20, 40}}
	idle := quota.Scenario{Name: "i", Length: 60 * time.Second, Demand: func(int, float64) float64 { return 0.1 }}
	use := func(share func(t float64) float64) []float64 {
		all := make([]float64, 600)
		for i := range all {
			all[i] = share(float64(i)*quota.Step) * 1000 * quota.Step
		}
		return all
	}
	between := func(from, to, there, elsewhere float64) []float64 {
		return use(func(t float64) float64 {
			if t >= from && t < to {
				return there
			}
			return elsewhere
		})
	}
	for _, c := range []struct {
		name     string
		s        quota.Scenario
		admitted []float64
		want     string // in the failures; "": none
	}{
		{"all of it", steady, between(0, 0, 0, 1), ""},
		{"three times as much", steady, between(0, 0, 0, 3), "admitted 300.0 %"},
		{"too much for a while", steady, between(30, 33, 1.3, 1), "admitted 109.0 %"},
		{"a largest request more", steady, between(30, 31, 1.7, 1), ""},
		{"too much in the warm-up only", steady, between(0, 10, 5, 1), ""},
		{"little used", steady, between(30, 31, 0.4, 1), "with demand used 94.0 %"},
		{"little used where little is wanted", idle, between(0, 0, 0, 0.3), ""},
		{"little used after a jump", moved, between(30, 31, 0, 1), ""},
		{"nothing used after a jump", moved, between(30, 32, 0, 1), "after a jump used 80.0 %"},
		{"nothing used long after a jump", moved, between(33, 34, 0, 1), "with demand used 90.0 %"},
		{"nothing used while Redis is away", away, between(20, 40, 0, 1), ""},
		{"too much while Redis is away", away, between(20, 40, 1.2, 1), "admitted 120.0 %"},
		{"nothing used long after it is back", away, between(56, 57, 0, 1), "with demand used 90.0 %"},
		{"nothing measured", steady, nil, "no window"},
	} {
		v := quota.Judge(c.s, quota.Quota{Rate: 1000, Largest: 100}, c.admitted)
		got := strings.Join(v.Failures(), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: failures %q, want %q; %+v", c.name, got, c.want, v)
		}
		if row := v.Row(c.s, "produce", 4.9); strings.Contains(row, "PASS") != (c.want == "") {
			t.Errorf("%s: row %q", c.name, row)
		}
	}
}

// TestScenarios holds what the table of results says about them.
func TestScenarios(t *testing.T) {
	mean := map[string]float64{"steady": 3, "zipf": 3, "hop": 3, "redis-zipf": 3}
	var whole time.Duration
	for _, s := range quota.Scenarios() {
		whole += s.Length
		sum, n := 0.0, 0
		for at := 0.0; at < s.Length.Seconds(); at += quota.Step {
			sum, n = sum+s.Total(at), n+1
			if s.Offers(0, at) != s.Demand(0, at) && at < s.Killed {
				t.Errorf("%s: the clients of a gateway want nothing at %v s, it is killed at %v s", s.Name, at, s.Killed)
			}
		}
		if want, ok := mean[s.Name]; ok && (sum/float64(n) < want-0.01 || sum/float64(n) > want+0.01) {
			t.Errorf("%s: %v quotas are wanted on average, want %v", s.Name, sum/float64(n), want)
		}
		if s.Length < 60*time.Second {
			t.Errorf("%s takes %s, want a minute at least", s.Name, s.Length)
		}
		if s.Killed > 0 && s.Offers(0, s.Killed) != 0 {
			t.Errorf("%s: the clients of a killed gateway still want something", s.Name)
		}
	}
	if whole > 20*time.Minute {
		t.Errorf("all scenarios take %s, want 20m at most", whole)
	}
}
