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
	var call, all []time.Duration
	for i := range 30 {
		begin := time.Now()
		in := w.create(g, fmt.Sprintf("i-first%02d", i))
		call = append(call, time.Since(begin))
		cl := w.client(in)
		w.createTopic(cl, "t", 1)
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("first")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		all = append(all, time.Since(begin))
		cl.Close()
		w.call(g, http.MethodGet, "/v1/instances/"+in.id, "", http.StatusOK, nil)
	}
	t.Logf("POST /v1/instances, 2 gateways: %s", spread(call))
	t.Logf("POST to the first acknowledged record (topic created by the client): %s", spread(all))
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	at := func(p int) time.Duration { return d[min(len(d)-1, len(d)*p/100)].Round(100 * time.Microsecond) }
	return fmt.Sprintf("min %s  p50 %s  p90 %s  max %s  (n=%d)", at(0), at(50), at(90), at(100), len(d))
}
