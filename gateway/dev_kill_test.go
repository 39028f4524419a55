package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helperEnv, when set, is the data folder of a `weir dev` that this test
// binary is to be, so that another test can kill it.
const helperEnv = "WEIR_TEST_DEV_DIR"

// TestHelperDev is no test: it runs until it is killed, and only where
// TestDevSurvivesKill started it.
func TestHelperDev(t *testing.T) {
	dir := os.Getenv(helperEnv)
	if dir == "" {
		return
	}
	err := Dev(context.Background(), DevOptions{
		DataDir: dir, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Quiet: true, Out: os.Stdout, Err: os.Stderr,
	}, nil)
	t.Fatal(err)
}

// TestDevSurvivesKill: after kill -9 at any moment the next start has every
// record that was acknowledged and every instance that was answered.
func TestDevSurvivesKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".weir")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperDev$")
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan() && s.Text() != "ready"; {
	}
	killed := &running{t: t, dir: dir}
	if err := json.Unmarshal([]byte(killed.file("dev.json")), &killed.info); err != nil {
		t.Fatal(err)
	}
	killed.produce("hello", 1000)
	token := strings.TrimSpace(killed.file("admin.token"))
	status, answer := request(t.Context(), "POST", killed.info.Admin+"/v1/instances", token, []byte(`{"name":"orders"}`))
	if status != 201 {
		t.Fatalf("creating an instance: %d %s", status, answer)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // says that it was killed

	again := startDev(t, DevOptions{DataDir: dir})
	again.consume("hello", 1000)
	if got := again.get("/v1/instances"); !strings.Contains(got, `"name":"orders"`) {
		t.Errorf("the instance is lost: %s", got)
	}
}
