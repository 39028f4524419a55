package quota

import "math"

// The shape of leases (operations.md D.4; the simulation in share_sim_test.go says
// what each of these numbers is worth).
const (
	leaseSeconds = 0.3  // a gateway leases what it is asked for in this time
	lowSeconds   = 0.05 // and asks again while it has less than that of this time
	burstSeconds = 0.25 // a bucket holds this time's worth, unless its limit says more
	lowEvery     = 0.2  // Δ: seconds between two refreshes of a bucket that is low
	activeEvery  = 1.0  // and of one that is not
	seenSeconds  = 2.5  // a gateway that has not reported for so long does not count
	freshSeconds = 0.35 // a report counts in full for so long: who is busy reports again by then
	halfLife     = 0.5  // seconds, of every average
	// fallingHalfLife is that of demand that falls.
	fallingHalfLife = 0.1
)

// central is one limit's bucket of the whole fleet: what no gateway has been lent
// yet. It lives in Redis (scripts/lease.lua, line by line the same arithmetic), or
// in memory where a process is alone. The zero central is a bucket that nobody has
// used: full at its first use.
type central struct {
	tokens  float64 // units, from 0 to the burst
	at      int64   // when tokens was right: unix microseconds; 0: never used
	until   int64   // unix microseconds: full by then, and no report counts (Memory's)
	reports map[string]report
}

// report is what a gateway has said last.
type report struct {
	epoch, seq int64 // of the call: a start of the gateway, and a count since
	at         int64 // unix microseconds
	demand     float64
	admitted   float64
	grant      float64 // what it was lent in answer
}

// Ask is one gateway's request for tokens of one bucket. Rates are in units of the
// dimension a second.
type Ask struct {
	Bucket   string  // its name within the instance
	Own      bool    // the instance's own: its use is recorded (Usage)
	Rate     float64 // R: of the limit
	Burst    float64 // C: what the bucket holds
	Demand   float64 // what this gateway is asked for on average, admitted or held
	Admitted float64 // what it admits on average
	Want     float64 // units
	Back     float64 // units of a lease that it hands back; below 0: that it has used on its own
	Leave    bool    // it has no more to do with this bucket
}

// Lent is the answer to an Ask.
type Lent struct {
	Grant    float64 // units
	Left     float64 // units that are still to be had
	Demand   float64 // of all gateways, a second
	Admitted float64 // by all gateways, a second
	Gateways int     // that use this bucket
}

// lend settles one Ask of a gateway at a time (unix microseconds). A call that has
// been settled already is answered with the same grant, taking nothing; one that is
// older than that gets none.
func (c *central) lend(now int64, gateway string, epoch, seq int64, a Ask) Lent {
	if c.at == 0 {
		c.tokens, c.at = a.Burst, now
	}
	c.tokens = min(c.tokens+a.Rate*seconds(c.at, now), a.Burst)
	c.at = now // also if Redis's clock was set back: else nothing would flow until it has caught up
	if c.reports == nil {
		c.reports = map[string]report{}
	}
	last, known := c.reports[gateway]
	late := known && (epoch < last.epoch || epoch == last.epoch && seq < last.seq)
	repeated := known && epoch == last.epoch && seq == last.seq
	elapsed := lowEvery
	if known {
		elapsed = min(max(seconds(last.at, now), lowEvery), activeEvery)
	}
	if !late && !repeated {
		last = report{epoch: epoch, seq: seq, at: now, demand: a.Demand, admitted: a.Admitted}
		c.reports[gateway] = last
		c.tokens = max(min(c.tokens+a.Back, a.Burst), 0)
	}
	l := c.fleet(now)
	switch {
	case late:
	case repeated:
		l.Grant = last.grant
	default:
		l.Grant = share(a, l, elapsed, c.tokens)
		c.tokens -= l.Grant
		last.grant = l.Grant
		c.reports[gateway] = last
	}
	if a.Leave && !late {
		delete(c.reports, gateway)
	}
	l.Left = c.tokens
	return l
}

// fleet sums up what gateways have reported, and forgets those that have gone. Who
// is busy reports every lowEvery; whose report is older has less and less to do: if
// it counted in full, those to whom the load has moved would wait for it.
func (c *central) fleet(now int64) Lent {
	var l Lent
	for gateway, r := range c.reports {
		age := math.Abs(float64(now-r.at)) / 1e6
		if age > seenSeconds {
			delete(c.reports, gateway)
			continue
		}
		fresh := math.Pow(0.5, max(age-freshSeconds, 0)/halfLife)
		l.Demand += r.demand * fresh
		l.Admitted += r.admitted * fresh
		l.Gateways++
	}
	return l
}

// share is what a gateway is lent of the tokens that are there. While all are asked
// for less than the rate, what it wants; else by demand, a tenth of the rate evenly,
// so that who starts is not starved by who is there. What lies in a bucket that is
// more than 0.6 full goes to whoever asks: nobody else wanted it.
func share(a Ask, all Lent, elapsed, tokens float64) float64 {
	if all.Demand <= a.Rate {
		return max(min(a.Want, tokens), 0)
	}
	part := 0.9*a.Demand/all.Demand + 0.1/float64(all.Gateways)
	fair := 1.1 * a.Rate * elapsed * part
	return max(min(a.Want, max(fair, tokens-0.6*a.Burst), tokens), 0)
}

// seconds from one time to another, in unix microseconds; never less than 0.
func seconds(from, to int64) float64 { return max(float64(to-from), 0) / 1e6 }
