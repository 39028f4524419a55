//go:build real

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
	"weir/metering"
	"weir/tenancy"
)

// TestUsageRolling replaces gateways one after the other under load, and then stops all
// of them: nothing is missing or too much, and the hours seal complete.
func TestUsageRolling(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, parts.StartKafka(t, 1))
	old := []*gateway{w.start("g1"), w.start("g2")}
	u := w.usage()
	pumps := []*pump{
		w.pump(w.create(old[0], "i-rolled-idempotent"), "idempotent"),
		w.pump(w.create(old[0], "i-rolled-plain"), "plain", kgo.DisableIdempotentWrite()),
		w.pump(w.create(old[0], "i-rolled-txn"), "txn", kgo.TransactionalID("txn")),
	}
	for round := range rounds {
		<-time.After(time.Second)
		next := w.start(fmt.Sprintf("g%d", 3+round))
		t.Logf("round %d: drained in %s", round+1, w.end(old[0]))
		old = append(old[1:], next)
	}
	for _, p := range pumps {
		p.stop(t)
	}
	for _, g := range old {
		w.end(g)
	}
	cl := w.direct()
	// At once: the last gateway pushed what there was before it ended.
	settles(t, 10*time.Second, func(ctx context.Context) (string, bool) {
		var out strings.Builder
		good := true
		for _, p := range pumps {
			all, err := u.of(ctx, p.id)
			if err != nil {
				return err.Error(), false
			}
			log, err := w.logged(ctx, cl, p.id, p.name, p.txn)
			if err != nil {
				return err.Error(), false
			}
			records, bytes := all[""][metering.ProduceRecords], all[""][metering.ProduceBytes]
			equal := records == p.records.Load() && bytes == p.bytes.Load() && records == log.records && bytes == log.bytes
			good = good && equal
			fmt.Fprintf(&out, "%-12s acknowledged %8d records %11d bytes, metered %8d %11d, appended %8d %11d%s\n", p.name,
				p.records.Load(), p.bytes.Load(), records, bytes, log.records, log.bytes, verdict(equal, false))
		}
		return out.String(), good
	})
	w.sealed(u, pumps)
}

// sealed seals the hours of a story on the real Redis as if they were long over, and holds
// the records against the clients' own counts.
func (w *world) sealed(u *usage, pumps []*pump) {
	w.t.Helper()
	last := metering.HourOf(time.Now())
	ahead := time.Until(last.End().Add(metering.SealAfter + time.Minute))
	now := func() time.Time { return time.Now().Add(ahead) }
	store := metering.NewStore(metering.StoreConfig{Redis: u.rdb, Now: now})
	records := metering.NewRecordStore(metering.RecordStoreConfig{Redis: u.rdb, Store: store, Now: now})
	sealer := metering.NewSealer(metering.SealerConfig{
		Records: records, Store: store, Gateway: "story", Now: now,
		HealWait: time.Millisecond, LateWait: time.Millisecond, Settle: time.Millisecond,
	})
	settles(w.t, usageLimit, func(ctx context.Context) (string, bool) {
		sealer.Round(ctx)
		through, ok, err := records.SealedThrough(ctx)
		return fmt.Sprintf("sealed through %s, %v", through, err), ok && through >= last
	})
	for _, p := range pumps {
		var sum metering.Values
		complete, n, gateways := true, 0, 0
		for r, err := range records.Records(w.t.Context(), metering.Query{Instance: tenancy.InstanceID(p.id), From: u.since, To: last + 1}) {
			if err != nil {
				w.t.Fatal(err)
			}
			sum, n, gateways = sum.Plus(r.Values), n+1, max(gateways, r.Gateways)
			complete = complete && r.Complete
		}
		chain, err := records.Verify(w.t.Context(), tenancy.InstanceID(p.id))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Logf("%s: %d records sealed of %d gateways, complete %v: %d records, %d bytes; chain of %d, broken %v", p.name, n, gateways, complete,
			sum[metering.ProduceRecords], sum[metering.ProduceBytes], chain.Records, chain.Broken)
		if !complete || sum[metering.ProduceRecords] != p.records.Load() || sum[metering.ProduceBytes] != p.bytes.Load() || chain.Broken != nil {
			w.t.Errorf("%s: want %d records, %d bytes, complete, in a whole chain", p.name, p.records.Load(), p.bytes.Load())
		}
	}
}
