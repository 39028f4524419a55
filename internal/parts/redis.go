package parts

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a real redis-server on loopback.
type Redis struct{ *RedisNode }

// StartRedis starts a server that appends every write to disk.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	return startRedis(t, "always")
}

// StartUsualRedis starts a server as they are run: what it appends is on disk within
// a second, and no call waits for that.
func StartUsualRedis(t testing.TB) *Redis {
	t.Helper()
	return startRedis(t, "everysec")
}

func startRedis(t testing.TB, sync string) *Redis {
	t.Helper()
	r := &Redis{newRedisNode(t, FreePorts(t, 1), sync)}
	r.Start()
	return r
}

// URL is where it listens.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Dump is all that the server has, as a backup of it would be.
func (r *Redis) Dump() []byte {
	r.t.Helper()
	r.Do("SAVE")
	dump, err := os.ReadFile(filepath.Join(r.dir, "dump.rdb"))
	if err != nil {
		r.t.Fatal(err)
	}
	return dump
}

// Restore ends the server, and starts it with nothing but what a dump has.
func (r *Redis) Restore(dump []byte) {
	r.t.Helper()
	r.Kill()
	if err := os.RemoveAll(filepath.Join(r.dir, "appendonlydir")); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "dump.rdb"), dump, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.Start("--appendonly", "no") // with yes it would pass the dump over, and begin empty
	Await(r.t, "redis has read its dump", 10*time.Second, func() bool { return r.Info("persistence", "loading") == "0" })
	r.Do("CONFIG", "SET", "appendonly", "yes")
	Await(r.t, "redis appends again", 10*time.Second, func() bool {
		return r.Info("persistence", "aof_rewrite_in_progress") == "0" && r.Info("persistence", "aof_enabled") == "1"
	})
}

// RedisNode is one process of redis-server, alone or one of many.
type RedisNode struct {
	t    testing.TB
	dir  string
	port int
	args []string
	proc *Process
}

// newRedisNode has not started yet. More are arguments as redis-server takes them.
func newRedisNode(t testing.TB, port int, sync string, more ...string) *RedisNode {
	t.Helper()
	n := &RedisNode{t: t, dir: t.TempDir(), port: port}
	n.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", n.dir,
		"--appendonly", "yes", "--appendfsync", sync, "--save", "",
	}, more...)
	return n
}

// Addr is where it listens.
func (n *RedisNode) Addr() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

// Start starts the server, again after Kill; more arguments hold for this time.
func (n *RedisNode) Start(more ...string) {
	n.t.Helper()
	n.run(append(append([]string(nil), n.args...), more...))
}

func (n *RedisNode) run(args []string) {
	n.t.Helper()
	n.proc = Start(n.t, filepath.Join(n.dir, "redis.log"), nil, "redis-server", args...)
	Await(n.t, "redis listens at "+n.Addr(), 10*time.Second, func() bool {
		if n.proc.Ended() {
			n.t.Fatalf("redis-server at %s ended:\n%s", n.Addr(), n.Log())
		}
		c, err := net.Dial("tcp", n.Addr())
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// Kill ends the server as kill -9 does.
func (n *RedisNode) Kill() { n.proc.Kill() }

// Ended says whether it runs no more.
func (n *RedisNode) Ended() bool { return n.proc.Ended() }

// Freeze stops the process where it stands until Thaw.
func (n *RedisNode) Freeze() { _ = syscall.Kill(n.proc.Pid(), syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (n *RedisNode) Thaw() { _ = syscall.Kill(n.proc.Pid(), syscall.SIGCONT) }

// Log is what it has written so far.
func (n *RedisNode) Log() string {
	text, _ := os.ReadFile(filepath.Join(n.dir, "redis.log"))
	return string(text)
}

// Do runs one command by redis-cli, and fails the test if it cannot.
func (n *RedisNode) Do(args ...string) string {
	n.t.Helper()
	out, err := n.Try(args...)
	if err != nil {
		n.t.Fatalf("redis-cli %v at %s: %v: %s", args, n.Addr(), err, out)
	}
	return out
}

// Try runs one command by redis-cli. An error is that there was no answer, or a bad one.
func (n *RedisNode) Try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-cli", append([]string{"-e", "-h", "127.0.0.1", "-p", strconv.Itoa(n.port)}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Info is one field of INFO, "" if there is none or no answer.
func (n *RedisNode) Info(section, field string) string {
	out, _ := n.Try("INFO", section)
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}
