//go:build real

package e2e

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
	"weir/metering"
)

var usageAway = flag.Float64("usage-away-minutes", 0.5, "how long Redis is down in TestUsageRedisLoses; 10 for numbers that are to be told")

// usageLoad is what stories of Redis count: instances that go on, in all slots of a
// Cluster, and some that have stopped, whose counts nothing changes any more.
type usageLoad struct {
	w    *world
	g    *gateway
	u    *usage
	busy []*pump
	idle []*pump
}

const usageBusy, usageIdle = 5, 5

func (w *world) usageLoad(g *gateway) *usageLoad {
	w.t.Helper()
	l := &usageLoad{w: w, g: g, u: w.usage()}
	for i := range usageBusy + usageIdle {
		p := w.pump(w.create(g, fmt.Sprintf("i-count-%d", i)), "topic")
		if i < usageBusy {
			l.busy = append(l.busy, p)
		} else {
			l.idle = append(l.idle, p)
		}
	}
	<-time.After(time.Second)
	for _, p := range l.idle {
		p.stop(w.t)
		p.cl.Close() // with its connections: their seconds are counted too
	}
	return l
}

// exact lets the load pause, waits until what is metered is what was acknowledged, and
// prints how long that took from since on.
func (l *usageLoad) exact(what string, since time.Time) {
	l.w.t.Helper()
	for _, p := range l.busy {
		p.quiet(l.w.t)
	}
	settles(l.w.t, usageLimit, func(ctx context.Context) (string, bool) {
		good := true
		var out strings.Builder
		var clients, metered [2]int64
		for _, p := range append(l.busy[:len(l.busy):len(l.busy)], l.idle...) {
			all, err := l.u.of(ctx, p.id)
			if err != nil {
				return err.Error(), false
			}
			records, bytes := all[""][metering.ProduceRecords], all[""][metering.ProduceBytes]
			if records != p.records.Load() || bytes != p.bytes.Load() {
				good = false
				fmt.Fprintf(&out, "%s: %d records, %d bytes acknowledged; %d, %d metered\n", p.id, p.records.Load(), p.bytes.Load(), records, bytes)
			}
			clients[0] += p.records.Load()
			clients[1] += p.bytes.Load()
			metered[0] += records
			metered[1] += bytes
		}
		fmt.Fprintf(&out, "%s: %d instances: %d records, %d bytes acknowledged; %d records, %d bytes metered; after %s", what,
			len(l.busy)+len(l.idle), clients[0], clients[1], metered[0], metered[1], time.Since(since).Round(100*time.Millisecond))
		return out.String(), good
	})
	for _, p := range l.busy {
		p.paused.Store(false)
	}
}

// end stops the load and says what it was like for the clients.
func (l *usageLoad) end(gateways ...*gateway) {
	l.w.t.Helper()
	for _, p := range l.busy {
		p.stop(l.w.t)
	}
	for _, g := range gateways {
		l.w.t.Logf("%s: %v heals, %v counts pushed", g.admin, l.w.metric(g, "weir_usage_heals_total"), l.w.metric(g, "weir_usage_pushed_total"))
	}
}

// TestUsageRedisLoses: Redis forgets all, goes back to an old dump, is away for minutes
// (operations.md F13, F14). Clients do not notice, and no count is missing or too much.
func TestUsageRedisLoses(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, parts.StartKafka(t, 1))
	g1, g2 := w.start("g1"), w.start("g2")
	load := w.usageLoad(g1)
	load.exact("at the start", time.Now())

	<-time.After(3 * time.Second)
	w.redis.Do("FLUSHALL")
	load.exact("FLUSHALL under load", time.Now())

	dump := w.redis.Dump()
	<-time.After(5 * time.Second)
	load.exact("before the dump is restored", time.Now())
	w.redis.Restore(dump)
	load.exact("an old dump restored", time.Now())

	w.redis.Kill()
	<-time.After(time.Duration(*usageAway * float64(time.Minute)))
	w.redis.Start()
	load.exact(fmt.Sprintf("Redis away for %g minutes", *usageAway), time.Now())

	// Nobody counts anything while it happens.
	for _, p := range load.busy {
		p.quiet(t)
	}
	w.redis.Do("FLUSHALL")
	load.exact("FLUSHALL while nothing is counted", time.Now())
	load.end(g1, g2)
}
