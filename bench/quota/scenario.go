package quota

import (
	"math"
	"math/rand"
	"time"
)

// Gateways is how many gateway processes share a quota here.
const Gateways = 3

// Scenario is a load that changes with time, and what happens meanwhile.
type Scenario struct {
	Name   string
	Length time.Duration
	// Demand is what a gateway's clients want t seconds after the begin, in quotas:
	// 1 is the whole quota of the instance.
	Demand func(gateway int, t float64) float64
	// Jumps are moments, in seconds, at which the load moves between gateways, so that
	// what follows is judged by a bound of its own.
	Jumps []float64
	// Away is from when until when, in seconds, Redis is killed; zero: never.
	Away [2]float64
	// Killed is when, in seconds, gateway 0 is killed; 0: never.
	Killed float64
}

// Offers is Demand of a gateway that is still there.
func (s Scenario) Offers(gateway int, t float64) float64 {
	if gateway == 0 && s.Killed > 0 && t >= s.Killed {
		return 0
	}
	return s.Demand(gateway, t)
}

// Total is what all gateways' clients want, in quotas.
func (s Scenario) Total(t float64) (sum float64) {
	for g := range Gateways {
		sum += s.Offers(g, t)
	}
	return sum
}

// Scenarios are those of the simulation that the design has its numbers from, in a
// time that one can wait for.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "steady", Length: 60 * time.Second, Demand: func(int, float64) float64 { return 1 }},
		{Name: "zipf", Length: 60 * time.Second, Demand: zipf},
		{Name: "random", Length: 90 * time.Second, Demand: random(3)},
		// It widens at 30 s, which is judged as if nothing had happened, and narrows at 60 s.
		{Name: "one-three", Length: 90 * time.Second, Demand: widen, Jumps: []float64{60}},
		{Name: "hop", Length: 85 * time.Second, Demand: hop, Jumps: []float64{20, 40, 60, 80}},
		{Name: "redis-zipf", Length: 100 * time.Second, Demand: zipf, Away: [2]float64{35, 65}},
		{Name: "redis-random", Length: 100 * time.Second, Demand: random(4), Away: [2]float64{35, 65}},
		{Name: "killed", Length: 70 * time.Second, Demand: zipf, Killed: 35, Jumps: []float64{35}},
	}
}

// Short are the same in a time that one waits for while working.
func Short() []Scenario {
	return []Scenario{
		{Name: "zipf", Length: 35 * time.Second, Demand: zipf},
		{Name: "hop", Length: 55 * time.Second, Demand: hop, Jumps: []float64{20, 40}},
	}
}

// zipf is three quotas in all, most of them at the first gateway.
func zipf(gateway int, _ float64) float64 {
	sum := 0.0
	for k := range Gateways {
		sum += 1 / float64(k+1)
	}
	return 3 / float64(gateway+1) / sum
}

// widen is two quotas at one gateway, then at each of them, then at one again.
func widen(gateway int, t float64) float64 {
	if gateway == 0 || t >= 30 && t < 60 {
		return 2
	}
	return 0.05
}

// hop is three quotas at one gateway, at another one every 20 s.
func hop(gateway int, t float64) float64 {
	if int(t/20)%Gateways == gateway {
		return 3
	}
	return 0
}

// random is another load at each gateway every 2 s, two quotas in all on average.
func random(seed int64) func(int, float64) float64 {
	r := rand.New(rand.NewSource(seed))
	var table [Gateways][400]float64
	for g := range table {
		for i := range table[g] {
			table[g][i] = r.ExpFloat64() * 1.95 / Gateways
		}
	}
	return func(gateway int, t float64) float64 { return table[gateway][int(math.Max(t, 0)/2)%400] }
}
