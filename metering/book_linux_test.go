package metering

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// unlock gives the lock up as the end of the process would; a mapping holds the file open.
func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

func mountSmall(dir string, size int) error {
	return unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size))
}

func unmountSmall(dir string) { unix.Unmount(dir, unix.MNT_DETACH) }
