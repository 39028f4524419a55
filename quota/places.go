package quota

import "slices"

// PlaceAsk is one gateway's request for places for connections of an instance.
type PlaceAsk struct {
	Limit  int64    // of all gateways together
	Used   int64    // places that are taken
	Wanted int64    // connections that wait for one
	Alive  []string // gateways that live; nil: not known
	stale  bool     // Alive may have changed: no is not the last word
}

// Placed is the answer to a PlaceAsk.
type Placed struct {
	Granted int64 // places that the gateway has: Used of them are taken
	Others  int64 // places that other gateways have
}

// places are those of one instance, by who has them. They live in Redis
// (scripts/places.lua), or are not needed where a process is alone. The sum of what
// is granted is never more than the limit, unless that was lowered, or gateways were
// given up for dead that were not.
type places map[string]placed

type placed struct {
	epoch, seq int64
	at         int64 // unix microseconds
	granted    int64
}

// A gateway gets places in advance, at the most maxSpare, where more than minSpare
// and half of all are free: where they are scarce, and with small limits, what is
// granted is what is taken. It hands back what it has not used.
const (
	minSpare = 64
	maxSpare = 16
)

// ask settles one request. One that was settled already is answered as it was; a
// late one as if it asked for nothing.
func (p places) ask(now int64, gateway string, epoch, seq int64, a PlaceAsk) Placed {
	mine, known := p[gateway]
	others := p.others(now, gateway, a.Alive)
	if known && (epoch < mine.epoch || epoch == mine.epoch && seq <= mine.seq) {
		return Placed{Granted: mine.granted, Others: others}
	}
	free := max(a.Limit-others, 0)
	need := a.Used + a.Wanted
	spare := free - need
	if spare < max(minSpare, a.Limit/2) {
		spare = 0
	}
	granted := max(a.Used, min(need+min(spare/16, maxSpare, a.Wanted), free))
	if granted == 0 {
		delete(p, gateway)
	} else {
		p[gateway] = placed{epoch: epoch, seq: seq, at: now, granted: granted}
	}
	return Placed{Granted: granted, Others: others}
}

// others sums what other gateways have, and forgets those that are not alive.
func (p places) others(now int64, gateway string, alive []string) (sum int64) {
	for name, has := range p {
		if name == gateway {
			continue
		}
		if alive != nil && !slices.Contains(alive, name) && seconds(has.at, now) > seenSeconds {
			delete(p, name)
			continue
		}
		sum += has.granted
	}
	return sum
}
