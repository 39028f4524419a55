package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// controlFor sets SO_REUSEPORT where it is asked for.
func controlFor(l Listener) func(network, address string, c syscall.RawConn) error {
	if !l.ReusePort {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		return sockopt(c, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
	}
}

// deafen makes the kernel drop new connection requests to ln, while handshakes
// under way go on and can be accepted. Sockets of one SO_REUSEPORT group have a
// queue each, and closing one resets what is in its queue; a dropped SYN is
// repeated by the client after a second, and meets another socket then.
// (The sysctl net.ipv4.tcp_migrate_req does it too, but is off by default.)
func deafen(ln *net.TCPListener) error {
	c, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	// A socket's filter sees the TCP header, whose byte 13 holds the flags.
	const flags, syn, ack = 13, 0x02, 0x10
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: syn},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // drop
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}, // pass whole
	}
	return sockopt(c, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
}

func sockopt(c syscall.RawConn, set func(fd int) error) error {
	var err error
	if ctl := c.Control(func(fd uintptr) { err = set(int(fd)) }); ctl != nil {
		return ctl
	}
	return err
}
