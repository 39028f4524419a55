package gateway

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"weir/tenancy"
)

const (
	// minTokenKeyBytes is the size of SHA-256's output: RFC 7518 3.2 demands at
	// least as much for HS256.
	minTokenKeyBytes = 32
	// minPepperBytes is 128 bits: not to be guessed.
	minPepperBytes = 16
	// minSealKeyBytes is tenancy.NewSealer's.
	minSealKeyBytes = 32
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

// sealer is made of the key files; nil without any.
func (c *Config) sealer() (*tenancy.Sealer, error) {
	if len(c.Secrets.KeyFiles) == 0 {
		return nil, nil //nolint:nilnil // no sealer is a choice
	}
	var keys [][]byte
	for _, file := range c.Secrets.KeyFiles {
		key, err := readSecret(c.dir, file)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return tenancy.NewSealer(keys...)
}

func resolve(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// warnOpenSecrets names the secret files that other users of the machine may
// read. Only a warning: Kubernetes mounts secrets that way unless told otherwise.
func (c *Config) warnOpenSecrets(log *slog.Logger) {
	for _, file := range c.secretFiles() {
		if info, err := os.Stat(resolve(c.dir, file)); err == nil && info.Mode().Perm()&0o004 != 0 {
			log.Warn("secret file can be read by every user of this machine", "file", file, "try", "chmod 600")
		}
	}
}

// secretFiles are all that the configuration names.
func (c *Config) secretFiles() []string {
	files := append([]string{c.Redis.PasswordFile, c.Admin.TokenKeyFile, c.Auth.PepperFile}, c.Secrets.KeyFiles...)
	clients, servers := []*ClientTLSConfig{c.Redis.TLS}, []*ServerTLSConfig{c.Admin.TLS}
	for _, p := range c.Pools {
		clients = append(clients, p.TLS)
		if p.SASL != nil {
			files = append(files, p.SASL.PasswordFile)
		}
	}
	for _, l := range c.Listeners {
		servers = append(servers, l.TLS)
	}
	for _, t := range clients {
		if t != nil {
			files = append(files, t.KeyFile)
		}
	}
	for _, t := range servers {
		if t != nil {
			files = append(files, t.KeyFile)
		}
	}
	return slices.DeleteFunc(files, func(file string) bool { return file == "" })
}
