//go:build real

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/internal/parts"
)

var usageFailovers = flag.Int("usage-failovers", 2, "how often TestUsageFailover kills a master of Redis, with Sentinels and in a Cluster; 50 for numbers that are to be told")

// TestUsageFailover kills masters of Redis under load. Half of them with what nobody else
// has: the replicas were frozen and cut off for seconds (operations.md F12).
func TestUsageFailover(t *testing.T) {
	t.Parallel()
	for name, start := range redisSets() {
		t.Run(name, func(t *testing.T) {
			set := start(t)
			w := newWorldWith(t, parts.StartKafka(t, 1), set.URL())
			g1, g2 := w.start("g1"), w.start("g2")
			load := w.usageLoad(g1)
			load.exact("at the start", time.Now())
			for round := range *usageFailovers {
				masters := set.Masters()
				master := masters[rand.IntN(len(masters))]
				how := "killed"
				if round%2 == 0 {
					how = "killed with what it alone had"
					late := load.latecomer(master, round)
					parts.Lose(set, master, func() {
						late()
						<-time.After(3 * time.Second)
					})
				} else {
					<-time.After(rand.N(2 * time.Second))
					master.Kill()
				}
				since := time.Now()
				set.AwaitFailover(master)
				set.Return(master)
				load.exact(fmt.Sprintf("master %d, %s, is %s", round+1, master.Addr(), how), since)
				set.AwaitWhole()
			}
			load.end(g1, g2)
		})
	}
}

// redisSets are the ways in which Redis outlives a master.
func redisSets() map[string]func(testing.TB) parts.RedisSet {
	return map[string]func(testing.TB) parts.RedisSet{
		"sentinel": func(t testing.TB) parts.RedisSet { return parts.StartRedisSentinel(t) },
		"cluster":  func(t testing.TB) parts.RedisSet { return parts.StartRedisCluster(t) },
	}
}

// latecomer begins a load of another instance, whose counts a master has. What it returns
// ends it for good, connections and all: nothing will change those counts any more, so
// that nothing but healing can bring them back.
func (l *usageLoad) latecomer(master *parts.RedisNode, round int) (end func()) {
	l.w.t.Helper()
	for n := range 1000 {
		id := fmt.Sprintf("i-late-%d-%d", round, n)
		if _, err := master.Try("EXISTS", "weir:{"+id+"}:usage"); err != nil {
			continue // at home on another node of the Cluster
		}
		p := l.w.pump(l.w.create(l.g, id), "topic")
		l.idle = append(l.idle, p)
		return func() {
			p.stop(l.w.t)
			p.cl.Close()
		}
	}
	l.w.t.Fatal("no instance is at home at " + master.Addr())
	return nil
}
