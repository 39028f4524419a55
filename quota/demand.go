package quota

import "math"

// use is what one gateway knows of its own use of a bucket: averages with a half-life
// of halfLife, in units a second. Demand falls faster: to lease what nobody asks for
// any more takes it from those to whom the load has moved.
type use struct {
	demand   float64 // asked for, admitted or held
	admitted float64
	instant  float64 // demand since the last look
}

// observe adds what happened in a time (seconds): units that were asked for and
// admitted. With Redis away what is admitted says nothing about a fair share: the
// average is frozen (it would fall by itself, and the share with it).
func (u *use) observe(elapsed, asked, admitted float64, away bool) {
	elapsed = min(max(elapsed, 0.001), 2*activeEvery)
	u.instant = asked / elapsed
	if u.instant < u.demand {
		u.demand += weight(elapsed, fallingHalfLife) * (u.instant - u.demand)
	} else {
		u.demand += weight(elapsed, halfLife) * (u.instant - u.demand)
	}
	if !away {
		u.admitted += weight(elapsed, halfLife) * (admitted/elapsed - u.admitted)
	}
}

// weight is that of what is new in an average.
func weight(elapsed, halfLife float64) float64 { return 1 - math.Pow(0.5, elapsed/halfLife) }

// want is how many units to ask for when tokens are left; below 0 they are debt.
// need is what the next piece of work must find.
func (u *use) want(tokens, need float64) float64 {
	return max(max(u.demand, u.instant)*leaseSeconds, need) - tokens
}

// frozen is the rate at which a gateway admits while Redis is away (operations.md
// D.5): its last share, which drifts in 10 seconds to an equal one, for loads move.
// away is since when, in seconds; gateways how many share the rate.
func (u *use) frozen(rate, away float64, gateways int) float64 {
	drift := min(max(away/frozenDrift, 0), 1)
	return (1-drift)*min(u.admitted, rate) + drift*rate/float64(max(gateways, 1))
}

// frozenDrift is in how many seconds a frozen share becomes an equal one.
const frozenDrift = 10
