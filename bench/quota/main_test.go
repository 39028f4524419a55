//go:build bench

package quota_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// roleVariable makes a process of this binary something else than the tests: what
// loads the machine must not share a scheduler with what is measured.
const roleVariable = "WEIR_BENCH_ROLE"

// roles by name; each reads what it needs to know from its argument, as JSON.
func roles() map[string]func(arg []byte) error {
	return map[string]func([]byte) error{"brokers": runBrokers, "clients": runClients, "quiet": runQuiet}
}

// program is weir, built once for all tests.
var program string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := roles()[role]([]byte(os.Args[1])); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "weir-bench")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "weir")
	build := exec.Command("go", "build", "-o", program, "weir/cmd/weir")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// argument is what a role is told.
func argument(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
