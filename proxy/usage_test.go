package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/metering"
)

// wantProduced wants what was metered to be what the client's own hooks say and what is
// in the log.
func (r meteredRig) wantProduced(id string, hook *batchHook, topics ...string) {
	r.t.Helper()
	v := r.whole(id)
	_, bytes, records := hook.sums()
	if v[metering.ProduceBytes] != bytes || v[metering.ProduceRecords] != records || records == 0 {
		r.t.Errorf("metered %d bytes and %d records, the client has %d and %d", v[metering.ProduceBytes], v[metering.ProduceRecords], bytes, records)
	}
	for i := range topics {
		topics[i] = "i-" + id + "." + topics[i]
	}
	if inLog, offsets := r.log(topics...); inLog != bytes || offsets != records {
		r.t.Errorf("the log has %d bytes and offset %d, the client has %d and %d", inLog, offsets, bytes, records)
	}
}

// What producers of all codecs have been acknowledged is metered, to the byte.
func TestMeteredIsWhatIsAcknowledged(t *testing.T) {
	r := newMeteredRig(t, Breakdown{User: true, Topic: true})
	hook := &batchHook{}
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		for acks, opts := range map[string][]kgo.Opt{
			"idempotent": {kgo.RequiredAcks(kgo.AllISRAcks())},
			"all":        {kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite()},
			"leader":     {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		} {
			cl := r.client("a", append(opts, kgo.ProducerBatchCompression(codec), kgo.WithHooks(hook))...)
			for i := range 60 {
				rec := &kgo.Record{Topic: []string{"orders", "events"}[i%2], Key: fmt.Append(nil, i), Value: []byte(strings.Repeat(name+acks, i))}
				cl.Produce(t.Context(), rec, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
			if err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			cl.Close()
		}
	}
	r.wantProduced("a", hook, "orders", "events")
	r.wantParts("a", "user", "topic")
	if n := r.whole("a")[metering.TransactionalRecords]; n != 0 {
		t.Errorf("%d transactional records", n)
	}
	if v := r.whole("b"); !v.IsZero() {
		t.Errorf("another instance has used %v", v)
	}
}

// With acks=0 what was forwarded counts: all of it is in the log in the end.
func TestMeteredWithoutAcknowledgement(t *testing.T) {
	r := newMeteredRig(t, Breakdown{Topic: true})
	cl := r.client("a", kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil { // makes the topic
		t.Fatal(err)
	}
	for i := range 200 {
		cl.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: fmt.Append(nil, i)}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is forwarded", func() bool { return r.whole("a")[metering.ProduceRecords] == 201 })
	cl.Close()
	eventually(t, "the session has ended", func() bool { return r.srv.Connections() == 0 })
	v := r.whole("a")
	if bytes, offsets := r.log("i-a.orders"); bytes != v[metering.ProduceBytes] || offsets != 201 {
		t.Errorf("the log has %d bytes and %d records, metered %v", bytes, offsets, v)
	}
	r.wantParts("a", "topic")
}

// Records of transactions count, of aborted ones too: they are in the log. Markers are
// nobody's, and their bytes are fetched with the rest.
func TestMeteredTransactions(t *testing.T) {
	r := newMeteredRig(t, Breakdown{})
	hook := &batchHook{}
	cl := r.client("a", kgo.TransactionalID("t"), kgo.WithHooks(hook), kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	const rounds = 6
	for i := range rounds {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x"), kgo.StringRecord("y")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	v := r.whole("a")
	_, bytes, records := hook.sums()
	if v[metering.ProduceBytes] != bytes || v[metering.ProduceRecords] != 2*rounds || records != 2*rounds || v[metering.TransactionalRecords] != 2*rounds {
		t.Errorf("metered %v, the client has %d bytes and %d records", v, bytes, records)
	}
	inLog, offsets := r.log("i-a.orders")
	if offsets != 3*rounds {
		t.Fatalf("the log ends at %d, want a marker for each transaction: %d", offsets, 3*rounds)
	}
	reader := r.client("a", kgo.ConsumeTopics("orders"))
	for n := 0; n < 2*rounds; {
		n += reader.PollFetches(t.Context()).NumRecords()
	}
	eventually(t, "the last marker is fetched", func() bool { return r.whole("a")[metering.FetchBytes] == inLog })
	if n := r.whole("a")[metering.FetchRecords]; n != 2*rounds {
		t.Errorf("%d records fetched, want %d: markers are none", n, 2*rounds)
	}
}

// What consumers are answered is metered, to the byte, for each of them.
func TestMeteredIsWhatIsFetched(t *testing.T) {
	r := newMeteredRig(t, Breakdown{User: true, Topic: true})
	cl := r.client("a", kgo.ProducerBatchMaxBytes(2000))
	var records []*kgo.Record
	for i := range 900 {
		records = append(records, &kgo.Record{Topic: []string{"orders", "events", "jobs"}[i%3], Value: []byte(strings.Repeat("v", i))})
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	hook := &batchHook{}
	for _, opts := range [][]kgo.Opt{{}, {kgo.FetchMaxBytes(3000), kgo.FetchMaxPartitionBytes(500)}, {kgo.ConsumerGroup("g")}} {
		reader := r.client("a", append(opts, kgo.ConsumeTopics("orders", "events", "jobs"), kgo.WithHooks(hook), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		for n := 0; n < len(records); {
			fetches := reader.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			n += fetches.NumRecords()
		}
		reader.Close()
	}
	v := r.whole("a")
	if _, bytes, n := hook.sums(); v[metering.FetchBytes] != bytes || v[metering.FetchRecords] != n || n < int64(3*len(records)) {
		t.Errorf("metered %d bytes and %d records, the clients have %d and %d", v[metering.FetchBytes], v[metering.FetchRecords], bytes, n)
	}
	r.wantParts("a", "user", "topic")
}

// Share groups fetch too.
func TestMeteredShareFetch(t *testing.T) {
	r := newMeteredRig(t, Breakdown{Topic: true})
	cl := r.client("a")
	const n = 50
	for i := range n {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "jobs", Value: fmt.Append(nil, "a", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	readFromTheStart(t, cl, "workers")
	worker := r.client("a", kgo.ShareGroup("workers"), kgo.ConsumeTopics("jobs"))
	workOff(t.Context(), t, worker, "a", map[string]bool{}, n)
	worker.Close()
	v := r.whole("a")
	if v[metering.FetchBytes] != v[metering.ProduceBytes] || v[metering.FetchRecords] != n {
		t.Errorf("fetched %d bytes and %d records, produced %d and %d", v[metering.FetchBytes], v[metering.FetchRecords], v[metering.ProduceBytes], n)
	}
	r.wantParts("a", "topic")
}
