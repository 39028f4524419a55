//go:build bench

package quota_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	resting := r.resting()
	fmt.Printf("quota %d bytes/s each for produce and fetch, requests of %d, %d gateways; at rest %.2f evalsha/s and gateway\n",
		rate, request, quota.Gateways, resting)
	fmt.Println(quota.Header())
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) { r.shares(t, s, which, resting) })
	}
}

func (r *rig) shares(t *testing.T, s quota.Scenario, which string, resting float64) {
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
	clients.say("go")
	begin := time.Now()
	until := func(seconds float64) {
		<-time.After(time.Until(begin.Add(time.Duration(seconds * float64(time.Second)))))
	}

	calls := -1.0
	switch {
	case s.Away[1] > 0:
		until(s.Away[0])
		r.redis.Kill()
		until(s.Away[1])
		r.redis.Start()
	default:
		until(10)
		before := r.evalsha()
		if s.Killed > 0 {
			until(s.Killed)
			r.gateways[0].Kill()
		}
		until(s.Length.Seconds() - 1)
		calls = float64(r.evalsha()-before)/(s.Length.Seconds()-11)/quota.Gateways - resting
	}
	var report loadReport
	if err := json.NewDecoder(clients.out).Decode(&report); err != nil {
		t.Fatalf("the clients have not reported: %v\n%s", err, clients.errors.String())
	}
	for d, what := range []string{"produce", "fetch"} {
		q.Largest = report.Largest[d]
		v := quota.Judge(s, q, report.Bytes[d])
		fmt.Println(v.Row(s, what, calls))
		for _, failure := range v.Failures() {
			t.Errorf("%s: %s", what, failure)
		}
	}
	if calls > 5 {
		t.Errorf("each gateway asks Redis %.1f times a second, bound 5", calls)
	}
	if n := len(report.Errors); n > 0 && s.Killed == 0 {
		t.Errorf("%d errors at clients, of which %s", n, slices.Sorted(maps.Keys(report.Errors))[0])
	}
	t.Logf("throttled answers: %d of produce, %d of fetch", report.Throttles[produce], report.Throttles[fetch])
}

// resting is how often a gateway without clients runs a script in a second.
func (r *rig) resting() float64 {
	before := r.evalsha()
	<-time.After(5 * time.Second)
	return float64(r.evalsha()-before) / 5 / float64(len(r.gateways))
}

// evalsha is how many scripts Redis has run.
func (r *rig) evalsha() int64 { return r.commands()["evalsha"] }

// commands counts what Redis was asked, by command.
func (r *rig) commands() map[string]int64 {
	r.t.Helper()
	text, err := r.rdb.Info(r.t.Context(), "commandstats").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]int64{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		all[name], _ = strconv.ParseInt(n, 10, 64)
	}
	return all
}
