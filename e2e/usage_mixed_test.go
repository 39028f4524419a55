//go:build real

package e2e

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
	"weir/metering"
)

var usageMinutes = flag.Float64("usage-minutes", 0.2, "how long TestUsageMixed produces; 5 for numbers that are to be told")

// TestUsageMixed lets clients of all kinds produce over two gateways: what the clients
// know to be acknowledged, what is metered and what is in the logs of three brokers is
// the same, to the byte (issue 7). Where a client may write twice what it is told of
// once, acknowledged ≤ metered ≤ appended holds.
func TestUsageMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.more += "metering: {breakdown: [topic]}\n"
	g := w.start("g1")
	w.start("g2")
	u := w.usage()
	in := w.create(g, "i-mixed")
	kinds := w.mixedKinds(in)
	var loads []*load
	var others []instance
	for i, start := range []func(instance) *load{w.java, w.librdkafka} {
		topic := []string{"java", "rdkafka"}[i]
		other := w.create(g, "i-mixed-"+topic)
		setup := w.client(other)
		w.createTopic(setup, topic, 3)
		setup.Close()
		others = append(others, other)
		loads = append(loads, start(other))
	}
	for _, l := range loads {
		parts.Await(t, l.name+" is at its pace", 2*time.Minute, l.running)
	}
	<-time.After(time.Duration(*usageMinutes * float64(time.Minute)))
	for _, k := range kinds {
		k.stop(t)
	}
	for _, l := range loads {
		l.stop()
		parts.Await(t, l.name+" has read what was acknowledged", 2*time.Minute, l.complete)
		l.end()
	}
	cl := w.direct()
	settles(t, usageLimit, func(ctx context.Context) (string, bool) { return w.mixedProduced(ctx, u, cl, in, kinds) })
	for i, l := range loads {
		settles(t, usageLimit, func(ctx context.Context) (string, bool) { return w.loadProduced(ctx, u, cl, others[i], l) })
	}
	w.mixedFetched(u, cl, in, kinds)
}

// mixedKind is one way to produce. Exact: what is acknowledged is what is appended.
type mixedKind struct {
	*pump
	exact bool
}

