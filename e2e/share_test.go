//go:build real

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shareRecords is how many records each share group works off.
const shareRecords = 2000

// TestShareGroup works topics off by Java's share consumer, two of them in each
// group, in two instances that give the same names to topic and group. Every
// record is done once, none is another's; released ones come again, rejected
// ones do not.
func TestShareGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.start("g1")
	w.start("g2")
	classPath := compileJava(t, w, "ShareWork")
	for _, mode := range []string{"implicit", "explicit"} {
		t.Run(mode, func(t *testing.T) {
			for _, in := range []instance{w.create(g, "i-one-"+mode), w.create(g, "i-two-"+mode)} {
				cl := w.client(in)
				w.createTopic(cl, "jobs", 3)
				t.Run(in.id, func(t *testing.T) {
					t.Parallel()
					done := make(chan struct{})
					go func() {
						defer close(done)
						jobs(t, cl, in)
					}()
					w.shareWork(t, in, mode, classPath)
					<-done
				})
			}
		})
	}
}

// jobs writes the topic while it is worked off, so that the consumer that joins
// first does not have it all.
func jobs(t *testing.T, cl *kgo.Client, in instance) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := range shareRecords {
		if i%10 == 0 {
			<-tick.C
		}
		cl.Produce(t.Context(), &kgo.Record{Topic: "jobs", Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "%s:%d", in.id, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func (w *world) shareWork(t *testing.T, in instance, mode, classPath string) {
	cmd := exec.CommandContext(t.Context(), "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classPath, "ShareWork",
		w.properties(in), "jobs", "workers", mode, fmt.Sprint(shareRecords))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	verdicts, done, again := map[string]int{}, map[string]int{}, 0
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 5 || f[0] != "done" {
			t.Error(s.Text())
			continue
		}
		if !strings.HasPrefix(f[1], in.id+":") {
			t.Errorf("%s was given %s", in.id, f[1])
		}
		done[f[1]]++
		verdicts[f[2]]++
		if f[3] != "1" {
			again++
		}
		verdicts["consumer "+f[4]]++
	}
	if err != nil || len(done) != shareRecords {
		t.Fatalf("%d of %d records: %v\n%s", len(done), shareRecords, err, tail(stderr.Bytes(), 3000))
	}
	for value, n := range maps.All(done) {
		if n != 1 {
			t.Errorf("%s was done %d times", value, n)
		}
	}
	if mode == "explicit" && (again == 0 || verdicts["REJECT"] == 0) {
		t.Errorf("none was released or none rejected: %v, %d again", verdicts, again)
	}
	if verdicts["consumer 0"] == 0 || verdicts["consumer 1"] == 0 {
		t.Errorf("one of two consumers was idle: %v", verdicts)
	}
	t.Logf("%s %s: %d records done once; %v, %d at a later delivery", in.id, mode, len(done), verdicts, again)
}
