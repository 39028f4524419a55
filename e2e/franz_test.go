//go:build real && franz

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/parts"
)

// TestFranzSuite runs franz-go's own tests on an instance and on the same Kafka
// directly. What passes there must pass on the instance. It takes many minutes:
// ./task franz runs it, CI does not (build tag franz).
func TestFranzSuite(t *testing.T) {
	// Its transactions may take three minutes.
	w := newWorldOn(t, parts.StartKafka(t, 3, "transaction.max.timeout.ms=900000"))
	w.plaintext = true // two of the tests bring a dialer of their own, which excludes TLS
	in := w.create(w.start("g1"), "i-franz")
	suite := w.franzSuite(t)
	env := []string{"KGO_TEST_RECORDS=10000", "KGO_TEST_RF=3", "KGO_LOG_LEVEL=none", "GOFLAGS=-mod=mod"}
	direct := runSuite(t, suite, filepath.Join(w.dir, "direct.json"), append(slices.Clone(env), "KGO_SEEDS="+strings.Join(w.kafka.Bootstrap(), ",")))
	through := runSuite(t, suite, filepath.Join(w.dir, "instance.json"), append(slices.Clone(env), "KGO_SEEDS="+w.bootstrap(),
		"KGO_TEST_SCRAM="+in.user+":"+in.password+":512", "KGO_TEST_SCRAM_SEEDS="+w.bootstrap()))
	var b strings.Builder
	count := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(direct.outcome)) {
		d, i := direct.outcome[name], through.outcome[name]
		count[fmt.Sprintf("direct %s, instance %s", d, i)]++
		if d != i || d == "fail" {
			fmt.Fprintf(&b, "%-60s direct %s, instance %s\n", name, d, i)
		}
		if why := franzDiffers[name]; d == "pass" && i == "fail" && why != "" {
			fmt.Fprintf(&b, "%-60s as it should: %s\n", "", why)
		} else if d == "pass" && i != "pass" {
			t.Errorf("%s: %s\n%s", name, i, tail([]byte(through.text[name]), 2000))
		}
	}
	t.Logf("%v; directly %s, on the instance %s; not the same or failed:\n%s", count, direct.took, through.took, &b)
}

// franzDiffers says why a test of franz-go cannot pass on an instance.
var franzDiffers = map[string]string{
	"Test848RegexBrokerResolves":                 "wants to be assigned __consumer_offsets",
	"TestConsumeRegex":                           "wants to see __consumer_offsets",
	"TestConsumeRegexShareSkipsInternal":         "wants to see __consumer_offsets",
	"TestIssueFetchLargerThanBrokerMaxReadBytes": "sets a topic's max.message.bytes above what an instance may",
}

// franzSuite copies franz-go's module and lets all its tests log in: as they are
// only two of them know SASL.
func (w *world) franzSuite(t *testing.T) string {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/twmb/franz-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "franz-go")
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(string(list)))); err != nil {
		t.Fatal(err)
	}
	helpers := filepath.Join(dir, "pkg", "kgo", "helpers_test.go")
	text, err := os.ReadFile(helpers)
	if err != nil {
		t.Fatal(err)
	}
	const before = "\tif testCert != nil {\n\t\topts = append"
	if !bytes.Contains(text, []byte(before)) {
		t.Fatalf("%s is not what it was", helpers)
	}
	text = bytes.Replace(text, []byte(before), []byte("\tif saslScram != nil {\n\t\topts = append(opts, SASL(saslScram))\n\t}\n"+before), 1)
	if err := os.Remove(helpers); err != nil { // the module cache is read-only
		t.Fatal(err)
	}
	if err := os.WriteFile(helpers, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// suite is how a run of franz-go's tests ended.
type suite struct {
	outcome map[string]string // by test: pass, fail, skip
	text    map[string]string
	took    time.Duration
}

// runSuite runs the tests (those of WEIR_FRANZ_RUN if set) and leaves what they
// say in the file log.
func runSuite(t *testing.T, dir, log string, env []string) suite {
	t.Helper()
	t.Logf("%s follows what happens", log)
	s := suite{outcome: map[string]string{}, text: map[string]string{}}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "-count=1", "-timeout", "20m", "-run", os.Getenv("WEIR_FRANZ_RUN"), "./pkg/kgo")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all bytes.Buffer
	cmd.Stdout = io.MultiWriter(f, &all)
	begin := time.Now()
	err = cmd.Run()
	out := all.Bytes()
	s.took = time.Since(begin).Round(time.Second)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Action {
		case "output":
			s.text[e.Test] += e.Output
		case "pass", "fail", "skip":
			s.outcome[e.Test] = e.Action
		}
	}
	delete(s.outcome, "") // the package
	if len(s.outcome) == 0 {
		t.Fatalf("no test ran: %v\n%s", err, tail(out, 2000))
	}
	return s
}
