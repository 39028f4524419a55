//go:build real

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

const (
	rounds = 3
	pace   = 200 // records per second and library
	// orderly is how long a drain of 1 s grace and 2 s spread may take: what is in
	// flight then are fetches of half a second.
	orderly = 10 * time.Second
)

// TestRolling replaces gateways one after the other under load of three
// libraries: no user of them may see an error (operations.md F02, I1, I2, I7).
func TestRolling(t *testing.T) {
	w := newWorld(t)
	old := []*gateway{w.start("g1"), w.start("g2")}
	in := w.create(old[0], "i-rolling")
	setup := w.client(in)
	for _, topic := range []string{"franz", "java", "rdkafka"} {
		w.createTopic(setup, topic, 3)
	}
	setup.Close()

	loads := []*load{w.franz(in), w.java(in), w.librdkafka(in)}
	for _, l := range loads {
		parts.Await(t, l.name+" is at its pace", time.Minute, l.running)
	}
	measure(loads, calm)
	for _, l := range loads {
		parts.Await(t, l.name+" shows its pace", time.Minute, func() bool { return l.measured(calm) > 5*pace })
	}
	measure(loads, rolling)
	var out strings.Builder
	for round := range rounds {
		next := w.start(fmt.Sprintf("g%d", 3+round))
		fmt.Fprintf(&out, "round %d: drained in %s\n", round+1, w.end(old[0]))
		old = append(old[1:], next)
	}
	measure(loads, "ending")
	for _, l := range loads {
		l.stop()
	}
	for _, l := range loads {
		parts.Await(t, l.name+" has read what was acknowledged", time.Minute, func() bool { return l.complete() })
		l.end()
		l.close(&out)
	}
	t.Log("\n" + out.String())
}

// Phases of the load.
const (
	calm      = "nothing happens"
	rolling   = "gateways are replaced"
	throttled = "throttled"
)

func measure(loads []*load, phase string) {
	for _, l := range loads {
		l.enter(phase)
	}
}

// end sends SIGTERM, waits for the orderly end and returns how long it took.
func (w *world) end(g *gateway) time.Duration {
	w.t.Helper()
	begin := time.Now()
	g.Terminate()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	err := g.Wait(ctx)
	took := time.Since(begin).Round(time.Millisecond)
	if err != nil || took > orderly {
		w.t.Errorf("after SIGTERM a gateway ended in %s: %v", took, err)
	}
	return took
}

// load is one library at work.
type load struct {
	*ledger
	stop func() // stops producing
	end  func() // stops consuming, and waits for the end of both
}

// franz runs franz-go in this process.
func (w *world) franz(in instance) *load {
	l := newLedger(w.t, "franz-go")
	common := []kgo.Opt{kgo.WithHooks(hooks{l}), kgo.WithLogger(logger{l})}
	producer := append(slices.Clone(common), kgo.DefaultProduceTopic("franz"))
	consumer := append(common, kgo.ConsumerGroup("franz-group"), kgo.ConsumeTopics("franz"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			if len(taken) > 0 {
				l.tell("rebalance revoked %v", taken)
			}
		}))
	if recordBytes() > 1 { // as in clients/Load.java
		producer = append(producer, kgo.MaxBufferedRecords(200), kgo.ProducerBatchCompression(kgo.NoCompression()))
		consumer = append(consumer, kgo.SessionTimeout(10*time.Second))
	}
	return w.franzWith(l, w.client(in, producer...), w.client(in, consumer...))
}

// recordBytes is how large the records of loads are at the least, for all libraries.
func recordBytes() int {
	n, _ := strconv.Atoi(os.Getenv("LOAD_BYTES"))
	return n
}

// franzWith lets two clients of franz-go work.
func (w *world) franzWith(l *ledger, producer, consumer *kgo.Client) *load {
	producing, stop := context.WithCancel(w.t.Context())
	consuming, end := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { franzProduce(producing, producer, l) })
	wg.Go(func() {
		franzConsume(consuming, consumer, l)
		consumer.Close()
	})
	return &load{ledger: l, stop: stop, end: func() { end(); wg.Wait() }}
}

