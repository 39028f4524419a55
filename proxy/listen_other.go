//go:build !linux

package proxy

import (
	"errors"
	"net"
	"syscall"
)

// controlFor: shared ports are balanced on Linux only.
func controlFor(l Listener) func(network, address string, c syscall.RawConn) error {
	if !l.ReusePort {
		return nil
	}
	return func(string, string, syscall.RawConn) error {
		return errors.New("reuse_port works on linux only")
	}
}

func deafen(*net.TCPListener) error { return errors.New("works on linux only") }
