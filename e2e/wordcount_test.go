//go:build real

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// TestWordCount counts words by Kafka Streams, exactly once, with both group
// protocols, each in an instance of its own under the same names. The JVM is
// killed in the middle and started again without its state. The counts are those
// that the input gives, and every step up to them was written once.
func TestWordCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.start("g1")
	classPath := compileJava(t, w, "WordCount")
	for _, protocol := range []string{"classic", "streams"} {
		t.Run(protocol, func(t *testing.T) {
			w.countWords(t, w.create(g, "i-"+protocol), protocol, classPath)
		})
	}
}

// Both halves of the input: the JVM is killed between them, amid its work.
const (
	streamsLines = 4000
	streamsWords = 50 // different ones
)

func (w *world) countWords(t *testing.T, in instance, protocol, classPath string) {
	cl := w.client(in, kgo.DefaultProduceTopic("lines"))
	w.createTopic(cl, "lines", 3)
	w.createTopic(cl, "counts", 2)
	want := map[string]int{}
	half := func(first int) {
		for i := first; i < first+streamsLines/2; i++ {
			line := fmt.Sprintf("w%d w%d w%d", i%streamsWords, i*7%streamsWords, i%3)
			for word := range strings.FieldsSeq(line) {
				want[word]++
			}
			cl.Produce(t.Context(), kgo.KeySliceRecord(nil, []byte(line)), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run := func(n int) *parts.Process {
		return parts.Start(t, w.streamsLog(protocol, n), nil, "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classPath, "WordCount",
			w.properties(in), "word-count", protocol, "lines", "counts", filepath.Join(w.dir, fmt.Sprintf("state-%s-%d", protocol, n)))
	}
	defer w.streamsLogs(t, protocol)
	target := w.client(in, kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := counts{last: map[string]int{}}
	begin := time.Now()
	half(0)
	app := run(1)
	got.follow(t, target, app, func() bool { return got.records >= streamsLines/2 })
	app.Kill()
	killed := got.records
	half(streamsLines / 2)
	app = run(2)
	got.follow(t, target, app, func() bool { return maps.Equal(got.last, want) })
	if total := 3 * streamsLines; got.records != total {
		t.Errorf("%d counts were written for %d words", got.records, total)
	}
	topics, err := kadm.NewClient(cl).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d words, killed after %d, counts equal after %s; topics %v", protocol, got.records, killed, time.Since(begin).Round(time.Millisecond), topics.Names())
	app.Kill()
}

func (w *world) streamsLog(protocol string, n int) string {
	return filepath.Join(w.dir, fmt.Sprintf("streams-%s-%d.log", protocol, n))
}

func (w *world) streamsLogs(t *testing.T, protocol string) {
	for n := 1; t.Failed() && n <= 2; n++ {
		text, _ := os.ReadFile(w.streamsLog(protocol, n))
		t.Logf("log %d of Kafka Streams:\n%s", n, tail(text, 3000))
	}
}

// counts is what the target topic says.
type counts struct {
	last    map[string]int
	records int
}

// follow reads on until enough is true. Each count of a word must be the one
// before plus one: nothing is counted twice, nothing left out.
func (c *counts) follow(t *testing.T, cl *kgo.Client, app *parts.Process, enough func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for !enough() {
		if app.Ended() {
			t.Fatalf("Kafka Streams ended after %d counts", c.records)
		}
		poll, stop := context.WithTimeout(ctx, time.Second)
		fetches := cl.PollFetches(poll)
		stop()
		if ctx.Err() != nil {
			t.Fatalf("not enough after %d counts", c.records)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n, err := strconv.Atoi(string(r.Value))
			if err != nil || n != c.last[string(r.Key)]+1 {
				t.Errorf("%s is counted %q after %d", r.Key, r.Value, c.last[string(r.Key)])
			}
			c.last[string(r.Key)] = n
			c.records++
		})
	}
}
