//go:build real

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestFirstRecordAsInstance prints how long a client needs from nothing to its first record
// acknowledged: as the gateway in the pool, and as its instance.
func TestFirstRecordAsInstance(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"gateway", "instance"} {
		t.Run(mode, func(t *testing.T) {
			w := newWalledWorld(t, mode, 1)
			g := w.start("g1")
			begin := time.Now()
			in := w.create(g, "i-first")
			created := time.Since(begin)
			w.createTopic(w.client(in), "first", 1)
			var took []time.Duration
			for range 10 * *times {
				begin := time.Now()
				cl, err := kgo.NewClient(w.options(in, kgo.DefaultProduceTopic("first"))...)
				if err != nil {
					t.Fatal(err)
				}
				if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(begin))
				cl.Close()
			}
			slices.Sort(took)
			t.Logf("%s: created in %s; first record p50 %s, p90 %s, p99 %s", mode, created, took[len(took)/2], took[len(took)*9/10], took[len(took)*99/100])
		})
	}
}
