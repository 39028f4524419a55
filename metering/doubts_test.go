package metering

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"
)

// Three gateways, batches that are acknowledged by several of them in any order,
// rounds in any order, a Redis that forgets: in the end every batch is counted once.
func TestEveryBatchIsCountedOnce(t *testing.T) {
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
			p.book = newFakeBook(p.book.gateway, &p.store.at)
			p.cfg.Book = p.book
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
				p.book.produced("orders", b, asked[b])
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
			if len(p.book.doubts) != 0 {
				rt.Fatalf("%s still doubts %v", p.book.gateway, p.book.doubts)
			}
		}
	})
}
