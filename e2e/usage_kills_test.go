//go:build real

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/metering"
)

var usageKills = flag.Int("usage-kills", 5, "how often TestUsageKills kills a gateway; 200 for numbers that are to be told")

// TestUsageKills kills one of two gateways at a random moment under load, again and again:
// after each, what was acknowledged to clients ≤ what is metered ≤ what is in the log
// (operations.md F01, I4). The next gateway starts in the same metering.dir.
func TestUsageKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateways := []*gateway{w.start("g0"), w.start("g1")}
	u := w.usage()
	cl := w.direct()
	pumps := []*pump{
		w.pump(w.create(gateways[0], "i-kill-idempotent"), "idempotent"),
		w.pump(w.create(gateways[0], "i-kill-plain"), "plain", kgo.DisableIdempotentWrite()),
		w.pump(w.create(gateways[0], "i-kill-acks-1"), "acks-1", kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())),
	}
	worst := map[string]excess{}
	for round := range *usageKills {
		<-time.After(time.Second + rand.N(time.Second))
		i := rand.IntN(len(gateways))
		gateways[i].Kill()
		if round%2 == 0 { // clients have only the other one for a while
			<-time.After(rand.N(time.Second))
		}
		gateways[i] = w.start(fmt.Sprintf("g%d", round+2))
		for _, p := range pumps {
			p.quiet(t)
		}
		settles(t, usageLimit, func(ctx context.Context) (string, bool) {
			found, text, err := w.excesses(ctx, u, cl, pumps)
			if err != nil {
				return err.Error(), false
			}
			for _, e := range found {
				if !e.within() {
					return text, false
				}
			}
			for name, e := range found {
				worst[name] = e.max(worst[name])
			}
			return fmt.Sprintf("kill %d:\n%s", round+1, text), true
		})
		for _, p := range pumps {
			p.paused.Store(false)
		}
	}
	for _, p := range pumps {
		p.stop(t)
		e := worst[p.name]
		t.Logf("%s: after %d kills, %d records acknowledged; largest excess: metered over acknowledged %d records, appended over metered %d",
			p.name, *usageKills, p.records.Load(), e.over, e.under)
		if p.name == "idempotent" && (e.over != 0 || e.under != 0) {
			t.Errorf("%s: what is appended once was not metered once: %+v", p.name, e)
		}
	}
}

// excess is by how much, in records, more is metered than was acknowledged, and less than
// was appended; of bytes it says only whether they are within.
type excess struct {
	over, under int64
	bytes       bool
}

func (e excess) within() bool { return e.over >= 0 && e.under >= 0 && e.bytes }

// max is the larger of each.
func (e excess) max(was excess) excess {
	return excess{over: max(e.over, was.over), under: max(e.under, was.under)}
}

// excesses are those of pumps that are quiet, as soon as what they produced is counted and
// the counts do not move any more.
func (w *world) excesses(ctx context.Context, u *usage, cl *kgo.Client, pumps []*pump) (map[string]excess, string, error) {
	before := map[string]metering.Values{}
	for _, p := range pumps {
		all, err := u.of(ctx, p.id)
		if err != nil {
			return nil, "", err
		}
		before[p.id] = all[""]
	}
	<-time.After(2500 * time.Millisecond) // a push and more
	found, text := map[string]excess{}, ""
	for _, p := range pumps {
		log, err := w.logged(ctx, cl, p.id, p.name, p.txn)
		if err != nil {
			return nil, "", err
		}
		all, err := u.of(ctx, p.id)
		if err != nil {
			return nil, "", err
		}
		records, bytes := all[""][metering.ProduceRecords], all[""][metering.ProduceBytes]
		if was := before[p.id]; was[metering.ProduceRecords] != records || was[metering.ProduceBytes] != bytes {
			return nil, "", fmt.Errorf("%s: counts still move", p.id)
		}
		found[p.name] = excess{
			over: records - p.records.Load(), under: log.records - records, bytes: p.bytes.Load() <= bytes && bytes <= log.bytes,
		}
		text += fmt.Sprintf("  %-12s acknowledged %8d records %11d bytes ≤ metered %8d %11d ≤ appended %8d %11d\n", p.name,
			p.records.Load(), p.bytes.Load(), records, bytes, log.records, log.bytes)
	}
	return found, text, nil
}
