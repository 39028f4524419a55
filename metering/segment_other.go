//go:build !linux

package metering

import (
	"errors"
	"os"
)

// canMap: elsewhere than on Linux counters are in memory only; the spool is kept.
const canMap = false

func allocate(*os.File, int64, int64) error        { return errors.ErrUnsupported }
func mapFile(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }
func syncMapped([]byte) error                      { return nil }
func lockFile(*os.File) error                      { return nil }
func isReadOnly(error) bool                        { return false }
