//go:build bench

package quota_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/auth"
	"weir/internal/parts"
	"weir/tenancy"
)

// Bounds of "cost nothing", of one gateway beside one whose instances have no limits.
const (
	idleCPU   = 0.5     // percent of a core
	idleBytes = 1 << 10 // of memory, for each instance
	idleCalls = 0.2     // scripts a second; at rest it is about 0.5, of other things
)

// every is a limit of each kind, as a plan has them.
const every = `plans:
  - name: standard
    limits: {produce_bytes_per_second: 10MiB, fetch_bytes_per_second: 30MiB, requests_per_second: 1000, request_percentage: 50,
      connection_attempts_per_second: 10, topic_mutations_per_second: 10, connections: 100, partitions: 1000, topics: 500, groups: 100,
      message_bytes: 1MiB, storage_bytes: 100GiB}
`

// idleCost is what a gateway without clients uses.
type idleCost struct {
	cpu   float64 // percent of a core
	rss   float64 // bytes
	calls float64 // scripts in Redis, a second
}

// TestIdle shows that instances that nobody uses cost nothing for having limits: one
// gateway with 10,000 instances, without limits and with all, and with all after a
// thousand of them were used for a moment.
func TestIdle(t *testing.T) {
	instances, used, length := 10_000, 1000, 30*time.Second
	if testing.Short() {
		instances, used, length = 1000, 100, 10*time.Second
	}
	r := newRig(t, 0)
	r.populate(instances)
	fmt.Printf("%d instances, %s at rest\n%-28s %10s %10s %14s\n", instances, length, "one gateway", "CPU %", "RSS MiB", "evalsha/s")
	row := func(name string, c idleCost) {
		fmt.Printf("%-28s %10.2f %10.1f %14.2f\n", name, c.cpu, c.rss/(1<<20), c.calls)
	}
	free := r.idle("free", "", 0, length)
	row("without limits", free)
	bounded := r.idle("bounded", every, 0, length)
	row("all limits, never used", bounded)
	rested := r.idle("rested", every, used, length)
	row(fmt.Sprintf("all limits, %d were used", used), rested)
	freeRested := r.idle("free-rested", "", used, length)
	row(fmt.Sprintf("without limits, %d were used", used), freeRested)
	for _, c := range []struct {
		name    string
		is, was idleCost
	}{{"never used", bounded, free}, {"rested", rested, freeRested}} {
		check := func(what string, more, bound float64) {
			outcome := "PASS"
			if more > bound {
				outcome = "FAIL"
				t.Errorf("%s: %s %.3f more with limits, bound %.3f", c.name, what, more, bound)
			}
			fmt.Printf("%-12s %-24s %10.3f more, bound %8.3f %s\n", c.name, what, more, bound, outcome)
		}
		check("CPU, % of a core", c.is.cpu-c.was.cpu, idleCPU)
		check("bytes of each instance", (c.is.rss-c.was.rss)/float64(instances), idleBytes)
		check("evalsha/s", c.is.calls-c.was.calls, idleCalls)
	}
}

// populate writes instances, all with the same password: hashing one for each takes
// longer than all else.
func (r *rig) populate(n int) {
	r.t.Helper()
	credentials, err := auth.NewCredentials([]byte(pepper), rand.Reader, password)
	if err != nil {
		r.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				id := tenancy.InstanceID(fmt.Sprintf("i-idle%d", i))
				_, _, err := r.store.CreateInstance(r.t.Context(), tenancy.Instance{
					ID: id, Name: string(id), Tenant: "t-bench", Plan: "standard", Pool: "sink", State: tenancy.StateActive,
					ClusterID: (string(id) + strings.Repeat("x", 22))[:22], CreatedAt: time.Now(),
				}, tenancy.User{Name: "app", Credentials: credentials, CreatedAt: time.Now()})
				if err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// idle measures a gateway of that configuration, after so many instances were used.
func (r *rig) idle(name, config string, used int, length time.Duration) idleCost {
	r.t.Helper()
	r.more = config
	g := r.start(name)
	defer g.Kill()
	r.use(g, used)
	<-time.After(20 * time.Second) // what was used comes to rest
	ticks, calls := cpuTicks(r.t, g.Process), r.evalsha()
	<-time.After(length)
	const perSecond = 100 // USER_HZ
	return idleCost{
		cpu:   float64(cpuTicks(r.t, g.Process)-ticks) / perSecond / length.Seconds() * 100,
		rss:   rss(r.t, g.Process),
		calls: float64(r.evalsha()-calls) / length.Seconds(),
	}
}

// use lets a client of each of n instances ask for the topics, and leave.
func (r *rig) use(g *gateway, n int) {
	r.t.Helper()
	for i := range n {
		cl, err := kgo.NewClient(kgo.SeedBrokers(g.kafka), kgo.DisableClientMetrics(),
			kgo.SASL(scram.Auth{User: fmt.Sprintf("app@i-idle%d", i), Pass: password}.AsSha256Mechanism()))
		if err != nil {
			r.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
		err = cl.Ping(ctx)
		cancel()
		cl.Close()
		if err != nil {
			r.t.Fatalf("instance %d: %v", i, err)
		}
	}
}

// cpuTicks is what a process has used, in user and kernel mode (proc(5), stat).
func cpuTicks(t testing.TB, p *parts.Process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	user, _ := strconv.ParseInt(fields[14-3], 10, 64)
	kernel, _ := strconv.ParseInt(fields[15-3], 10, 64)
	return user + kernel
}

// rss is the memory that a process holds, in bytes (proc(5), status).
func rss(t testing.TB, p *parts.Process) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n * 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
