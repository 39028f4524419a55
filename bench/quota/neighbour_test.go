//go:build bench

package quota_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/bench/quota"
	"weir/tenancy"
)

// What the neighbour has and wants.
const (
	neighbourRate    = 2 << 20 // bytes a second
	neighbourWorkers = 20      // connections to each gateway
	neighbourBound   = 1.2     // p99 beside it, of p99 alone
)

// neighbours are what a quiet instance is measured beside.
var neighbours = []struct {
	name   string
	demand float64 // quotas; 0: nobody is there
}{{"alone", 0}, {"within", 0.9}, {"20x", 20}}

// TestNeighbour shows what a quiet instance feels of one that wants twenty times its
// quota. Rounds of all kinds follow each other, so that what else happens on the
// machine is the same for all; the medians of the rounds are compared. "within" is a
// neighbour that keeps to its quota: what of the difference is the work itself.
func TestNeighbour(t *testing.T) {
	rounds, length := 6, 20*time.Second
	if testing.Short() {
		rounds, length = 2, 8*time.Second
	}
	r := newRig(t, quota.Gateways)
	calm := r.create("store", tenancy.Limits{})
	r.createTopic(calm, "store")
	watch := r.role("quiet", quietPlan{Gateway: r.gateways[0].kafka, Tenant: calm})
	fmt.Printf("quiet instance: %d records of 1 KiB a second; neighbour: quota %d bytes/s, %d connections to each of %d gateways\n",
		quietRate, neighbourRate, neighbourWorkers, quota.Gateways)
	for d, direction := range []string{"produce", "fetch"} {
		fmt.Printf("%-8s %-7s %5s %8s %8s %8s %8s %12s %10s\n", "what", "beside", "round", "ack p50", "ack p99", "read p50", "read p99", "neighbour %", "throttled")
		seen := map[string]map[string][]float64{} // kind of neighbour → figure → rounds
		for round := range rounds {
			for _, n := range neighbours {
				got, used, throttled := r.beside(watch, d, n.demand, length)
				figures := map[string]float64{
					"ack p50": percentile(got.Ack, 50), "ack p99": percentile(got.Ack, 99),
					"read p50": percentile(got.Read, 50), "read p99": percentile(got.Read, 99),
				}
				if seen[n.name] == nil {
					seen[n.name] = map[string][]float64{}
				}
				for name, value := range figures {
					seen[n.name][name] = append(seen[n.name][name], value)
				}
				fmt.Printf("%-8s %-7s %5d %8.2f %8.2f %8.2f %8.2f %12.1f %10d\n", direction, n.name, round+1,
					figures["ack p50"], figures["ack p99"], figures["read p50"], figures["read p99"], used*100, throttled)
			}
		}
		for _, figure := range []string{"ack p50", "ack p99", "read p50", "read p99"} {
			alone, within, beside := median(seen["alone"][figure]), median(seen["within"][figure]), median(seen["20x"][figure])
			outcome := "-"
			if figure == "ack p99" || figure == "read p99" {
				if outcome = "PASS"; !(beside <= neighbourBound*alone) {
					outcome = "FAIL"
					t.Errorf("%s: %s is %.2f ms alone and %.2f ms beside a neighbour at 20 times its quota", direction, figure, alone, beside)
				}
			}
			fmt.Printf("%-8s %-8s median of rounds: alone %.2f ms, within %.2f (x %.2f), 20x %.2f (x %.2f; bound %.1f for p99) %s\n",
				direction, figure, alone, within, within/alone, beside, beside/alone, neighbourBound, outcome)
		}
	}
}

// beside measures the quiet clients for a while in which a neighbour wants so many
// quotas; used is what it got of one, throttled how often it was asked to wait.
func (r *rig) beside(watch *role, direction int, demand float64, length time.Duration) (got quietRound, used float64, throttled int) {
	r.t.Helper()
	const settles = 5 * time.Second
	var clients *role
	if demand > 0 {
		limits := map[int]tenancy.LimitName{produce: tenancy.LimitProduceBytes, fetch: tenancy.LimitFetchBytes}
		in := r.create("sink", tenancy.Limits{limits[direction]: {Value: neighbourRate}})
		r.createTopic(in, "sink")
		clients = r.role("clients", loadPlan{
			Gateways: r.addrs(), Tenant: in, Rate: neighbourRate, Only: []int{direction}, Workers: neighbourWorkers,
			Constant: demand / quota.Gateways, Length: settles + length,
		})
		clients.say("go")
	}
	<-time.After(settles)
	watch.say(length.String())
	if err := json.NewDecoder(watch.out).Decode(&got); err != nil {
		r.t.Fatalf("the quiet clients have not reported: %v\n%s", err, watch.errors.String())
	}
	if clients == nil {
		return got, 0, 0
	}
	var report loadReport
	if err := json.NewDecoder(clients.out).Decode(&report); err != nil {
		r.t.Fatalf("the neighbour has not reported: %v\n%s", err, clients.errors.String())
	}
	_ = clients.in.Close()
	_ = clients.cmd.Wait()
	sum, first := 0.0, int(settles.Seconds()/quota.Step)
	for _, bytes := range report.Bytes[direction][first:] {
		sum += bytes
	}
	return got, sum / length.Seconds() / neighbourRate, report.Throttles[direction]
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
