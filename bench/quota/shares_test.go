//go:build bench

package quota_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bench/quota"
)

// rate is the quota: ten times what gateways may be ahead by requests (D.4), and
// still nothing for the machine.
const rate = 4 << 20

// TestShares shows I5 and that quotas are used: an instance's produce and fetch
// bytes over three gateways.
func TestShares(t *testing.T) {
	scenarios, which := quota.Scenarios(), "all"
	if testing.Short() {
		scenarios, which = quota.Short(), "short"
	}
	r := newRig(t, quota.Gateways)
	fmt.Printf("quota %d bytes/s each for produce and fetch, requests of %d, %d gateways\n", rate, request, quota.Gateways)
	fmt.Println(quota.Header())
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) { r.shares(t, s, which) })
	}
}

func (r *rig) shares(t *testing.T, s quota.Scenario, which string) {
	r.t = t
	for i, g := range r.gateways {
		if g.Ended() {
			r.made++
			r.gateways[i] = r.start(fmt.Sprintf("%s-again%d", g.name, r.made))
		}
	}
	q := quota.Quota{Rate: rate}
	in := r.create("sink", limitsOf(q))
	r.createTopic(in, "sink")
	clients := r.role("clients", loadPlan{
		Gateways: r.addrs(), Tenant: in, Rate: rate, Only: []int{produce, fetch}, Workers: 6, Scenarios: which, Scenario: s.Name,
	})
	waited := r.waits()
	clients.say("go")
	begin := time.Now()
	until := func(seconds float64) {
		<-time.After(time.Until(begin.Add(time.Duration(seconds * float64(time.Second)))))
	}

	counted := -1.0
	switch {
	case s.Away[1] > 0:
		until(s.Away[0])
		r.redis.Kill()
		until(s.Away[1])
		r.redis.Start()
		r.watchRedis()
	default:
		until(10)
		before := r.calls()
		if s.Killed > 0 {
			until(s.Killed)
			r.gateways[0].Kill()
		}
		until(s.Length.Seconds() - 1)
		counted = before.rate(r.calls(), s.Length-11*time.Second)
	}
	var report loadReport
	if err := json.NewDecoder(clients.out).Decode(&report); err != nil {
		t.Fatalf("the clients have not reported: %v\n%s", err, clients.errors.String())
	}
	for d, what := range []string{"produce", "fetch"} {
		q.Largest = report.Largest[d]
		v := quota.Judge(s, q, report.Bytes[d])
		fmt.Println(v.Row(s, what, counted))
		for _, failure := range v.Failures() {
			t.Errorf("%s: %s", what, failure)
		}
		t.Logf("%s: percent of the quota in each second: %s", what, perSecond(report.Bytes[d]))
	}
	if counted > callsBound+1/(s.Length.Seconds()-11) { // one more: the time is not exact
		t.Errorf("a gateway asks Redis %.1f times a second, bound %.1f", counted, callsBound)
	}
	if n := len(report.Errors); n > 0 && s.Killed == 0 {
		t.Errorf("%d errors at clients, of which %s", n, slices.Sorted(maps.Keys(report.Errors))[0])
	}
	t.Logf("gateways waited for a core %.1f %% of the time", max(r.waits()-waited, 0).Seconds()/s.Length.Seconds()/quota.Gateways*100)
	t.Logf("redis was held up for more than 50 ms by %s", r.delays())
	t.Logf("throttled answers: %d of produce, %d of fetch", report.Throttles[produce], report.Throttles[fetch])
}

// perSecond is what was admitted in each second, in percent of the quota.
func perSecond(bytes []float64) string {
	var all []string
	const steps = int(1 / quota.Step)
	for i := 0; i+steps <= len(bytes); i += steps {
		sum := 0.0
		for _, n := range bytes[i : i+steps] {
			sum += n
		}
		all = append(all, fmt.Sprintf("%.0f", sum/rate*100))
	}
	return strings.Join(all, " ")
}
