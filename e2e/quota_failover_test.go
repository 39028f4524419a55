//go:build real

package e2e

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
	"weir/tenancy"
)

const (
	failoverQuota = 100_000 // bytes a second, a fourth of what two producers have
	failoverBatch = 16_000  // the most in a request's batch
	failoverLeast = 15 * time.Second
)

// TestQuotaFailover kills a master of Redis while two gateways share a quota: it holds
// for both of them together before, meanwhile and afterwards, and no client sees anything
// else than its throttling.
func TestQuotaFailover(t *testing.T) {
	t.Parallel()
	for name, start := range redisSets() {
		t.Run(name, func(t *testing.T) {
			set := start(t)
			w := newWorldWith(t, parts.StartKafka(t, 1), set.URL())
			g := w.start("g1")
			w.start("g2")
			in := w.create(g, "i-shared")
			id := tenancy.InstanceID(in.id)
			w.limit(id, failoverQuota, 1<<30)
			pumps := []*pump{
				w.pump(in, "one", kgo.ProducerBatchMaxBytes(failoverBatch)),
				w.pump(in, "two", kgo.ProducerBatchMaxBytes(failoverBatch)),
			}
			acknowledged := func() int64 { return pumps[0].bytes.Load() + pumps[1].bytes.Load() }
			parts.Await(t, "the quota is used", time.Minute, func() bool { return acknowledged() > 5*failoverQuota })

			begin, before := time.Now(), acknowledged()
			master := w.homeOf(set, "weir:{i-shared}:quota:")
			master.Kill()
			set.AwaitFailover(master)
			promoted, meanwhile := time.Now(), acknowledged()
			set.Return(master)
			set.AwaitWhole()
			<-time.After(time.Until(begin.Add(failoverLeast)))
			after, end := acknowledged(), time.Now()

			share := func(bytes int64, d time.Duration) float64 { return 100 * float64(bytes) / failoverQuota / d.Seconds() }
			t.Logf("%s: %.1f %% of the quota in the %s without a master, %.1f %% in the %s since",
				name, share(meanwhile-before, promoted.Sub(begin)), promoted.Sub(begin).Round(time.Millisecond),
				share(after-meanwhile, end.Sub(promoted)), end.Sub(promoted).Round(time.Millisecond))
			// On top: what was saved for a second, and for each gateway the request that goes ahead.
			most := 1.05*failoverQuota*end.Sub(begin).Seconds() + failoverQuota + 2*3*failoverBatch
			if got := after - before; float64(got) > most || float64(got) < most/2 {
				t.Errorf("%d bytes in %s, want at most %.0f and not much less", got, end.Sub(begin), most)
			}
			w.limit(id, 1<<30, 1<<30) // what is buffered may leave
			for _, p := range pumps {
				p.stop(t)
			}
		})
	}
}

// homeOf is the master that has the keys of a slot.
func (w *world) homeOf(set parts.RedisSet, key string) *parts.RedisNode {
	w.t.Helper()
	for _, m := range set.Masters() {
		if _, err := m.Try("EXISTS", key); err == nil {
			return m
		}
	}
	w.t.Fatal("no master has " + key)
	return nil
}
