package metering

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"weir/tenancy"
)

// Three gateways, batches that are acknowledged by several of them in any order,
// rounds in any order, a Redis that forgets: in the end every batch is counted once.
func TestEveryBatchIsCountedOnce(t *testing.T) {
	t.Run("by the words of Ledger", func(t *testing.T) {
		everyBatchOnce(t, func(gateway string, at *time.Time) producer { return newFakeBook(gateway, at) })
	})
	t.Run("in a Book", func(t *testing.T) {
		everyBatchOnce(t, func(gateway string, at *time.Time) producer {
			b, err := NewBook(Config{Gateway: gateway, Epoch: testCount("", 0, 0).Epoch, Now: func() time.Time { return *at }})
			if err != nil {
				t.Fatal(err)
			}
			return &realBook{b}
		})
	})
}

// producer is a Ledger that counts batches of one byte.
type producer interface {
	Ledger
	produced(id tenancy.InstanceID, batch batchKey, duplicate bool)
}

type realBook struct{ *Book }

func (b *realBook) produced(id tenancy.InstanceID, batch batchKey, duplicate bool) {
	a := b.Open(Of{Instance: id, Tenant: "acme", Plan: "standard", Pool: "eu1"})
	a.Produced(&Batch{
		Partition: batch.partition, Offset: batch.offset, Bytes: 1, Records: 1, Idempotent: true, Duplicate: duplicate,
	})
	b.Close(a)
}

// fewChecks bounds the property tests that take a second for each check with -race.
// -rapid.checks asks for more.
func fewChecks(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if asked := checks.Value.String(); asked == checks.DefValue {
		_ = checks.Value.Set("30")
		t.Cleanup(func() { _ = checks.Value.Set(asked) })
	}
}

func everyBatchOnce(t *testing.T, newBook func(gateway string, at *time.Time) producer) {
	t.Helper()
	fewChecks(t)
	m := miniredis.RunT(t)
	var all []*testPusher
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, newTestPusher(t, m, name))
	}
	rapid.Check(t, func(rt *rapid.T) {
		m.FlushAll()
		at := testHour.Begin().Add(time.Minute)
		for _, p := range all {
			p.store.at = at
			p.cfg.Book = newBook(p.cfg.Gateway, &p.store.at)
			p.store.Forget()
			p.rounds = 0
			clear(p.claimed)
			clear(p.told)
		}
		step := func(p *testPusher, d time.Duration) {
			at = at.Add(d)
			for _, q := range all {
				q.store.at = at
			}
			m.SetTime(at)
			p.round(context.Background())
		}
		counted := map[batchKey]bool{} // an original is counted by one gateway at most
		asked := map[batchKey]bool{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			p := all[rapid.IntRange(0, len(all)-1).Draw(rt, "gateway")]
			b := batchKey{1, rapid.Int64Range(0, 3).Draw(rt, "batch")}
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				m.FlushAll()
			case 1, 2, 3, 4:
				p.cfg.Book.(producer).produced("orders", b, asked[b])
				counted[b], asked[b] = true, true
			case 5: // the first acknowledgement never came to a gateway
				asked[b] = true
			default:
				step(p, time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds"))*time.Second)
			}
		}
		for range 8 {
			for _, p := range all {
				step(p, time.Second)
			}
		}
		for range 15 { // doubts that nobody answers end
			for _, p := range all {
				step(p, 20*time.Second)
			}
		}
		sum := int64(0)
		for id, err := range all[0].store.Instances(context.Background(), testHour) {
			if err != nil {
				rt.Fatal(err)
			}
			for _, c := range countsOf(t, all[0].store.Store, id, testHour) {
				sum += c.Values[ProduceBytes]
			}
		}
		if sum != int64(len(counted)) {
			rt.Fatalf("%d batches were counted %d times", len(counted), sum)
		}
		for _, p := range all {
			if doubts := p.cfg.Book.Doubts(); len(doubts) != 0 {
				rt.Fatalf("%s still doubts %v", p.cfg.Gateway, doubts)
			}
		}
	})
}

// A doubt that Redis has lost, and that is new there when its time is over, is not ended
// before others have had the time to answer.
func TestDoubtThatRedisLostIsNotEndedAtOnce(t *testing.T) {
	m := miniredis.RunT(t)
	a, b := newTestPusher(t, m, "a"), newTestPusher(t, m, "b")
	batch := batchKey{1, 7}
	b.book.produced("orders", batch, true)
	step := func(p *testPusher, d time.Duration) {
		a.store.at, b.store.at = b.store.at.Add(d), b.store.at.Add(d)
		m.SetTime(b.store.at)
		p.round(t.Context())
	}
	step(b, pushEvery)
	step(b, pushEvery)
	a.book.produced("orders", batch, false) // it was slow to count
	m.FlushAll()
	step(b, doubtFor)
	step(b, pushEvery)
	if len(b.book.doubts) != 1 {
		t.Fatal("a doubt was ended that nobody could have answered")
	}
	step(a, pushEvery)
	step(b, pushEvery)
	if len(b.book.doubts) != 0 || b.book.ring[batch] {
		t.Error("a batch that another gateway has counted was not taken back")
	}
}

// A gateway that stops for good answers what another doubts since its last round, takes
// back what another says to have counted, and brings that to Redis.
func TestDoubtsAreSettledAtTheStop(t *testing.T) {
	m := miniredis.RunT(t)
	a, b := newTestPusher(t, m, "a"), newTestPusher(t, m, "b")
	round := func(all ...*testPusher) {
		at := a.store.at.Add(pushEvery)
		a.store.at, b.store.at = at, at
		m.SetTime(at)
		for _, p := range all {
			p.round(t.Context())
		}
	}
	round(a, b)
	mine, other := batchKey{1, 7}, batchKey{1, 8}
	a.book.produced("orders", mine, true)
	for range int(doubtYoung/pushEvery) + 2 { // from then on it is asked about now and then
		round(a)
	}
	for a.rounds%claimEvery != 1 {
		round(a)
	}
	b.book.produced("orders", mine, false) // it was slow to count
	a.book.produced("orders", other, false)
	b.book.produced("orders", other, true)
	round(b)
	if len(a.book.doubts) != 1 || len(b.book.doubts) != 1 {
		t.Fatalf("before the stop a doubts %v, b %v", a.book.doubts, b.book.doubts)
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	round(b)
	round(b) // brings it to Redis
	if len(a.book.doubts) != 0 || len(b.book.doubts) != 0 {
		t.Errorf("a still doubts %v, b %v", a.book.doubts, b.book.doubts)
	}
	sum := int64(0)
	for _, c := range countsOf(t, a.store.Store, "orders", testHour) {
		sum += c.Values[ProduceBytes]
	}
	if sum != 2 {
		t.Errorf("two batches were counted %d times in Redis", sum)
	}
}
