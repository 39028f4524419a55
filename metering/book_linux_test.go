package metering

import (
	"os"

	"golang.org/x/sys/unix"
)

// unlock gives the lock up as the end of the process would; a mapping holds the file open.
func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
