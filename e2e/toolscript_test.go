//go:build real

package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateTools = flag.Bool("update-tools", false, "TestKafkaTools writes docs/kafka-tools.md anew")

// toolCommand is one command of testdata/tools.txt.
type toolCommand struct {
	tool  string // as people call it: kafka-topics
	args  []string
	stdin string // \n for a new line
	// differs says why the instance answers otherwise than Kafka; "" if it must not.
	differs string
	// says are texts that the instance's answer must hold nevertheless.
	says []string
	// internal: Kafka also shows its internal topics, and for that in another order.
	internal bool
	// unordered: Kafka's tools print it in the order of a hash map.
	unordered bool
	line      int
}

// toolClasses says which class is behind a tool's script.
var toolClasses = map[string]string{
	"kafka-acls":                   "org.apache.kafka.tools.AclCommand",
	"kafka-broker-api-versions":    "org.apache.kafka.tools.BrokerApiVersionsCommand",
	"kafka-client-metrics":         "org.apache.kafka.tools.ClientMetricsCommand",
	"kafka-cluster":                "org.apache.kafka.tools.ClusterTool",
	"kafka-configs":                "kafka.admin.ConfigCommand",
	"kafka-console-consumer":       "org.apache.kafka.tools.consumer.ConsoleConsumer",
	"kafka-console-producer":       "org.apache.kafka.tools.ConsoleProducer",
	"kafka-console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
	"kafka-consumer-groups":        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
	"kafka-delegation-tokens":      "org.apache.kafka.tools.DelegationTokenCommand",
	"kafka-delete-records":         "org.apache.kafka.tools.DeleteRecordsCommand",
	"kafka-features":               "org.apache.kafka.tools.FeatureCommand",
	"kafka-get-offsets":            "org.apache.kafka.tools.GetOffsetShell",
	"kafka-groups":                 "org.apache.kafka.tools.GroupsCommand",
	"kafka-leader-election":        "org.apache.kafka.tools.LeaderElectionCommand",
	"kafka-log-dirs":               "org.apache.kafka.tools.LogDirsCommand",
	"kafka-metadata-quorum":        "org.apache.kafka.tools.MetadataQuorumCommand",
	"kafka-reassign-partitions":    "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
	"kafka-share-groups":           "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
	"kafka-streams-groups":         "org.apache.kafka.tools.streams.StreamsGroupCommand",
	"kafka-topics":                 "org.apache.kafka.tools.TopicCommand",
	"kafka-transactions":           "org.apache.kafka.tools.TransactionsCommand",
	"kafka-verifiable-consumer":    "org.apache.kafka.tools.VerifiableConsumer",
	"kafka-verifiable-producer":    "org.apache.kafka.tools.VerifiableProducer",
}

func (c toolCommand) String() string {
	return fmt.Sprintf("tools.txt:%d: %s %s", c.line, c.tool, strings.Join(c.args, " "))
}

func (c toolCommand) class() string { return toolClasses[c.tool] }

// readToolScript reads commands, one a line; lines that begin with white space
// belong to the command above, # begins a comment.
func readToolScript(name string) ([]toolCommand, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []toolCommand
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		n++
		line := s.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
			continue
		case line == text:
			words := strings.Fields(line)
			if toolClasses[words[0]] == "" {
				return nil, fmt.Errorf("%s:%d: no tool %s", name, n, words[0])
			}
			all = append(all, toolCommand{tool: words[0], args: words[1:], line: n})
			continue
		}
		key, value, _ := strings.Cut(text, ": ")
		c := &all[len(all)-1]
		switch key {
		case "stdin":
			c.stdin = value
		case "differs":
			c.differs = value
		case "but for internal topics":
			c.internal = true
		case "in any order":
			c.unordered = true
		case "says":
			c.says = append(c.says, value)
		default:
			return nil, fmt.Errorf("%s:%d: no directive %s", name, n, key)
		}
	}
	return all, nil
}

// toolRow is what a command did on both sides: instance, direct.
type toolRow struct {
	command toolCommand
	status  [2]int
	raw     [2]string
	printed [2]string // normal
}

func (r toolRow) same() bool { return r.status[0] == r.status[1] && r.printed[0] == r.printed[1] }

