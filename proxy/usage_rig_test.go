package proxy

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/metering"
	"weir/tenancy"
)

// meteredRig is a rig whose server counts.
type meteredRig struct {
	*rig
	book *metering.Book
}

func newMeteredRig(t *testing.T, b Breakdown, change ...func(*Config)) meteredRig {
	t.Helper()
	book, err := metering.NewBook(metering.Config{Gateway: "g"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, append(change, func(cfg *Config) { cfg.Usage, cfg.Breakdown = book, b })...)
	return meteredRig{r, book}
}

// partUse is what was counted of a part; "" is the whole.
type partUse map[string]metering.Values

// used is what was counted of an instance, of all plans together if plan is "".
func (r meteredRig) used(id, plan string) partUse {
	r.t.Helper()
	r.srv.conns.each(func(c *conn) { c.countWire() })
	all := partUse{}
	for c, err := range r.book.All(0) {
		if err != nil {
			r.t.Fatal(err)
		}
		if c.Instance == tenancy.InstanceID("i-"+id) && (plan == "" || plan == c.Plan) {
			all[c.Line.Part] = all[c.Line.Part].Plus(c.Values)
		}
	}
	return all
}

// whole is what was counted of an instance as a whole.
func (r meteredRig) whole(id string) metering.Values { return r.used(id, "")[""] }

// wantParts wants each kind of parts to add up to the whole.
func (r meteredRig) wantParts(id string, kinds ...string) {
	r.t.Helper()
	all := r.used(id, "")
	for _, kind := range kinds {
		sum := metering.Values{}
		for part, v := range all {
			if len(part) >= len(kind) && part[:len(kind)] == kind {
				sum = sum.Plus(v)
			}
		}
		for _, m := range []metering.Meter{metering.ProduceBytes, metering.ProduceRecords, metering.FetchBytes, metering.FetchRecords} {
			if sum[m] != all[""][m] {
				r.t.Errorf("%s of all parts by %s: %d, of the whole %d", m, kind, sum[m], all[""][m])
			}
		}
	}
}

// log is how many bytes of batches and which end offsets, added up, topics of the pool have.
func (r meteredRig) log(physical ...string) (bytes, offsets int64) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	seen := &batchHook{}
	cl := r.direct(kgo.ConsumeTopics(physical...), kgo.WithHooks(seen), kgo.KeepControlRecords())
	defer cl.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for _, name := range physical {
		meta := kmsg.NewPtrMetadataRequest()
		meta.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		got, err := meta.RequestWith(ctx, cl)
		if err != nil {
			r.t.Fatal(err)
		}
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = name
		for i := range got.Topics[0].Partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = int32(i), -1
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			r.t.Fatal(shard.Err)
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range topic.Partitions {
				offsets += p.Offset
			}
		}
	}
	for {
		if _, _, records := seen.sums(); records >= offsets {
			break
		}
		if err := cl.PollFetches(ctx).Err(); err != nil {
			r.t.Fatal(err)
		}
	}
	_, bytes, _ = seen.sums()
	return bytes, offsets
}

// batchHook counts what a franz-go client says that it has produced, or fetched: bytes
// of whole batches.
type batchHook struct {
	mu                      sync.Mutex
	batches, bytes, records int64
}

// batchOverhead is the header of a batch, which the metrics leave out.
const batchOverhead = 61

func (h *batchHook) add(bytes, records int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches++
	h.bytes += int64(bytes + batchOverhead)
	h.records += int64(records)
}

func (h *batchHook) sums() (batches, bytes, records int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.batches, h.bytes, h.records
}

func (h *batchHook) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	h.add(m.CompressedBytes, m.NumRecords)
}

func (h *batchHook) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	h.add(m.CompressedBytes, m.NumRecords)
}

// talliedConn counts the bytes that pass it.
type talliedConn struct {
	net.Conn
	mu          sync.Mutex
	read, wrote int64
}

func (c *talliedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += int64(n)
	return n, err
}

func (c *talliedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrote += int64(n)
	return n, err
}

func (c *talliedConn) sums() (read, wrote int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read, c.wrote
}
