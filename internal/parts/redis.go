package parts

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Redis is a real redis-server on loopback.
type Redis struct {
	t    testing.TB
	dir  string
	port int
	sync string // appendfsync
	proc *Process
}

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
	r := &Redis{t: t, dir: t.TempDir(), port: FreePorts(t, 1), sync: sync}
	r.Start()
	return r
}

// URL is where it listens.
func (r *Redis) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// Start starts the server again after Kill.
func (r *Redis) Start() {
	r.t.Helper()
	r.proc = Start(r.t, filepath.Join(r.dir, "redis.log"), nil, "redis-server", "--port", strconv.Itoa(r.port),
		"--bind", "127.0.0.1", "--dir", r.dir, "--appendonly", "yes", "--appendfsync", r.sync, "--save", "")
	Await(r.t, "redis listens", 10*time.Second, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// Kill ends the server as kill -9 does.
func (r *Redis) Kill() { r.proc.Kill() }