func franzProduce(ctx context.Context, cl *kgo.Client, l *ledger) {
	tick := time.NewTicker(time.Second / pace)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		value, sent := fmt.Sprint(i), time.Now()
		cl.Produce(context.WithoutCancel(ctx), kgo.KeyStringRecord(value, fmt.Sprintf("%-*s", recordBytes(), value)), func(_ *kgo.Record, err error) {
			if err != nil {
				l.tell("error produce: %v", err)
				return
			}
			l.tell("acked %s %d", value, time.Since(sent).Microseconds())
		})
		<-tick.C
	}
	if err := cl.Flush(context.WithoutCancel(ctx)); err != nil {
		l.tell("error flush: %v", err)
	}
	l.tell("flushed")
}

func franzConsume(ctx context.Context, cl *kgo.Client, l *ledger) {
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			l.tell("error fetch of %s/%d: %v", topic, partition, err)
		})
		fetches.EachRecord(func(r *kgo.Record) { l.tell("read %s %d %d", r.Key, r.Partition, r.Offset) })
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := cl.CommitUncommittedOffsets(context.WithoutCancel(ctx)); err != nil {
			l.tell("error commit: %v", err)
			continue
		}
		l.tell("committed")
	}
}

// java runs clients/Load.java.
func (w *world) java(in instance) *load {
	w.t.Helper()
	return w.javaWith(w.properties(in))
}

// javaWith is java with a client's configuration, and options of the JVM.
func (w *world) javaWith(properties string, options ...string) *load {
	w.t.Helper()
	libs, err := parts.KafkaLibs()
	if err != nil {
		w.t.Fatal(err)
	}
	classes := filepath.Join(w.dir, "classes")
	path := filepath.Join(libs, "*")
	sources := []string{"clients/Load.java", "clients/StaticLoggerBinder.java"}
	compile := exec.CommandContext(w.t.Context(), "javac", append([]string{"-cp", path, "-d", classes}, sources...)...)
	if out, err := compile.CombinedOutput(); err != nil {
		w.t.Fatalf("javac: %v\n%s", err, out)
	}
	command := append([]string{"java", "-Xmx256m", "-XX:TieredStopAtLevel=1"}, options...)
	command = append(command, "-cp", classes+string(filepath.ListSeparator)+path, "Load", properties, "java", "java-group", fmt.Sprint(pace))
	return w.run("java", command...)
}

// librdkafka runs clients/load.py.
func (w *world) librdkafka(in instance) *load {
	w.t.Helper()
	python, err := parts.Python()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run("librdkafka", python, "clients/load.py", w.bootstrap(), in.user, in.password, filepath.Join(w.dir, "ca.pem"),
		"rdkafka", "rdkafka-group", fmt.Sprint(pace))
}

// run starts a client program that tells its events on standard output.
func (w *world) run(name string, command ...string) *load {
	w.t.Helper()
	l := newLedger(w.t, name)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = l, stderr{l}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w.t.Cleanup(kill)
	return &load{
		ledger: l,
		stop:   func() { _, _ = io.WriteString(in, "stop\n") },
		end: func() {
			_ = in.Close()
			if err := cmd.Wait(); err != nil {
				l.tell("error %v", err)
			}
		},
	}
}

// stderr is where librdkafka logs: what a user sees there unasked.
type stderr struct{ *ledger }

func (s stderr) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		kind := "info"
		if strings.Contains(line, "isconnected") {
			kind = "disconnect"
		}
		s.tell("%s %s", kind, strings.TrimSpace(line))
	}
	return len(p), nil
}

// hooks count the connections that franz-go loses.
type hooks struct{ l *ledger }

func (h hooks) OnBrokerDisconnect(meta kgo.BrokerMetadata, _ net.Conn) {
	h.l.tell("disconnect node %d", meta.NodeID)
}

// logger takes what franz-go logs for people.
type logger struct{ l *ledger }

func (logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (g logger) Log(level kgo.LogLevel, text string, keyvals ...any) {
	kind := "info"
	if level == kgo.LogLevelError {
		kind = "error log"
	}
	g.l.tell("%s %s %v", kind, text, keyvals)
}

func percentiles(d []time.Duration) string {
	if len(d) == 0 {
		return "nothing"
	}
	slices.Sort(d)
	at := func(p int) time.Duration { return d[min(len(d)-1, len(d)*p/100)].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %s p99 %s max %s (n=%d)", at(50), at(99), at(100), len(d))
}
