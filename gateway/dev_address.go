package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
)

// address is a host and port to bind and to tell clients.
type address struct {
	host string
	port int
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// checkAddress refuses what is no address, and what other machines could reach
// unless that was asked for.
func checkAddress(flag, text string, allowRemote bool) (address, error) {
	host, portText, err := net.SplitHostPort(text)
	port, perr := strconv.ParseUint(portText, 10, 16)
	if err != nil || perr != nil {
		return address{}, userError("usage", nil, []string{"weir dev " + flag + " 127.0.0.1:0      any free port; the files follow"},
			"%s %s: want host:port", flag, text)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return address{host, int(port)}, nil
	}
	if !allowRemote {
		return address{}, userError("remote-not-allowed", nil,
			[]string{"weir dev " + flag + " " + text + " --allow-remote      if you mean it: this is not for production"},
			"%s %s can be reached from other machines", flag, text)
	}
	if flag == "--listen" && wildcard(host) {
		return address{}, userError("usage", nil, []string{"weir dev --listen <this machine's address>:" + portText + " --allow-remote"},
			"%s %s names no host, and clients must be told one", flag, text)
	}
	return address{host, int(port)}, nil
}

// certHosts are the names that the server's certificate must carry.
func certHosts(listen string) []string {
	hosts := []string{"127.0.0.1", "::1", "localhost", "*." + devDomain}
	if slices.Contains(hosts, listen) {
		return hosts
	}
	return append(hosts, listen)
}

// freePorts finds n ports in a row that nobody listens on now, and returns the first.
func freePorts(ctx context.Context, host string, n int) (int, error) {
	var last error
	for range 50 {
		first, err := probe(ctx, address{host, 0})
		if err != nil {
			return 0, fmt.Errorf("no free port on %s: %w", host, err)
		}
		for i := 1; i < n && err == nil; i++ {
			_, err = probe(ctx, address{host, first + i})
		}
		if err == nil {
			return first, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no %d free ports in a row on %s: %w", n, host, last)
}

// probe binds and lets go again.
func probe(ctx context.Context, a address) (port int, err error) {
	if a.port > 65535 {
		return 0, fmt.Errorf("%s is no port", a)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.String())
	if err != nil {
		return 0, err
	}
	tcp, _ := l.Addr().(*net.TCPAddr)
	return tcp.Port, l.Close()
}

// portInUse turns a failed bind into an error that names who has the port.
func portInUse(err error, o DevOptions) error {
	var op *net.OpError
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	addr := op.Addr.String()
	by, ours := "another process", false
	if tcp, ok := op.Addr.(*net.TCPAddr); ok {
		if name, pid := holder("/proc", tcp.Port); pid > 0 {
			by, ours = fmt.Sprintf("%s (pid %d)", name, pid), name == "weir"
		}
	}
	// Who has one of our ports often has the others too: another weir dev.
	command := "weir dev"
	if o.DataDir != defaultDataDir {
		command += " --data-dir " + shellWord(o.DataDir)
	}
	try := []string{command + " --listen 127.0.0.1:0 --admin 127.0.0.1:0      free ports; the files follow"}
	if addr == o.Listen && len(o.Kafka) == 0 && !ours {
		try = append(try, fmt.Sprintf("%s --listen 127.0.0.1:0 --kafka %s    if it speaks Kafka: put Weir in front of it", command, addr))
	}
	return userError("port-in-use", err, try, "%s is in use by %s", addr, by)
}
