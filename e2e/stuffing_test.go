//go:build real

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

const (
	stuffingWindow = 4 * time.Second
	goodClients    = 4
	goodEvery      = 10 * time.Millisecond // each of them
)

// stuffingWindows is how many windows of each kind there are. The ratio that a run
// with one of them prints under the race detector, beside others, means nothing: measure
// on a quiet machine, without -race, with 10.
var stuffingWindows = flag.Int("stuffing-windows", 1, "windows of TestCredentialStuffing, of each kind")

// TestCredentialStuffing sends 500 wrong passwords a second at a user that there
// is, while clients of the same instance work: quiet windows, such in which the attack
// goes to another gateway on this machine, and attacked ones take turns. It prints the
// ratios of their p99, which are measurements and not asserted; that nobody gets in and
// no good client fails is.
func TestCredentialStuffing(t *testing.T) {
	w := newWorldOn(t, parts.StartKafka(t, 1))
	g := w.start("g1")
	in := w.create(g, "i-good")
	w.createTopic(w.client(in), "good", goodClients)
	decoy := newWorldWith(t, w.kafka, w.redisURL)
	decoy.start("decoy")
	for _, from := range []int{1, 200} { // attacker's addresses
		t.Run(fmt.Sprintf("from %d addresses", from), func(t *testing.T) {
			windows := []*stuffing{
				{what: "quiet"},
				{what: "decoy", attack: stuffer{Address: decoy.bootstrap(), From: from}},
				{what: "attacked", attack: stuffer{Address: w.bootstrap(), From: from}},
			}
			for range *stuffingWindows {
				for _, s := range windows {
					s.run(t, w, g, in)
				}
			}
			_, quiet := quantiles(windows[0].took)
			for _, s := range windows {
				p50, p99 := quantiles(s.took)
				t.Logf("%-8s  p50 %v p99 %v (ratio %.2f), %d produced, gateway %.2f CPU s; %d attempts: %d told that the password is wrong, %d closed before that, %d got in",
					s.what, p50, p99, float64(p99)/float64(quiet), len(s.took), s.cpu, s.result.Attempts, s.result.Wrong, s.result.Closed, s.result.Entered)
				if s.result.Entered > 0 {
					t.Errorf("%d attempts got in", s.result.Entered)
				}
				if s.attack.From > 0 && s.result.Attempts == 0 {
					t.Error("no attempt was made")
				}
			}
		})
	}
}

// stuffing is all windows of a kind.
type stuffing struct {
	what   string
	attack stuffer // From 0: none

	took   []time.Duration // to produce a record each
	cpu    float64         // seconds, of the gateway
	result attacked
}

func (s *stuffing) run(t *testing.T, w *world, g *gateway, in instance) {
	t.Helper()
	stop := func() attacked { return attacked{} }
	if s.attack.From > 0 {
		stop = s.attack.start(t)
	}
	before := cpuSeconds(t, g.Pid())
	s.took = append(s.took, goodWork(t, w, in)...)
	s.cpu += cpuSeconds(t, g.Pid()) - before
	s.result.add(stop())
}

// goodWork produces for one window, at a pace, and returns how long each record took
// since it was its turn.
func goodWork(t *testing.T, w *world, in instance) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stuffingWindow)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var workers sync.WaitGroup
	for i := range goodClients {
		cl, err := kgo.NewClient(w.options(in, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "good", Partition: int32(i)}).FirstErr(); err != nil {
			t.Fatal(err) // it is connected now
		}
		workers.Go(func() {
			for due := time.Now(); ctx.Err() == nil; due = due.Add(goodEvery) {
				<-time.After(time.Until(due))
				cl.Produce(t.Context(), &kgo.Record{Topic: "good", Partition: int32(i), Value: make([]byte, 100)}, func(_ *kgo.Record, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Errorf("a good client: %v", err)
					}
					all = append(all, time.Since(due))
				})
			}
			_ = cl.Flush(t.Context())
		})
	}
	workers.Wait()
	return all
}

// quantiles are the 50th and the 99th.
func quantiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond)
}

// cpuSeconds is what a process has used so far (proc(5): utime and stime, 100 a second).
func cpuSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var sum float64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseFloat(string(f), 64)
		sum += n
	}
	return sum / 100
}
