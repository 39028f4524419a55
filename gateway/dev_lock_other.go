//go:build !unix

package gateway

import "os"

// lockFile locks nothing here: two processes in one data folder are not noticed.
func lockFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
}
