//go:build real

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// What every copy of TestExactlyOnce works on: both instances use the same names.
const (
	eosSource  = "source"
	eosTarget  = "target"
	eosGroup   = "copiers"
	eosTxn     = "copier-1"
	eosRecords = 24_000
	eosRate    = 800 // records a second, so that a copy outlives every kill
)

// TestExactlyOnce copies a topic by transactions, with a Java client and with
// franz-go, each in its own instance, while a producer still fills the source.
// In the middle a broker is killed and restarted, then the gateway. Every value
// arrives once.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.start("g1")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	copies := []*eosCopy{
		{name: "java", in: w.create(g, "i-java"), run: w.copyByJava(compileJava(t, w, "ExactlyOnceCopy"))},
		{name: "franz-go", in: w.create(g, "i-franz"), run: w.copyByFranz},
	}
	var running sync.WaitGroup
	defer func() {
		cancel()
		running.Wait()
	}()
	for _, c := range copies {
		cl := w.client(c.in)
		w.createTopic(cl, eosSource, 3)
		w.createTopic(cl, eosTarget, 3)
		running.Go(func() { produceSlowly(ctx, t, cl, c) })
		running.Go(func() {
			defer c.ended()
			if err := c.run(ctx, t, c); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	begin := time.Now()
	all := func(n int) {
		t.Helper()
		for _, c := range copies {
			c.await(ctx, t, n)
		}
	}

	all(eosRecords / 6)
	node := w.coordinator(copies[1].in)
	w.kafka.Kill(node)
	t.Logf("%4.1f s: node %d killed; %s", time.Since(begin).Seconds(), node, progress(copies))
	<-time.After(5 * time.Second)
	w.kafka.Start(node)
	w.kafka.Await(node)
	t.Logf("%4.1f s: node %d is back; %s", time.Since(begin).Seconds(), node, progress(copies))
	all(eosRecords / 2)

	g.Kill()
	t.Logf("%4.1f s: gateway killed; %s", time.Since(begin).Seconds(), progress(copies))
	w.start("g2")
	t.Logf("%4.1f s: gateway is back; %s", time.Since(begin).Seconds(), progress(copies))

	running.Wait()
	t.Logf("%4.1f s: copied; %s", time.Since(begin).Seconds(), progress(copies))
	for _, c := range copies {
		once(ctx, t, w, c, eosSource)
		once(ctx, t, w, c, eosTarget)
		t.Logf("%s: %s", c.name, c.summary())
	}
}

// eosCopy is one running copy and what it has done so far.
type eosCopy struct {
	name string
	in   instance
	run  func(context.Context, *testing.T, *eosCopy) error

	mu           sync.Mutex
	over         bool
	records      int // in transactions whose commit was confirmed
	transactions int
	failed       map[string]int // what went wrong, and was tried again
}

func (c *eosCopy) committed(records int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records += records
	c.transactions++
}

func (c *eosCopy) trouble(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = map[string]int{}
	}
	c.failed[what]++
}

func (c *eosCopy) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

func (c *eosCopy) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s strings.Builder
	fmt.Fprintf(&s, "%d records in %d confirmed transactions", c.records, c.transactions)
	for what, n := range c.failed {
		fmt.Fprintf(&s, "\n    %d x %s", n, what)
	}
	return s.String()
}

func progress(copies []*eosCopy) string {
	var s strings.Builder
	for _, c := range copies {
		c.mu.Lock()
		fmt.Fprintf(&s, " %s %d", c.name, c.records)
		c.mu.Unlock()
	}
	return s.String()
}

// await waits until n records are confirmed.
func (c *eosCopy) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	parts.Await(t, fmt.Sprintf("%s has copied %d records", c.name, n), time.Until(deadline(ctx)), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.over && c.records < n {
			t.Fatalf("%s ended after %d records", c.name, c.records)
		}
		return c.records >= n
	})
}

func deadline(ctx context.Context) time.Time {
	end, _ := ctx.Deadline()
	return end
}

// produceSlowly fills the source with distinct values, idempotently.
func produceSlowly(ctx context.Context, t *testing.T, cl *kgo.Client, c *eosCopy) {
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	defer context.AfterFunc(ctx, cl.Close)() // the context alone ends no record that may have been written
	first := kgo.AbortingFirstErrPromise(cl)
	for i := range eosRecords {
		if i%(eosRate/20) == 0 {
			<-tick.C
		}
		cl.Produce(ctx, &kgo.Record{Topic: eosSource, Key: fmt.Appendf(nil, "%d", i), Value: fmt.Appendf(nil, "%s %d", c.name, i)}, first.Promise())
	}
	if err := first.Err(); err != nil {
		t.Errorf("%s: produce to the source: %v", c.name, err)
	}
}

// coordinator is the node that coordinates the copiers' group; it leads
// partitions of the topics too, as every node does.
func (w *world) coordinator(in instance) int {
	w.t.Helper()
	at := kadm.NewClient(w.client(in)).FindGroupCoordinators(w.t.Context(), eosGroup)[eosGroup]
	if at.Err != nil {
		w.t.Fatal(at.Err)
	}
	return int(at.NodeID)
}

// once reads all committed records of a topic to its end and counts each value.
func once(ctx context.Context, t *testing.T, w *world, c *eosCopy, topic string) {
	t.Helper()
	cl := w.client(c.in, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		t.Fatalf("%s: ends of %s: %v %v", c.name, topic, err, ends.Error())
	}
	left := ends.KOffsets()[topic]
	seen, markers := map[string]int{}, 0
	for len(left) > 0 && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if r.Attrs.IsControl() {
				markers++
			} else {
				seen[string(r.Value)]++
			}
			if r.Offset+1 >= left[r.Partition].EpochOffset().Offset {
				delete(left, r.Partition)
			}
		})
	}
	lost, double := 0, 0
	for i := range eosRecords {
		switch n := seen[fmt.Sprintf("%s %d", c.name, i)]; {
		case n == 0:
			lost++
		case n > 1:
			double++
		}
	}
	t.Logf("%s: %s has %d values, %d lost, %d double, %d transaction markers", c.name, topic, len(seen), lost, double, markers)
	if lost > 0 || double > 0 || len(seen) != eosRecords || len(left) > 0 {
		t.Errorf("%s: %s is not an exact copy (%d partitions not read to the end)", c.name, topic, len(left))
	}
}
