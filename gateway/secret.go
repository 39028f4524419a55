package gateway

import (
	"bytes"
	"os"
	"path/filepath"
)

const (
	// minTokenKeyBytes is the size of SHA-256's output: RFC 7518 3.2 demands at
	// least as much for HS256.
	minTokenKeyBytes = 32
	// minPepperBytes is 128 bits: not to be guessed.
	minPepperBytes = 16
)

// readSecret returns what the file holds without its trailing newline. A
// relative name counts from dir.
func readSecret(dir, file string) ([]byte, error) {
	data, err := os.ReadFile(resolve(dir, file))
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(data, "\r\n"), nil
}

func resolve(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}
