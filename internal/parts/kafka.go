package parts

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kafka is a cluster of real brokers on loopback, nodes 1 to n, each in a rack
// of its own.
type Kafka struct {
	t     testing.TB
	dir   string
	libs  string
	older bool     // the line before 4.0
	more  []string // settings beside those of configure, key=value
	first int      // node i listens on first+i-1, its controller on first+n+i-1
	nodes []*Process
}

// StartKafka starts n brokers (KRaft, combined roles) with further settings
// (key=value) and waits until all accept connections.
func StartKafka(t testing.TB, n int, more ...string) *Kafka {
	t.Helper()
	return startKafka(&Kafka{t: t, more: more}, KafkaVersion, n)
}

// StartOlderKafka is StartKafka of OlderKafkaVersion.
func StartOlderKafka(t testing.TB, n int, more ...string) *Kafka {
	t.Helper()
	return startKafka(&Kafka{t: t, more: more, older: true}, OlderKafkaVersion, n)
}

func startKafka(k *Kafka, version string, n int) *Kafka {
	k.t.Helper()
	libs, err := kafkaLibs(version)
	if err != nil {
		k.t.Fatal(err)
	}
	k.dir, k.libs, k.first, k.nodes = k.t.TempDir(), libs, FreePorts(k.t, 2*n), make([]*Process, n)
	for node := 1; node <= n; node++ {
		k.configure(node)
		k.Start(node)
	}
	for node := 1; node <= n; node++ {
		k.Await(node)
	}
	return k
}

// Addr is where a node listens: an address of its own, so that a tap can tell
// it from the gateway's.
func (k *Kafka) Addr(node int) string { return fmt.Sprintf("%s:%d", Host(node), k.first+node-1) }

// Host is a node's address without the port.
func Host(node int) string { return fmt.Sprintf("127.0.77.%d", node) }

// ClusterID is the physical cluster id of every cluster made here.
const ClusterID = "bmV2ZXJfc2Vlbl9ieV9hbg"

// Bootstrap lists all nodes.
func (k *Kafka) Bootstrap() []string {
	var all []string
	for node := range k.nodes {
		all = append(all, k.Addr(node+1))
	}
	return all
}

func (k *Kafka) config(node int) string {
	return filepath.Join(k.dir, fmt.Sprintf("node%d.properties", node))
}

// Log is the output of a node.
func (k *Kafka) Log(node int) string { return filepath.Join(k.dir, fmt.Sprintf("node%d.log", node)) }

func (k *Kafka) configure(node int) {
	n := len(k.nodes)
	var voters []string
	for v := 1; v <= n; v++ {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", v, k.first+n+v-1))
	}
	settings := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", node),
		fmt.Sprintf("broker.rack=zone-%d", node),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", k.Addr(node), k.first+n+node-1),
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs=" + filepath.Join(k.dir, fmt.Sprintf("data%d", node)),
		"auto.create.topics.enable=false",
		fmt.Sprintf("default.replication.factor=%d", n),
		fmt.Sprintf("min.insync.replicas=%d", n/2+1),
		fmt.Sprintf("offsets.topic.replication.factor=%d", n),
		"offsets.topic.num.partitions=4",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", n),
		fmt.Sprintf("transaction.state.log.min.isr=%d", n/2+1),
		"transaction.state.log.num.partitions=4",
		"group.initial.rebalance.delay.ms=0",
		"broker.session.timeout.ms=4000",
		"broker.heartbeat.interval.ms=500",
		"transaction.max.timeout.ms=60000",
	}
	if k.older {
		// Since 4.0 the new consumer protocol needs no word (KIP-848).
		settings = append(settings, "group.coordinator.rebalance.protocols=classic,consumer")
	} else {
		settings = append(settings, fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", n),
			fmt.Sprintf("share.coordinator.state.topic.min.isr=%d", n/2+1),
			"share.coordinator.state.topic.num.partitions=4",
			"group.share.heartbeat.interval.ms=1000", "group.share.min.heartbeat.interval.ms=1000",
			// A member that was killed is missed soon.
			"group.streams.min.session.timeout.ms=6000", "group.streams.session.timeout.ms=6000",
			"group.streams.min.heartbeat.interval.ms=1000", "group.streams.heartbeat.interval.ms=1000")
	}
	text := strings.Join(append(settings, k.more...), "\n") + "\n"
	if err := os.WriteFile(k.config(node), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	format := exec.Command("java", "-Xmx128m", "-cp", filepath.Join(k.libs, "*"), "kafka.tools.StorageTool",
		"format", "-t", ClusterID, "-c", k.config(node))
	if out, err := format.CombinedOutput(); err != nil {
		k.t.Fatalf("format node %d: %v\n%s", node, err, out)
	}
}

// Start starts a node that is down.
func (k *Kafka) Start(node int) {
	k.nodes[node-1] = Start(k.t, k.Log(node), nil, "java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", filepath.Join(k.libs, "*"), "kafka.Kafka", k.config(node))
}

// Await waits until a node accepts connections.
func (k *Kafka) Await(node int) {
	k.t.Helper()
	Await(k.t, fmt.Sprintf("node %d listens (its log: %s)", node, k.Log(node)), time.Minute, func() bool {
		if k.nodes[node-1].Ended() {
			text, _ := os.ReadFile(k.Log(node))
			k.t.Fatalf("node %d ended:\n%s", node, text)
		}
		c, err := net.Dial("tcp", k.Addr(node))
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// Kill ends a node as kill -9 does.
func (k *Kafka) Kill(node int) { k.nodes[node-1].Kill() }

// Tool runs one of Kafka's command-line tools by its class and returns what it printed.
func Tool(t testing.TB, class string, args ...string) (string, error) {
	t.Helper()
	libs, err := KafkaLibs()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "java", append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"), class}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
