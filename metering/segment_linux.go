package metering

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canMap: counters can be shared with the kernel.
const canMap = true

// allocate makes the disk give n bytes from an offset on.
func allocate(f *os.File, from, n int64) error {
	return again(func() error { return unix.Fallocate(int(f.Fd()), 0, from, n) })
}

func mapFile(f *os.File, from int64, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), from, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func syncMapped(mem []byte) error {
	return again(func() error { return unix.Msync(mem, unix.MS_SYNC) })
}

// lockFile takes the file's lock, which ends with the process. errAlive if another one has it.
func lockFile(f *os.File) error {
	err := again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errAlive
	}
	return err
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
