//go:build real

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestFirstRecord measures from POST /v1/instances to the first acknowledged
// record of a client that waits for the answer. It asserts only that it works;
// the numbers are printed.
func TestFirstRecord(t *testing.T) {
	w := newWorld(t)
	g := w.start("g1")
	w.start("g2")
	var call, topic, ack, all []time.Duration
	for i := range *times {
		begin := time.Now()
		in := w.create(g, fmt.Sprintf("i-first%02d", i))
		call = append(call, time.Since(begin))
		cl := w.client(in)
		at := time.Now()
		w.createTopic(cl, "t", 1)
		topic = append(topic, time.Since(at))
		at = time.Now()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("first")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		ack = append(ack, time.Since(at))
		all = append(all, time.Since(begin))
		cl.Close()
		w.call(g, http.MethodGet, "/v1/instances/"+in.id, "", http.StatusOK, nil)
	}
	t.Logf("the same two directly on Kafka, plaintext: %s", spread(w.firstRecordsDirect(*times)))
	t.Logf("POST /v1/instances, 2 gateways: %s", spread(call))
	t.Logf("connect, log in and create a topic: %s", spread(topic))
	t.Logf("produce the first record: %s", spread(ack))
	t.Logf("POST to the first acknowledged record (topic created by the client): %s", spread(all))
}

// firstRecordsDirect is what the pool itself takes, without a gateway: create a
// topic, produce the first record.
func (w *world) firstRecordsDirect(n int) []time.Duration {
	w.t.Helper()
	var all []time.Duration
	for i := range n {
		begin := time.Now()
		cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Bootstrap()...))
		if err != nil {
			w.t.Fatal(err)
		}
		topic := fmt.Sprintf("direct%d", i)
		w.createTopic(cl, topic, 1)
		if err := cl.ProduceSync(w.t.Context(), &kgo.Record{Topic: topic, Value: []byte("first")}).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, time.Since(begin))
		cl.Close()
	}
	return all
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	at := func(p int) time.Duration { return d[min(len(d)-1, len(d)*p/100)].Round(100 * time.Microsecond) }
	return fmt.Sprintf("min %s  p50 %s  p90 %s  max %s  (n=%d)", at(0), at(50), at(90), at(100), len(d))
}