// check holds a row against what the script says, and against names of the pool.
func (r toolRow) check(t *testing.T, never ...string) {
	t.Helper()
	c := r.command
	switch {
	case !r.same() && c.differs == "":
		t.Errorf("%s: differs\n--- instance: exit %d\n%s\n--- direct: exit %d\n%s", c, r.status[0], r.printed[0], r.status[1], r.printed[1])
	case r.same() && c.differs != "":
		t.Errorf("%s: both the same, but the script says: differs: %s\n%s", c, c.differs, r.printed[0])
	}
	for _, s := range c.says {
		if !strings.Contains(r.printed[0], s) {
			t.Errorf("%s: the instance does not say %q:\n%s", c, s, r.printed[0])
		}
	}
	for _, s := range never {
		if strings.Contains(r.raw[0], s) {
			t.Errorf("%s: shows the pool's %q:\n%s", c, s, r.raw[0])
		}
	}
}

// normalTools replaces what no two clusters have in common.
var normalTools = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`127\.0\.\d+\.\d+:\d+`), "HOST:PORT"},
	{regexp.MustCompile(`127\.0\.\d+\.\d+`), "HOST"},
	{regexp.MustCompile(`\b(1[67]\d{11}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`), "#"}, // ms since 1970, UUIDs
	{regexp.MustCompile(`\b[\w-]{22}==`), "#"},                                               // member ids of franz-go
	{regexp.MustCompile(`(avg_throughput":)[\d.]+`), "$1#"},
	{regexp.MustCompile(`(TopicId|Cluster ID|Cluster id): \S{22}\b`), "$1: ID"},
	{regexp.MustCompile(`"logDir":"[^"]*"`), `"logDir":"DIR"`},
	{regexp.MustCompile(`"size":\d+`), `"size":#`},                     // of batches whose times differ
	{regexp.MustCompile(`(only supports operations )\[.*\]`), "$1[#]"}, // a Java set, in any order
	{regexp.MustCompile(`(?m)^(\s*at |SLF4J: ).*\n`), ""},              // a stack is the tool's own affair
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`(?m) $`), ""},
	{regexp.MustCompile(`(Ongoing \d+ #) \d+`), "$1 #"}, // how long it has been open
	{regexp.MustCompile(`HOST \d{5}\b`), "HOST PORT"},
}

func normalTool(text string) string {
	for _, n := range normalTools {
		text = n.find.ReplaceAllString(text, n.put)
	}
	return strings.TrimSpace(text)
}

// sorted sorts paragraphs (a line and the indented ones under it) and the lines
// in each, and leaves out those of internal topics if asked.
func sorted(text string, internal bool) string {
	var all [][]string
	for line := range strings.SplitSeq(text, "\n") {
		if n := len(all); n > 0 && strings.HasPrefix(line, " ") {
			all[n-1] = append(all[n-1], line)
		} else if line != "" {
			all = append(all, []string{line})
		}
	}
	var out []string
	for _, p := range all {
		if internal || !internalTopic.MatchString(p[0]) {
			slices.Sort(p[1:])
			out = append(out, strings.Join(p, "\n"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

var internalTopic = regexp.MustCompile(`\b__(consumer_offsets|transaction_state|share_group_state)\b`)

// reportTools prints the table, and writes it down if asked.
func reportTools(t *testing.T, rows []toolRow) {
	t.Helper()
	var b strings.Builder
	same := 0
	b.WriteString("| tool | arguments | exit: instance, Kafka | output |\n|---|---|---|---|\n")
	for _, r := range rows {
		verdict := "same"
		if r.same() {
			same++
			if r.command.internal {
				verdict = "same but for Kafka's internal topics, which no tenant sees"
			}
		} else {
			verdict = r.command.differs
		}
		args := strings.ReplaceAll(strings.ReplaceAll(strings.Join(r.command.args, " "), "{at} ", ""), "|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %d, %d | %s |\n", r.command.tool, "`"+args+"`", r.status[0], r.status[1], verdict)
	}
	t.Logf("%d commands, %d the same\n%s", len(rows), same, b.String())
	if !*updateTools {
		return
	}
	head := "# Kafka's own tools on an instance\n\n" +
		"Every command runs twice, as a tenant and on a Kafka " + "of its own; exit status and output are compared,\n" +
		"after addresses, ids, times and white space. Written by `go test -tags real ./e2e -run TestKafkaTools -update-tools`\n" +
		"from `e2e/testdata/tools.txt`; the story fails if a row is no longer true.\n\n"
	if err := os.WriteFile(filepath.Join("..", "docs", "kafka-tools.md"), []byte(head+b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
