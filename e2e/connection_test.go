//go:build real

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
)

// refusedCase is one way to be refused: how the client files must be changed for it.
type refusedCase struct {
	name   string
	java   map[string]string // client.properties
	kcat   map[string]string // kcat.conf
	env    map[string]string // client.env
	reason string            // that must be among what is kept
	place  string            // the instance at which it is kept; "": of none
	says   string            // expression that connection check must print on stderr
}

// TestRefusedClients has real clients refused, looks that each of them ends with an
// error, logs what it says (docs/refusals.md has it), and that the feed and
// connection check say why.
func TestRefusedClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dev := filepath.Join(dir, ".weir")
	log := filepath.Join(dir, "dev.log")
	parts.Start(t, log, nil, binary, "dev", "--data-dir", dev,
		"--listen", fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(t, 4)), "--admin", fmt.Sprintf("127.0.0.1:%d", parts.FreePorts(t, 1)))
	parts.Await(t, "weir dev prints ready", time.Minute, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "\nready\n")
	})
	weir := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := weir("instance", "create", "orders", "--id", "orders"); err != nil {
		t.Fatal(out)
	}
	jaas := `org.apache.kafka.common.security.scram.ScramLoginModule required username="orders-admin@orders" password="hunter2";`
	for _, c := range []refusedCase{
		{
			name: "wrong password", reason: "password-wrong", place: "orders", says: `the password of orders-admin is wrong`,
			java: map[string]string{"sasl.jaas.config": jaas}, kcat: map[string]string{"sasl.password": "hunter2"},
			env: map[string]string{"KAFKA_SASL_PASSWORD": "hunter2"},
		},
		{
			name: "plaintext", reason: "plaintext-on-tls-port", says: `speaks TLS: set security.protocol=SASL_SSL`,
			java: map[string]string{"security.protocol": "SASL_PLAINTEXT"}, kcat: map[string]string{"security.protocol": "sasl_plaintext"},
			env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
		},
		{
			name: "network", reason: "network-refused", place: "orders", says: `orders allows 10\.1\.0\.0/16 only`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "network" {
				if out, err := weir("network", "allow", "orders", "10.1.0.0/16"); err != nil {
					t.Fatal(out)
				}
			}
			from, to := filepath.Join(dir, "orders"), t.TempDir()
			change(t, filepath.Join(from, "client.properties"), filepath.Join(to, "client.properties"), c.java)
			change(t, filepath.Join(from, "kcat.conf"), filepath.Join(to, "kcat.conf"), c.kcat)
			change(t, filepath.Join(from, "client.env"), filepath.Join(to, "client.env"), c.env)
			c.refuse(t, dir, to)
			out, err := weir("connection", "check", "orders", "--config", filepath.Join(to, "client.env"))
			t.Logf("weir connection check:\n%s", out)
			if err == nil || !regexp.MustCompile(`(?m)^error: .*`+c.says).MatchString(out) {
				t.Errorf("want %q", c.says)
			}
			c.kept(t, weir)
		})
	}
}

// change copies a file of key=value lines with other values.
func change(t *testing.T, from, to string, values map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		key, _, _ := strings.Cut(line, "=")
		if value, ok := values[key]; ok {
			line = key + "=" + value + "\n"
		}
		out.WriteString(line)
	}
	if filepath.Ext(to) == ".properties" {
		out.WriteString("default.api.timeout.ms=15000\nrequest.timeout.ms=10000\n") // Java's own is a minute
	}
	if err := os.WriteFile(to, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// refuse runs each client; each must fail.
func (c refusedCase) refuse(t *testing.T, dir, files string) {
	t.Helper()
	env, err := os.ReadFile(filepath.Join(files, "client.env"))
	if err != nil {
		t.Fatal(err)
	}
	bootstrap := regexp.MustCompile(`KAFKA_BOOTSTRAP_SERVERS=(\S+)`).FindStringSubmatch(string(env))[1]
	failed := func(client, out string, err error) {
		t.Helper()
		t.Logf("%s (%v):\n%s", client, err, lastLines(out, 6))
		if err == nil {
			t.Errorf("%s was let in", client)
		}
	}
	out, err := parts.Tool(t, "org.apache.kafka.tools.TopicCommand", "--list", "--bootstrap-server", bootstrap,
		"--command-config", filepath.Join(files, "client.properties"))
	failed("Java", out, err)
	kcat := exec.CommandContext(t.Context(), "kcat", "-F", filepath.Join(files, "kcat.conf"), "-L", "-m", "5")
	raw, err := kcat.CombinedOutput()
	failed("kcat", string(raw), err)
	franz := exec.CommandContext(t.Context(), binary, "topic", "list", "--config", filepath.Join(files, "client.env"))
	franz.Dir = dir
	raw, err = franz.CombinedOutput()
	failed("franz-go, as weir topic list", string(raw), err)
}

// lastLines are the last lines of text, without Java's stack.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "\tat ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// kept waits until the feed has the reason.
func (c refusedCase) kept(t *testing.T, weir func(...string) (string, error)) {
	t.Helper()
	args := []string{"connection", "refused", "-o", "json"}
	if c.place != "" {
		args = append(args, c.place)
	}
	var found map[string]int64
	parts.Await(t, "the feed has "+c.reason, 10*time.Second, func() bool {
		out, err := weir(args...)
		if err != nil {
			t.Fatal(out)
		}
		var page struct {
			Items []struct {
				Reason string `json:"reason"`
				Count  int64  `json:"count"`
			} `json:"items"`
		}
		if err := json.Unmarshal([]byte(out), &page); err != nil {
			t.Fatal(err)
		}
		found = map[string]int64{}
		for _, r := range page.Items {
			found[r.Reason] += r.Count
		}
		return found[c.reason] > 0
	})
	for _, reason := range slices.Sorted(maps.Keys(found)) {
		t.Logf("kept: %s, %d times", reason, found[reason])
	}
}
