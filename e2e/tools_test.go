//go:build real

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// TestKafkaTools runs every command of testdata/tools.txt twice, as a tenant
// and on a Kafka of its own, and compares exit status and output. What differs
// must be written down there, and what is written down must differ.
func TestKafkaTools(t *testing.T) {
	t.Parallel()
	script, err := readToolScript(filepath.Join("testdata", "tools.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// Kafka itself needs an authorizer to store ACLs at all.
	direct := parts.StartKafka(t, 1, "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS")
	w := newWorldOf(t, 1)
	in := w.create(w.start("g1"), "i-tools")
	classPath := compileJava(t, w, "Tools")
	plain := filepath.Join(w.dir, "direct.properties")
	w.write("direct.properties", nil)
	sides := []*toolSide{
		{
			name: "instance", log: filepath.Join(w.dir, "tools-instance.log"), classPath: classPath, at: w.bootstrap(), config: w.properties(in),
			client: func(more ...kgo.Opt) []kgo.Opt { return w.options(in, more...) },
		},
		{
			name: "direct", log: filepath.Join(w.dir, "tools-direct.log"), classPath: classPath, at: direct.Addr(1), config: plain,
			client: func(more ...kgo.Opt) []kgo.Opt { return append(more, kgo.SeedBrokers(direct.Bootstrap()...)) },
		},
	}
	for _, s := range sides {
		s.live(t)
	}
	var rows []toolRow
	for _, c := range script {
		row := toolRow{command: c}
		for i, s := range sides {
			var out string
			row.status[i], out = s.run(t, c)
			row.raw[i] = strings.ReplaceAll(out, s.config, "CONFIG")
			if row.printed[i] = normalTool(row.raw[i]); c.internal || c.unordered {
				row.printed[i] = sorted(row.printed[i], !c.internal)
			}
		}
		rows = append(rows, row)
		row.check(t, "i-tools.", parts.Host(1), parts.ClusterID)
	}
	reportTools(t, rows)
}

// toolSide is a cluster that commands run on.
type toolSide struct {
	name           string
	jvm            *toolJVM // nil: none runs
	log, classPath string
	at             string // bootstrap
	config         string // properties file
	client         func(...kgo.Opt) []kgo.Opt
}

// live brings what commands look at and no tool makes: transactions that stay
// open, and groups with a member.
func (s *toolSide) live(t *testing.T) {
	t.Helper()
	w := world{t: t}
	// One after the other: their producer ids are compared.
	for _, open := range []struct{ id, topic string }{{"open-txn", "live"}, {"open-txn2", "live2"}} {
		txn, err := kgo.NewClient(s.client(kgo.TransactionalID(open.id), kgo.TransactionTimeout(time.Minute))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(txn.Close)
		w.createTopic(txn, open.topic, 1)
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := txn.ProduceSync(t.Context(), &kgo.Record{Topic: open.topic, Value: []byte("open")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	next := context.WithValue(t.Context(), "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck,revive // franz-go's own key
	for group, opts := range map[string][]kgo.Opt{"live-classic": nil, "live-next": {kgo.WithContext(next)}} {
		member, err := kgo.NewClient(s.client(append(opts, kgo.ClientID("member"), kgo.ConsumerGroup(group), kgo.ConsumeTopics("live"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(member.Close)
		if fetches := member.PollFetches(t.Context()); fetches.Err() != nil {
			t.Fatal(fetches.Err())
		}
		if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs one command.
func (s *toolSide) run(t *testing.T, c toolCommand) (int, string) {
	t.Helper()
	at := []string{"--bootstrap-server", s.at, "--command-config", s.config}
	var args []string
	placed := false
	for _, a := range c.args {
		if a == "{at}" {
			args, placed = append(args, at...), true
		} else {
			args = append(args, a)
		}
	}
	if !placed {
		args = append(args, at...)
	}
	if strings.HasPrefix(c.tool, "kafka-verifiable-") { // they print their sums when the JVM ends
		return s.alone(t, c, args)
	}
	if s.jvm == nil {
		s.jvm = startTools(t, s.log, s.classPath)
	}
	status, out, ok := s.jvm.run(c, args)
	if !ok {
		s.jvm = nil
		t.Errorf("%s: %s: no end within %s", s.name, c, toolLimit)
	}
	return status, out
}

// toolLimit is how long one command may take.
const toolLimit = 30 * time.Second

// alone runs a command in a JVM of its own.
func (s *toolSide) alone(t *testing.T, c toolCommand, args []string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "java", append([]string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", s.classPath, c.class()}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: %s: no end within %s", s.name, c, toolLimit)
		return -1, string(out)
	case errors.As(err, &exit):
		return exit.ExitCode(), string(out)
	case err != nil:
		t.Fatal(err)
	}
	return 0, string(out)
}

// toolJVM is a JVM that runs clients/Tools.
type toolJVM struct {
	in   io.Writer
	out  *bufio.Reader
	kill context.CancelFunc
}

func startTools(t *testing.T, log, classPath string) *toolJVM {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classPath, "Tools")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = f.Close()
	})
	return &toolJVM{in: in, out: bufio.NewReader(out), kill: cancel}
}

// run runs one command to its end; not ok: it went on for toolLimit, or the JVM ended.
func (j *toolJVM) run(c toolCommand, args []string) (status int, out string, ok bool) {
	late := time.AfterFunc(toolLimit, j.kill)
	defer late.Stop()
	fields := append([]string{c.stdin, c.class()}, args...)
	if _, err := fmt.Fprintln(j.in, strings.Join(fields, "\t")); err != nil {
		return -1, "", false
	}
	var size int
	head, err := j.out.ReadString('\n')
	if err != nil {
		return -1, "", false
	}
	if _, err := fmt.Sscan(head, &status, &size); err != nil {
		return -1, head, false
	}
	text := make([]byte, size)
	_, err = io.ReadFull(j.out, text)
	return status, string(text), err == nil
}
