//go:build real

package e2e

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
)

// TestStockClients is the story of the README on real parts: `weir dev` with
// --kafka and --redis, and clients as people have them.
func TestStockClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, ".weir")
	w.dev(dir)
	in := w.demo(dir)

	t.Run("kcat", func(t *testing.T) { kcat(t, dir) })
	t.Run("java console", func(t *testing.T) { w.console(t, dir) })
	t.Run("java tools", func(t *testing.T) { w.javaTools(t, dir) })
	args := []string{w.bootstrap(), in.user, in.password, filepath.Join(dir, "ca.pem")}
	t.Run("confluent-kafka", func(t *testing.T) {
		python, err := parts.Python()
		if err != nil {
			t.Fatal(err)
		}
		script(t, nil, python, append([]string{"clients/librdkafka.py"}, append(args, "py", "py-group", "20000")...)...)
	})
	t.Run("kafka-python", func(t *testing.T) {
		python, err := parts.Python()
		if err != nil {
			t.Fatal(err)
		}
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			name := "kp-" + strings.ToLower(mechanism)
			script(t, nil, python, append([]string{"clients/kafkapython.py"}, append(slices.Clone(args), name, name+"-group", "5000", mechanism)...)...)
		}
	})
	t.Run("sarama", func(t *testing.T) {
		client := filepath.Join(w.dir, "sarama")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", client, ".")
		build.Dir = filepath.Join("clients", "sarama") // a module of its own
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		for i, how := range [][]string{{"PLAIN", "0"}, {"PLAIN", "1"}, {"SCRAM-SHA-256", "0"}, {"SCRAM-SHA-512", "1"}} {
			name := fmt.Sprintf("sarama%d", i)
			script(t, nil, client, append(slices.Clone(args), append([]string{name, name + "-group", "5000"}, how...)...)...)
		}
	})
	t.Run("kafkajs", func(t *testing.T) {
		modules, err := parts.NodeModules()
		if err != nil {
			t.Fatal(err)
		}
		script(t, []string{"NODE_PATH=" + modules, "KAFKAJS_NO_PARTITIONER_WARNING=1"}, "node",
			append([]string{"clients/kafkajs.js"}, append(args, "js", "js-group", "5000")...)...)
	})
}

// dev starts `weir dev` on the world's Kafka and Redis.
func (w *world) dev(dir string) {
	w.t.Helper()
	log := filepath.Join(w.dir, "dev.log")
	p := parts.Start(w.t, log, nil, binary, "dev", "--data-dir", dir, "--listen", w.bootstrap(),
		"--admin", fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(w.t, 1)),
		"--kafka", strings.Join(w.kafka.Bootstrap(), ","), "--redis", w.redis.URL())
	parts.Await(w.t, "weir dev prints ready ("+log+")", 30*time.Second, func() bool {
		text, _ := os.ReadFile(log)
		if p.Ended() {
			w.t.Fatalf("weir dev ended:\n%s", text)
		}
		return strings.Contains(string(text), "\nready\n")
	})
}

// demo reads the credentials of the instance that dev made.
func (w *world) demo(dir string) instance {
	w.t.Helper()
	f, err := os.Open(filepath.Join(dir, "client.env"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	env := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), "="); ok {
			env[key] = strings.Trim(value, `'"`)
		}
	}
	return instance{id: "demo", user: env["KAFKA_SASL_USERNAME"], password: env["KAFKA_SASL_PASSWORD"]}
}

// kcat writes and reads back 100,000 records.
func kcat(t *testing.T, dir string) {
	var in strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&in, "record %d of kcat\n", i)
	}
	conf := filepath.Join(dir, "kcat.conf")
	produce := exec.CommandContext(t.Context(), "kcat", "-F", conf, "-q", "-P", "-t", "kcat")
	produce.Stdin = strings.NewReader(in.String())
	if out, err := produce.CombinedOutput(); err != nil {
		t.Fatalf("kcat -P: %v\n%s", err, out)
	}
	consume := exec.CommandContext(t.Context(), "kcat", "-F", conf, "-q", "-C", "-t", "kcat", "-o", "beginning", "-e")
	consume.Stderr = os.Stderr
	out, err := consume.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, got := sha256.Sum256([]byte(in.String())), sha256.Sum256(out)
	if want != got {
		t.Fatalf("kcat wrote %d bytes and read %d: checksums differ", in.Len(), len(out))
	}
	t.Logf("100000 records, sha256 %x both ways", got[:8])
}

// console is Java's console producer and consumer.
func (w *world) console(t *testing.T, dir string) {
	props := filepath.Join(dir, "client.properties")
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "line %d\n", i)
	}
	libs, err := parts.KafkaLibs()
	if err != nil {
		t.Fatal(err)
	}
	java := func(class string, args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "java", append([]string{
			"-Xmx256m", "-cp", filepath.Join(libs, "*"), class,
			"--bootstrap-server", w.bootstrap(), "--command-config", props, "--topic", "console",
		}, args...)...)
	}
	produce := java("org.apache.kafka.tools.ConsoleProducer")
	produce.Stdin = strings.NewReader(in.String())
	if out, err := produce.CombinedOutput(); err != nil {
		t.Fatalf("console producer: %v\n%s", err, out)
	}
	consume := java("org.apache.kafka.tools.consumer.ConsoleConsumer", "--from-beginning", "--max-messages", "1000",
		"--timeout-ms", "60000", "--group", "console-group")
	out, err := consume.Output()
	if err != nil || string(out) != in.String() {
		t.Fatalf("console consumer: %v, %d bytes of %d", err, len(out), in.Len())
	}
}

// javaTools are Kafka's own command-line tools.
func (w *world) javaTools(t *testing.T, dir string) {
	props := filepath.Join(dir, "client.properties")
	tool := func(class string, args ...string) string {
		t.Helper()
		out, err := parts.Tool(t, class, append([]string{"--bootstrap-server", w.bootstrap(), "--command-config", props}, args...)...)
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", class, args, err, out)
		}
		if strings.Contains(out, "demo.") || strings.Contains(out, parts.Host(1)) || strings.Contains(out, parts.ClusterID) {
			t.Errorf("%s %v shows physical names:\n%s", class, args, out)
		}
		return out
	}
	want := func(out string, all ...string) {
		t.Helper()
		for _, s := range all {
			if !strings.Contains(out, s) {
				t.Errorf("no %q in:\n%s", s, out)
			}
		}
	}
	tool("org.apache.kafka.tools.TopicCommand", "--create", "--topic", "tools", "--partitions", "3", "--config", "retention.ms=3600000")
	want(tool("org.apache.kafka.tools.TopicCommand", "--list"), "tools", "console")
	want(tool("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "tools"), "PartitionCount: 3", "retention.ms=3600000")
	want(tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--describe", "--group", "console-group"), "console", "1000")
	want(tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--list"), "console-group")
	tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "retention.ms=7200000")
	want(tool("kafka.admin.ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", "tools"), "retention.ms=7200000")
	tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", "tools")
}

// script runs a client program of clients/.
func script(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s %s: %v", name, args[0], err)
	}
}
