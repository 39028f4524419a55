package quota

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// scale is how many tokens a unit is: rates may be fractions of a unit.
const scale = 1000

// bucketKey is which limit of whom a bucket enforces (the tags of Kafka's metrics of
// quotas: what is set for everybody's default gives each a bucket of its own).
type bucketKey struct {
	dim    Dimension
	of     entityKey // the zero one: the instance
	shared bool      // of is a default, of those who came when there were too many
}

// bucket is what one limit of one scope has left in this process: what was lent less
// what was spent. Spending may leave it in debt. Whoever spends touches the first
// four fields and nothing else: it costs two atomics.
//
// A bucket that is not used is cold: it has a token, so that the first piece of work
// goes ahead, is in no list and costs nothing. The first piece puts it on the list of
// the Limiter, which asks for a lease at once, and again until the bucket is cold.
type bucket struct {
	credit atomic.Int64 // tokens that it ever had; may overflow: the difference counts
	spent  atomic.Int64 // and those of them that are gone
	low    atomic.Int64 // with no more than so many left it is time for a lease
	room   atomic.Int64 // so far it may be in debt without a word: tokens that nobody has claimed
	hot    atomic.Bool  // the Limiter knows of it

	rate  atomic.Int64 // tokens a second, of the limit
	burst atomic.Int64 // tokens that there are at the most
	pace  atomic.Int64 // tokens a second that are expected to come
	asked atomic.Int64 // tokens a second that this gateway was asked for of late
	fleet atomic.Int64 // gateways that share the limit

	key     bucketKey
	name    string // in the Lender
	account *account

	waiting atomic.Int32 // waiters
	held    atomic.Int64 // units that they want
	mu      sync.Mutex   // guards what follows
	queue   []*waiter
	// onCredit is what work may still spend that was let go since the newest look.
	onCredit int64

	refs  int   // resolved that hold it; guarded by the account's mutex
	lease lease // owned by the Limiter's rounds
}

func newBucket(a *account, key bucketKey, rate, burst float64) *bucket {
	b := &bucket{key: key, name: key.name(), account: a}
	b.rate.Store(atLeastOne(rate))
	b.burst.Store(atLeastOne(burst))
	b.pace.Store(atLeastOne(rate))
	b.fleet.Store(max(a.limiter.gateways.Load(), 1))
	b.cool()
	return b
}

// tokens of units; bounded, so that sums of a few do not overflow.
func tokens(units float64) int64 { return int64(min(units*scale, math.MaxInt64/8)) }

// atLeastOne is tokens of a limit: Kafka's protocol lets a sub-quota be as small as a
// float can, and a bucket that gets nothing in a second is none.
func atLeastOne(units float64) int64 { return max(tokens(units), 1) }

// left is how many tokens are left; below 0: debt.
func (b *bucket) left() int64 { return b.credit.Load() - b.spent.Load() }

// short is what follows when little is left (low): it says how long it takes to repay.
func (b *bucket) short(left int64) time.Duration {
	b.hurry()
	if left > 0 || left > -b.room.Load() {
		return 0
	}
	wait := time.Duration(float64(-left) / float64(max(b.pace.Load(), 1)) * float64(time.Second))
	if wait < 0 || wait > MaxThrottle {
		return MaxThrottle
	}
	return min(wait+roundEvery, MaxThrottle)
}

// hurry asks for a lease, once.
func (b *bucket) hurry() {
	if !b.hot.Load() && b.hot.CompareAndSwap(false, true) {
		b.account.limiter.hurry(b)
	}
}

// cool lets what was lent lapse. What lies in the common bucket may be claimed by
// who comes first, each gateway its part.
func (b *bucket) cool() {
	if left := b.left(); left >= 0 { // else it was spent from at this very moment
		b.credit.Add(1 - left)
	}
	b.low.Store(1)
	b.room.Store(b.burst.Load() / max(b.fleet.Load(), 1))
}

// limit puts another limit in force. Time to repay a debt stays what it was, but for
// one of days that a much higher limit would make of it (debtUnder); what was lent
// under a higher limit shrinks, and grows by a lease only: who changes a limit back and
// forth gains nothing.
func (b *bucket) limit(rate, burst float64) {
	before, now := b.rate.Load(), atLeastOne(rate)
	b.burst.Store(atLeastOne(burst))
	if before == now {
		return
	}
	part := float64(now) / float64(max(before, 1))
	b.rate.Store(now)
	b.pace.Store(min(int64(float64(b.pace.Load())*part), now))
	left := b.left()
	if left < 0 {
		b.credit.Add(-debtUnder(-left, part, now) - left)
	} else if part < 1 {
		b.credit.Add(int64(float64(left)*part) - left)
	}
	if part < 1 {
		b.room.Store(int64(float64(b.room.Load()) * part))
		b.low.Store(int64(float64(b.low.Load()) * part))
	}
	if left <= 0 {
		b.hurry()
	}
	b.wake()
}

// debtUnder is a debt in tokens after a limit has become part of what it was: rate.
// Under a higher one that is no more than it was, or than clients are told to wait for:
// what a large request owes to a tiny limit must not slow an instance whose limit was
// raised because of that.
func debtUnder(debt int64, part float64, rate int64) int64 {
	most := max(float64(debt), min(float64(rate)*MaxThrottle.Seconds(), math.MaxInt64/8))
	return int64(min(float64(debt)*part, most))
}
