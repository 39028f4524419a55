package parts

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Addresses within every VPC: they are the same ones in all of them, as those of
// real tenants' networks may be.
const (
	VPCClient   = "10.77.0.2" // the tenant's host
	VPCBalancer = "10.77.0.1" // the private endpoint
)

// VPC is a tenant's own network: a network namespace with one host in it, from
// which nothing can be reached but the leg of a load balancer, which is in a
// namespace of its own.
type VPC struct {
	Name string // of the tenant's namespace
	Leg  string // of the balancer's
}

// StartVPCs makes n networks. hosts are what names they resolve, all to
// VPCBalancer. It needs root and iproute2.
func StartVPCs(t testing.TB, n int, hosts []string) []*VPC {
	t.Helper()
	sweepVPCs()
	var all []*VPC
	for i := range n {
		v := &VPC{Name: fmt.Sprintf("weir-%d-vpc%d", os.Getpid(), i), Leg: fmt.Sprintf("weir-%d-leg%d", os.Getpid(), i)}
		t.Cleanup(v.remove)
		inner, outer := fmt.Sprintf("wv%di%d", os.Getpid(), i), fmt.Sprintf("wv%do%d", os.Getpid(), i)
		for _, line := range []string{
			"netns add " + v.Name,
			"netns add " + v.Leg,
			"link add " + inner + " type veth peer name " + outer,
			"link set " + inner + " netns " + v.Name,
			"link set " + outer + " netns " + v.Leg,
			"-n " + v.Name + " addr add " + VPCClient + "/24 dev " + inner,
			"-n " + v.Leg + " addr add " + VPCBalancer + "/24 dev " + outer,
			"-n " + v.Name + " link set " + inner + " up",
			"-n " + v.Leg + " link set " + outer + " up",
			"-n " + v.Name + " link set lo up",
		} {
			if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v\n%s", line, err, out)
			}
		}
		text := "127.0.0.1 localhost\n" + VPCBalancer + " " + strings.Join(hosts, " ") + "\n"
		if err := os.MkdirAll(v.etc(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(v.etc(), "hosts"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// etc is what `ip netns exec` puts over /etc.
func (v *VPC) etc() string { return filepath.Join("/etc/netns", v.Name) }

func (v *VPC) remove() {
	for _, ns := range []string{v.Name, v.Leg} {
		_ = exec.Command("ip", "netns", "del", ns).Run()
	}
	_ = os.RemoveAll(v.etc())
}

// sweepVPCs removes what runs that were killed have left behind.
func sweepVPCs() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		parts := strings.Split(name, "-")
		if len(parts) != 3 || parts[0] != "weir" {
			continue
		}
		if pid, err := strconv.Atoi(parts[1]); err == nil && syscall.Kill(pid, 0) != nil {
			(&VPC{Name: name, Leg: name}).remove()
		}
	}
}

// Command is a program that runs in the network.
func (v *VPC) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", v.Name, name}, args...)...)
}

// Dial connects to the network's balancer from the tenant's host.
func (v *VPC) Dial(ctx context.Context, port int) (net.Conn, error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	there, err := os.Open(filepath.Join("/run/netns", v.Name))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	// A socket belongs to the namespace of the thread that makes it. The thread
	// must come back and live on: it may have started processes, which die with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort(VPCBalancer, strconv.Itoa(port)))
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("a thread is lost in %s: %v", v.Name, back)) // others would run on it
	}
	return conn, err
}
