//go:build real

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
)

// TestUsageFullDisk: the file system of metering.dir, of 16 MiB, is full: gateways serve,
// say so within a minute, and all is exact, then and when there is room again
// (operations.md F16).
func TestUsageFullDisk(t *testing.T) {
	t.Parallel()
	disk := parts.MountSmallDisk(t, 16)
	w := newWorldOn(t, parts.StartKafka(t, 1))
	w.more += fmt.Sprintf("metering: {dir: %q}\n", disk.Dir)
	disk.Fill()
	g := w.start("full")
	begin := time.Now()
	w.alarmed(g, begin)
	load := w.usageLoad(g)
	<-time.After(2 * time.Second)
	load.exact("the disk is full since the start", time.Now())
	disk.Free()
	w.onDisk(g, 1)
	<-time.After(2 * time.Second)
	g.Kill() // under load: what is on disk again is taken over
	g = w.start("roomy")
	load.exact("there was room again, then the gateway was killed", time.Now())

	// Full while it counts, and Redis away too.
	disk.Fill()
	w.redis.Kill()
	<-time.After(5 * time.Second)
	w.redis.Start()
	load.exact("the disk is full, and Redis was away", time.Now())
	load.end(g)
	t.Logf("stopped in %s", w.end(g))
	disk.Free()
	load.exact("stopped with a full disk", time.Now())
	w.start("after")
	load.exact("the next start", time.Now())
}

// alarmed waits for the line that says that usage is not kept on disk.
func (w *world) alarmed(g *gateway, since time.Time) {
	w.t.Helper()
	var line string
	parts.Await(w.t, "the gateway says that usage is not on disk", time.Minute, func() bool {
		text, _ := os.ReadFile(g.log)
		for l := range strings.Lines(string(text)) {
			if strings.Contains(l, "usage is not kept on disk") {
				line = l
			}
		}
		return line != ""
	})
	w.t.Logf("alarm after %s: %s", time.Since(since).Round(100*time.Millisecond), strings.TrimSpace(line))
	w.onDisk(g, 0)
}

// onDisk waits until the gateway's metric says so.
func (w *world) onDisk(g *gateway, want float64) {
	w.t.Helper()
	parts.Await(w.t, fmt.Sprintf("weir_usage_on_disk is %g", want), time.Minute, func() bool {
		v, ok := w.metricNow(g, "weir_usage_on_disk")
		return ok && v == want
	})
}
