package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// controlFor sets SO_REUSEPORT where it is asked for.
func controlFor(l Listener) func(network, address string, c syscall.RawConn) error {
	if !l.ReusePort {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctl := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); ctl != nil {
			return ctl
		}
		return err
	}
}
