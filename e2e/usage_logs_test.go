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
	"weir/upstream"
)

// TestUsageAgainstTheLogs compares what is metered with the ends of real logs, as a
// gateway does each hour: nothing is told but what was written beside the gateways.
func TestUsageAgainstTheLogs(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, 1)
	g := w.start("g1")
	u := w.usage()
	pumps := []*pump{
		w.pump(w.create(g, "i-log-idempotent"), "idempotent"),
		w.pump(w.create(g, "i-log-plain"), "plain", kgo.DisableIdempotentWrite()),
		w.pump(w.create(g, "i-log-txn"), "txn", kgo.TransactionalID("txn")),
	}
	logs := w.compared(u, pumps)
	metered := func() {
		t.Helper()
		settles(t, usageLimit, func(ctx context.Context) (text string, good bool) {
			good = true
			for _, p := range pumps {
				all, err := u.of(ctx, p.id)
				if err != nil {
					return err.Error(), false
				}
				records := all[""][metering.ProduceRecords]
				text += fmt.Sprintf("%s: %d acknowledged, %d metered\n", p.id, p.records.Load(), records)
				good = good && records >= p.records.Load()
			}
			return text, good
		})
	}
	for _, p := range pumps {
		p.quiet(t)
	}
	metered()
	logs.compare(t) // remembers
	for _, p := range pumps {
		p.paused.Store(false)
	}
	parts.Await(t, "more is produced", time.Minute, func() bool { return pumps[0].records.Load() > 1000 })
	for _, p := range pumps {
		p.stop(t)
	}
	metered()
	for id, c := range logs.compare(t) {
		t.Logf("%-16s %d appended, %d to %d metered, difference %d %s", id, c.Appended, c.MeteredLeast, c.MeteredMost, c.Difference, c.Note)
		if c.Difference != 0 || c.Appended == 0 || c.Since.IsZero() {
			t.Errorf("%s: %+v, want no difference", id, c)
		}
	}
	cl := w.direct()
	for range 7 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "i-log-plain.plain", Value: []byte("beside")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for id, c := range logs.compare(t) {
		want := int64(0)
		if id == "i-log-plain" {
			want = 7
		}
		if c.Difference != want {
			t.Errorf("%s: difference %d, want %d: %+v", id, c.Difference, want, c)
		}
	}
}

// comparing is a gateway's comparison that waits no longer than counts need.
type comparing struct {
	reconciler *metering.Reconciler
	records    *metering.RecordStore
	ids        []tenancy.InstanceID
}

func (w *world) compared(u *usage, pumps []*pump) *comparing {
	w.t.Helper()
	pool, err := upstream.NewPool(upstream.Config{Name: "main", Bootstrap: w.kafka.Bootstrap()})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
	parts.Await(w.t, "the pool is known", time.Minute, func() bool {
		select {
		case <-pool.Ready():
			return true
		default:
			return false
		}
	})
	c := &comparing{records: metering.NewRecordStore(metering.RecordStoreConfig{Redis: u.rdb, Store: u.store})}
	for _, p := range pumps {
		c.ids = append(c.ids, tenancy.InstanceID(p.id))
	}
	owner := func(_ tenancy.Kind, physical string) (tenancy.InstanceID, bool) {
		id, _, dotted := strings.Cut(physical, ".")
		return tenancy.InstanceID(id), dotted && strings.HasPrefix(id, "i-log-")
	}
	c.reconciler = metering.NewReconciler(metering.ReconcilerConfig{
		Records: c.records, Instances: func() []tenancy.InstanceID { return c.ids },
		Logs: func(ctx context.Context) (map[tenancy.InstanceID]metering.Logs, error) {
			ends, err := pool.EndOffsets(ctx, owner)
			all := map[tenancy.InstanceID]metering.Logs{}
			for id, topics := range ends {
				var l metering.Logs
				for _, e := range topics {
					l.Topics = append(l.Topics, metering.LogEnd{ID: e.ID, Name: e.Name, Records: e.Records, Known: e.Known})
				}
				all[id] = l
			}
			return all, err
		},
		Wait: func(context.Context, time.Duration) error {
			return nil // all is metered
		},
	})
	return c
}

func (c *comparing) compare(t *testing.T) map[tenancy.InstanceID]metering.Comparison {
	t.Helper()
	if err := c.reconciler.Compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := map[tenancy.InstanceID]metering.Comparison{}
	for _, id := range c.ids {
		one, ok, err := c.records.Comparison(t.Context(), id)
		if err != nil || !ok {
			t.Fatalf("%s was not compared: %v", id, err)
		}
		all[id] = one
	}
	return all
}
