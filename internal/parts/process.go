package parts

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a started program. It dies with the test.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts a program whose output goes to the file at log.
func Start(t testing.TB, log string, env []string, name string, args ...string) *Process {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		_ = f.Close()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process as kill -9 does, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate sends SIGTERM and returns at once.
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the end of the process.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// The ports that FreePorts gives out: none of them is one that the kernel gives to
// who asks for port 0, or to an outgoing connection.
const firstPort, lastPort = 20_000, 32_000

// nextPort goes round, so that two tests of one process are not given the same port
// at the same time; processes begin at different ones.
var nextPort = struct {
	mu sync.Mutex
	at int
}{at: firstPort + 1009*os.Getpid()%(lastPort-firstPort)}

// FreePorts returns the first of n ports in a row on which nothing listens at this
// moment. Nothing is given out again before all others were.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	nextPort.mu.Lock()
	defer nextPort.mu.Unlock()
	for range lastPort - firstPort {
		first := nextPort.at
		if first+n > lastPort {
			first = firstPort
		}
		busy := busyPort(first, n)
		if busy == 0 {
			nextPort.at = first + n
			return first
		}
		nextPort.at = busy + 1
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

// busyPort is the first of n ports on which something listens, 0 if there is none.
func busyPort(first, n int) int {
	for p := first; p < first+n; p++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return p
		}
		_ = ln.Close()
	}
	return 0
}

// Await calls ok until it is true.
func Await(t testing.TB, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
