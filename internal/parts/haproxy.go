package parts

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// HAProxy is a real load balancer.
type HAProxy struct {
	*Process
	log string
}

// StartHAProxy starts one with a configuration and waits until it listens at all
// addresses, host:port. Its log is what it writes to standard error.
func StartHAProxy(t testing.TB, config string, addrs ...string) *HAProxy {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &HAProxy{log: filepath.Join(dir, "haproxy.log")}
	h.Process = Start(t, h.log, nil, "haproxy", "-db", "-f", file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of haproxy:\n%s", h.Log())
		}
	})
	for _, addr := range addrs {
		Await(t, "haproxy listens at "+addr, 10*time.Second, func() bool {
			if h.Ended() {
				t.Fatalf("haproxy ended:\n%s", h.Log())
			}
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
	}
	return h
}

// Log is what it has written so far.
func (h *HAProxy) Log() string {
	text, _ := os.ReadFile(h.log)
	return string(text)
}
