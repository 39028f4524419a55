package quota

import (
	"context"
	"time"

	"weir/tenancy"
)

// Lender lends tokens and places to gateways, out of what all of them share. Any
// goroutine.
type Lender interface {
	// Settle fills in the answers of a round. err is the first failure; what has an
	// answer nevertheless says so (Settled). A round that is settled again, because
	// nobody knows whether it arrived, takes nothing more.
	Settle(ctx context.Context, r *Round) error
	// Use is what all gateways together use of an instance's limits.
	Use(ctx context.Context, id tenancy.InstanceID) (map[tenancy.LimitName]Use, error)
}

// Round is all that a gateway asks for at a time.
type Round struct {
	Gateway string
	Epoch   int64 // greater at each start of a gateway
	Seq     int64 // greater with each round
	Beat    bool  // the gateway says that it lives, and asks who else does
	Alive   []string
	Forgot  bool // answer to Beat: the gateway was not known to live
	Asks    []*InstanceAsk
	Leaves  bool // the gateway stops
}

// InstanceAsk is what a round asks for of one instance.
type InstanceAsk struct {
	Instance tenancy.InstanceID
	Buckets  []Ask
	Lent     []Lent // as Buckets, once Settled
	Places   *PlaceAsk
	Placed   Placed // once Settled
	Settled  bool

	account *account
	buckets []*bucket
	subs    int // of them those of sub-quotas
}

// Use is how much of a limit is used.
type Use struct {
	Used    float64 // now: of a rate, a second's
	Peak24h float64 // the most in the last 24 hours; of a rate
}

const (
	// roundEvery is the least time between two rounds: five calls a second,
	// however many instances are hot.
	roundEvery = 200 * time.Millisecond
	// beatEvery is how often a gateway that serves limited instances says so.
	beatEvery = time.Second
	// roundTimeout bounds a round: for longer the process is better off alone.
	roundTimeout = 500 * time.Millisecond
)
