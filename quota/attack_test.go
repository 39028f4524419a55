package quota

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"weir/tenancy"
)

// Kafka's protocol lets a sub-quota be any number above 0. One of which no token comes
// in a second made the script divide by 0, and its failure froze the limits of all
// instances of the gateway.
func TestTinySubQuotas(t *testing.T) {
	for _, value := range []float64{1e-9, 1e-300, 1e-3, 0.01, 1, 1e15, 1e300} {
		_, lender := newTestRedis(t)
		l := newAlone(nil, tenancy.Quota{Entity: user("u"), Values: map[string]float64{tenancy.QuotaMutations: value, tenancy.QuotaRequestTime: value}})
		l.lender = lender
		s := l.Scope("i-1", "u", "c")
		s.Spend(TopicMutations, 1)
		s.Spend(RequestTime, 1)
		round := l.rounds.plan(time.Now())
		if err := l.rounds.settle(t.Context(), round); err != nil || len(round.Asks[0].Lent) != 2 {
			t.Errorf("sub-quotas of %v: %v", value, err)
		}
	}
}

// Of a limit of 0.01 a second what comes in a round are a few thousandths: none is lost.
func TestSmallGrantsAddUp(t *testing.T) {
	l := newAlone(everyRate(0.01))
	s := l.Scope("i-1", "u", "c")
	s.Spend(TopicMutations, 1)
	b := s.now.Load().buckets[TopicMutations][0]
	before := b.left()
	for range 1000 {
		b.lent(time.Now(), Ask{Rate: 0.01}, Lent{Grant: 0.0019, Gateways: 1})
	}
	if got := b.left() - before; got < 1899 || got > 1900 {
		t.Errorf("1000 times 1.9 tokens are %d", got)
	}
}

// What fails for one instance is no outage for the others.
func TestOneInstanceDoesNotFreezeTheOthers(t *testing.T) {
	l := newAlone(everyRate(1000))
	now := time.Now()
	one, other := l.Scope("i-1", "u", "c"), l.Scope("i-2", "u", "c")
	for range 30 {
		now = now.Add(roundEvery)
		one.Spend(Requests, 10)
		other.Spend(Requests, 10)
		round := l.rounds.plan(now)
		if err := l.lender.Settle(t.Context(), round); err != nil {
			t.Fatal(err)
		}
		for _, in := range round.Asks {
			in.Settled = in.Instance == "i-1"
		}
		l.rounds.apply(now, round, errors.New("ERR value is not an integer"))
	}
	if l.frozen.Load() {
		t.Error("all instances run on frozen shares, because of one that Redis does not answer for")
	}
	if b := other.now.Load().buckets[Requests][0]; b.lease.failing.IsZero() {
		t.Error("the one that has no answer is not on its own")
	}
}

// Redis works on one instance at a time, and does nothing else meanwhile.
func TestRoundsAskForSomeSubQuotasAtATime(t *testing.T) {
	l := newAlone(everyRate(1e6), tenancy.Quota{Entity: entity("client="), Values: map[string]float64{tenancy.QuotaProducerBytes: 1000}})
	now := time.Now()
	for i := range 3 * maxSubAsks {
		l.Scope("i-1", "u", fmt.Sprint(i)).Spend(ProduceBytes, 1e6) // in debt for a quarter of an hour
	}
	asked := map[string]int{}
	for range 6 {
		now = now.Add(roundEvery)
		round := l.rounds.plan(now)
		if n := len(round.Asks[0].Buckets); n > maxSubAsks+1 {
			t.Fatalf("one round asks for %d buckets of an instance", n)
		}
		for _, a := range round.Asks[0].Buckets {
			asked[a.Bucket]++
		}
	}
	if n := asked[string(tenancy.LimitProduceBytes)]; n != 6 {
		t.Errorf("the instance's own limit was asked for in %d of 6 rounds", n)
	}
	delete(asked, string(tenancy.LimitProduceBytes))
	for name, n := range asked {
		if n != 2 {
			t.Errorf("%s was asked for %d times, want 2", name, n)
		}
	}
	if len(asked) != 3*maxSubAsks {
		t.Errorf("%d of %d were asked for", len(asked), 3*maxSubAsks)
	}
}

// An instance may have so many scopes that a change of its limits takes long.
func TestOneInstanceDoesNotHoldUpTheOthers(t *testing.T) {
	l := newAlone(everyRate(1000))
	first := l.Scope("i-1", "u", "c")
	first.account.mu.Lock() // as resolve does
	waits := make(chan struct{})
	go func() {
		l.Scope("i-1", "u", "d").Close()
		l.forget(first.account)
		close(waits)
	}()
	time.Sleep(10 * time.Millisecond) // however long: it must not matter
	done := make(chan struct{})
	go func() {
		l.Scope("i-2", "u", "c").Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("another instance waits for this one")
	}
	first.account.mu.Unlock()
	<-waits
}

// A tenant may change what is none of its limits as often as it likes.
func TestWhatIsNoLimitResolvesNothing(t *testing.T) {
	l := newAlone(everyRate(1000), tenancy.Quota{Entity: user("u"), Values: map[string]float64{tenancy.QuotaProducerBytes: 1000}})
	s := l.Scope("i-1", "u", "c")
	before := s.now.Load()
	v, _, _ := l.cfg.Instance("i-1")
	l.Changed(v)
	if s.now.Load() != before {
		t.Error("scopes were resolved anew, and nothing had changed")
	}
}

func TestRaisedLimitEndsDebtsOfDays(t *testing.T) {
	for _, to := range []float64{100 << 20, 1 << 40, 1 << 50} {
		value := 1024.0
		l := New(Config{Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			return &tenancy.View{Instance: tenancy.Instance{ID: "i-1"}}, tenancy.Limits{tenancy.LimitProduceBytes: {Value: value}}, true
		}})
		s := l.Scope("i-1", "u", "c")
		s.Spend(ProduceBytes, 100<<20) // a day's worth of 1 KiB/s
		value = to
		l.PlansChanged()
		b := s.now.Load().buckets[ProduceBytes][0]
		if debt := -float64(b.left()) / math.Max(to*scale, 1); debt <= 0 || debt > MaxThrottle.Seconds()*1.01 {
			t.Errorf("after the limit was raised from 1 KiB/s to %v it takes %v s to repay 100 MiB, want 5 s at the most", to, debt)
		}
	}
}