func (w *world) mixedKinds(in instance) (all []mixedKind) {
	exact := func(name string, opts ...kgo.Opt) { all = append(all, mixedKind{w.pump(in, name, opts...), true}) }
	for name, codec := range map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		exact(name, kgo.ProducerBatchCompression(codec))
	}
	exact("none")
	exact("plain", kgo.DisableIdempotentWrite())
	exact("acks-1", kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	exact("acks-0", kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	exact("txn", kgo.TransactionalID("txn"))
	// A batch that comes again is appended once, and counted once, by whatever gateway.
	exact("retries", w.lossy()...)
	all = append(all, mixedKind{w.pump(in, "retries-plain", append(w.lossy(), kgo.DisableIdempotentWrite())...), false})
	return all
}

// mixedProduced prints three sides, topic by topic, and says whether they agree.
func (w *world) mixedProduced(ctx context.Context, u *usage, cl *kgo.Client, in instance, kinds []mixedKind) (string, bool) {
	metered, err := u.of(ctx, in.id)
	if err != nil {
		return err.Error(), false
	}
	var out strings.Builder
	good := true
	var sum metering.Values
	fmt.Fprintf(&out, "%-14s %31s %31s %31s\n%-14s %31s %31s %31s\n", "", "clients: acknowledged", "Weir: metered", "Kafka: in the log",
		"topic", "records      bytes", "records      bytes", "records      bytes")
	for _, k := range kinds {
		log, err := w.logged(ctx, cl, in.id, k.name, k.txn)
		if err != nil {
			return err.Error(), false
		}
		m := metered["topic="+k.name]
		sum = sum.Plus(m)
		records, bytes := m[metering.ProduceRecords], m[metering.ProduceBytes]
		equal := records == log.records && bytes == log.bytes && records == k.records.Load() && bytes == k.bytes.Load()
		within := k.records.Load() <= records && records <= log.records && k.bytes.Load() <= bytes && bytes <= log.bytes
		if wantTxn := records; k.txn != (m[metering.TransactionalRecords] == wantTxn) {
			good = false
		}
		good = good && within && (equal || !k.exact)
		fmt.Fprintf(&out, "%-14s %15d %15d %15d %15d %15d %15d%s\n", k.name, k.records.Load(), k.bytes.Load(), records, bytes,
			log.records, log.bytes, verdict(equal, within))
	}
	whole := metered[""]
	fmt.Fprintf(&out, "%-14s %15s %15s %15d %15d   (sum of topics %d %d)\n", "instance", "", "", whole[metering.ProduceRecords],
		whole[metering.ProduceBytes], sum[metering.ProduceRecords], sum[metering.ProduceBytes])
	good = good && whole[metering.ProduceBytes] == sum[metering.ProduceBytes] && whole[metering.ProduceRecords] == sum[metering.ProduceRecords]
	return out.String(), good
}

func verdict(equal, within bool) string {
	switch {
	case equal:
		return "  equal"
	case within:
		return "  ≤ ≤"
	}
	return "  WRONG"
}

// loadProduced is mixedProduced of a library that tells its records only.
func (w *world) loadProduced(ctx context.Context, u *usage, cl *kgo.Client, in instance, l *load) (string, bool) {
	metered, err := u.of(ctx, in.id)
	if err != nil {
		return err.Error(), false
	}
	topic := strings.TrimPrefix(in.id, "i-mixed-")
	log, err := w.logged(ctx, cl, in.id, topic, false)
	if err != nil {
		return err.Error(), false
	}
	l.mu.Lock()
	acked, read := int64(len(l.acked)), int64(l.reads)
	l.mu.Unlock()
	m := metered[""]
	text := fmt.Sprintf("%s: %d records acknowledged, %d metered, %d in the log; %d bytes metered, %d in the log; %d records read, %d metered; %d bytes fetched\n",
		l.name, acked, m[metering.ProduceRecords], log.records, m[metering.ProduceBytes], log.bytes, read, m[metering.FetchRecords], m[metering.FetchBytes])
	// A consumer may be sent again what it had: after a rebalance, or where it stops.
	return text, acked == m[metering.ProduceRecords] && acked == log.records && m[metering.ProduceBytes] == log.bytes && read <= m[metering.FetchRecords]
}

// mixedFetched reads every topic once, and prints both sides.
func (w *world) mixedFetched(u *usage, cl *kgo.Client, in instance, kinds []mixedKind) {
	read := map[string]*tally{}
	for _, k := range kinds {
		read[k.name] = w.readAll(cl, in, k.name, k.txn)
	}
	settles(w.t, usageLimit, func(ctx context.Context) (string, bool) {
		metered, err := u.of(ctx, in.id)
		if err != nil {
			return err.Error(), false
		}
		var out strings.Builder
		good := true
		fmt.Fprintf(&out, "%-14s %31s %31s\n%-14s %31s %31s\n", "", "consumer: read", "Weir: metered", "topic", "records      bytes", "records      bytes")
		for _, k := range kinds {
			m, c := metered["topic="+k.name], read[k.name]
			equal := m[metering.FetchRecords] == c.readRecords.Load() && m[metering.FetchBytes] == c.readBytes.Load()
			good = good && equal
			fmt.Fprintf(&out, "%-14s %15d %15d %15d %15d%s\n", k.name, c.readRecords.Load(), c.readBytes.Load(),
				m[metering.FetchRecords], m[metering.FetchBytes], verdict(equal, false))
		}
		return out.String(), good
	})
}

// readAll reads a topic to its end, as the tenant.
func (w *world) readAll(direct *kgo.Client, in instance, topic string, txn bool) *tally {
	w.t.Helper()
	log, err := w.logged(w.t.Context(), direct, in.id, topic, txn)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &tally{}
	cl := w.client(in, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.WithHooks(c), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(100<<20), kgo.FetchMaxPartitionBytes(50<<20)) // nothing is cut off at the end of an answer
	defer cl.Close()
	settlesQuietly(w.t, topic+" is read to its end", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if r.Attrs.IsControl() {
				c.control.Add(1)
			} else {
				c.readRecords.Add(1)
			}
		})
		return c.readRecords.Load() == log.records && c.control.Load() == log.control
	})
	return c
}
