//go:build real

package e2e

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
	"weir/tenancy"
)

var throttleMinutes = flag.Float64("throttle-minutes", 0.7, "how long TestThrottledClients throttles; 10 for numbers that are to be told")

// What an instance of TestThrottledClients may use, and what its records are: at pace
// they are three times the one, and what is written is three times the other.
const (
	throttledRecord  = 3000
	throttledProduce = 200_000 // bytes a second
	throttledFetch   = 66_000
)

// late is what libraries tell for people when something took too long.
var late = regexp.MustCompile(`(?i)timed? ?out|session|expired`)

// TestThrottledClients lets three libraries produce and consume in a group at three
// times their quotas, over three gateways: none of them may see an error, a time-out
// or a rebalance (issue 6).
func TestThrottledClients(t *testing.T) {
	w := newWorld(t)
	var first *gateway
	for i := range 3 {
		if g := w.start(fmt.Sprintf("g%d", i+1)); first == nil {
			first = g
		}
	}
	t.Setenv("LOAD_BYTES", fmt.Sprint(throttledRecord))
	var loads []*load
	var ids []tenancy.InstanceID
	for _, lib := range []struct {
		id, topic string
		start     func(instance) *load
	}{
		{"i-throttled-franz", "franz", w.franz},
		{"i-throttled-java", "java", w.java},
		{"i-throttled-rdkafka", "rdkafka", w.librdkafka},
	} {
		in := w.create(first, lib.id)
		setup := w.client(in)
		w.createTopic(setup, lib.topic, 3)
		setup.Close()
		ids = append(ids, tenancy.InstanceID(lib.id))
		w.limit(tenancy.InstanceID(lib.id), throttledProduce, throttledFetch)
		loads = append(loads, lib.start(in))
	}
	for _, l := range loads {
		parts.Await(t, l.name+" is at its pace", 2*time.Minute, l.running)
	}
	measure(loads, throttled)
	length := time.Duration(*throttleMinutes * float64(time.Minute))
	begin := time.Now()
	<-time.After(length)
	took := time.Since(begin)
	var out strings.Builder
	for _, l := range loads {
		// What is acknowledged is records, what is charged is requests: more than these.
		share := float64(l.measured(throttled)) * throttledRecord / throttledProduce / took.Seconds()
		fmt.Fprintf(&out, "%s: %.1f %% of its quota acknowledged in %s\n", l.name, share*100, took.Round(time.Second))
		if share > 1.1 || share < 0.5 {
			t.Errorf("%s: %.1f %% of its quota was acknowledged, want 50 to 110 %%: is it throttled?", l.name, share*100)
		}
	}
	measure(loads, "ending")
	for _, l := range loads {
		l.stop()
	}
	for _, id := range ids { // in force at once: what was not read yet is read now
		w.limit(id, 1<<30, 1<<30)
	}
	for _, l := range loads {
		parts.Await(t, l.name+" has read what was acknowledged", 3*time.Minute, l.complete)
		l.undisturbed(&out)
		l.end()
		l.close(&out)
	}
	t.Log("\n" + out.String())
}

// limit changes what an instance may use.
func (w *world) limit(id tenancy.InstanceID, produce, fetch float64) {
	w.t.Helper()
	store := tenancy.NewStore(w.redisClient())
	rev, err := store.ChangeLimits(w.t.Context(), id, tenancy.Limits{
		tenancy.LimitProduceBytes: {Value: produce}, tenancy.LimitFetchBytes: {Value: fetch},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	if n, of, err := store.WaitApplied(ctx, rev); err != nil || n != of {
		w.t.Fatalf("limits of %s are in force on %d of %d gateways: %v", id, n, of, err)
	}
}

// undisturbed fails for what a throttled client must not see.
func (l *ledger) undisturbed(out *strings.Builder) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	timeouts := 0
	for text, n := range l.info {
		if late.MatchString(text) {
			timeouts += n
			l.t.Errorf("%s: %d times: %s", l.name, n, text)
		}
	}
	for _, text := range l.rebalances {
		l.t.Errorf("%s: rebalance: %s", l.name, text)
	}
	fmt.Fprintf(out, "%s: %d errors, %d time-outs, %d rebalances, %d disconnects\n", l.name, len(l.errors), timeouts, len(l.rebalances), l.disconnects)
}
