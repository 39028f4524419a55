package quota

import (
	"fmt"
	"math"
	"strings"
)

// Step is the resolution of what is measured, in seconds, and by which windows slide.
const Step = 0.1

const (
	window = 100 // steps: the 10 s of I5 in operations.md
	warmUp = 100 // steps that are not judged
	// settling is for how many steps after a jump the windows that begin are still of it.
	settling = 20
	// returning is for how many steps after Redis is back windows are those of its absence.
	returning = 50

	overBound = 1.05
	usedBound = 0.95
	jumpBound = 0.85
	enough    = 1.05 // quotas that must be wanted in every second of a window for it to be judged as used
)

// Quota is what a scenario runs against.
type Quota struct {
	Rate    float64 // bytes a second
	Largest float64 // bytes of the largest request
}

// Range is the least and the most that was used of the quota in the windows of a
// kind; N is how many these were.
type Range struct {
	Least, Most float64
	N           int
}

func (r *Range) add(used float64) {
	if r.N == 0 || used < r.Least {
		r.Least = used
	}
	if r.N == 0 || used > r.Most {
		r.Most = used
	}
	r.N++
}

// Verdict is what the windows of a scenario show; shares of the quota.
type Verdict struct {
	All    Range // all windows after the warm-up
	Wanted Range // those in which there was demand and nothing happened
	Jumped Range // those with demand in which the load moved
	Away   Range // those with demand in which Redis was away
	Mean   float64
	Allows float64 // the bound of All.Most
}

// Judge looks at what was admitted in each step since the begin, in bytes.
func Judge(s Scenario, q Quota, admitted []float64) Verdict {
	v := Verdict{Allows: overBound + Gateways*q.Largest/(q.Rate*window*Step)}
	steps := min(len(admitted), int(s.Length.Seconds()/Step))
	wanted := func(from int) bool {
		for second := from; second < from+window; second += 10 {
			sum := 0.0
			for i := second; i < second+10; i++ {
				sum += s.Total(float64(i)*Step) * Step
			}
			if sum < enough-1e-9 {
				return false
			}
		}
		return true
	}
	total, n := 0.0, 0
	for from := warmUp; from+window <= steps; from++ {
		sum := 0.0
		for _, bytes := range admitted[from : from+window] {
			sum += bytes
		}
		used := sum / (q.Rate * window * Step)
		v.All.add(used)
		if !wanted(from) {
			continue
		}
		total, n = total+used, n+1
		switch begin, end := float64(from)*Step, float64(from+window)*Step; {
		case s.Away[1] > 0 && end > s.Away[0] && begin < s.Away[1]+returning*Step:
			v.Away.add(used)
		case jumpsIn(s.Jumps, begin-settling*Step, end):
			v.Jumped.add(used)
		default:
			v.Wanted.add(used)
		}
	}
	v.Mean = total / math.Max(float64(n), 1)
	return v
}

func jumpsIn(jumps []float64, from, to float64) bool {
	for _, at := range jumps {
		if at >= from && at < to {
			return true
		}
	}
	return false
}

// Failures are the bounds that do not hold, a line each; what Redis' absence costs
// is no bound.
func (v Verdict) Failures() []string {
	var all []string
	fail := func(what string, is, bound float64) {
		all = append(all, fmt.Sprintf("%s %.1f %% of the quota in 10 s, bound %.1f %%", what, is*100, bound*100))
	}
	switch {
	case v.All.N == 0:
		all = append(all, "no window was measured")
	case v.All.Most > v.Allows:
		fail("admitted", v.All.Most, v.Allows)
	}
	if v.Wanted.N > 0 && v.Wanted.Least < usedBound {
		fail("with demand used", v.Wanted.Least, usedBound)
	}
	if v.Jumped.N > 0 && v.Jumped.Least < jumpBound {
		fail("after a jump used", v.Jumped.Least, jumpBound)
	}
	return all
}

// Header is of the lines that Row writes.
func Header() string {
	return fmt.Sprintf("%-13s %-8s %9s %8s %9s %9s %9s %7s %13s  %s", "scenario", "what",
		"most %", "bound %", "least %", "jump %", "away %", "mean %", "calls/s/gw", "")
}

// Row is a line of the table; calls is what Redis was asked in a second by each
// gateway, below 0 if it was not counted.
func (v Verdict) Row(s Scenario, what string, calls float64) string {
	least := func(r Range) string {
		if r.N == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", r.Least*100)
	}
	asked := "-"
	if calls >= 0 {
		asked = fmt.Sprintf("%.1f", calls)
	}
	outcome := "PASS"
	if f := v.Failures(); len(f) > 0 {
		outcome = "FAIL " + strings.Join(f, "; ")
	}
	return fmt.Sprintf("%-13s %-8s %9.1f %8.1f %9s %9s %9s %7.1f %13s  %s", s.Name, what,
		v.All.Most*100, v.Allows*100, least(v.Wanted), least(v.Jumped), least(v.Away), v.Mean*100, asked, outcome)
}
