//go:build !linux

package metering

import (
	"errors"
	"os"
)

func unlock(*os.File) error { return nil }

func mountSmall(string, int) error { return errors.ErrUnsupported }

func unmountSmall(string) {}
