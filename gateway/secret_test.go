package gateway

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind of secret file is warned of when others may read it.
func TestOpenSecretsAreNamed(t *testing.T) {
	dir := t.TempDir()
	names := []string{"redis", "token", "pepper", "sasl", "redis.key", "pool.key", "admin.key", "listener.key"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &Config{
		dir:   dir,
		Redis: RedisConfig{PasswordFile: "redis", TLS: &ClientTLSConfig{KeyFile: "redis.key"}},
		Admin: AdminConfig{TokenKeyFile: "token", TLS: &ServerTLSConfig{KeyFile: "admin.key"}},
		Auth:  AuthConfig{PepperFile: "pepper"},
		Pools: []PoolConfig{{TLS: &ClientTLSConfig{KeyFile: "pool.key"}, SASL: &SASLConfig{PasswordFile: "sasl"}}, {}},
		Listeners: []ListenerConfig{
			{TLS: &ServerTLSConfig{KeyFile: "listener.key"}}, {},
		},
	}
	var log strings.Builder
	c.warnOpenSecrets(slog.New(slog.NewTextHandler(&log, nil)))
	if log.Len() > 0 {
		t.Errorf("files of mode 600 are warned of: %s", &log)
	}
	for _, name := range names {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.warnOpenSecrets(slog.New(slog.NewTextHandler(&log, nil)))
	for _, name := range names {
		if !strings.Contains(log.String(), "file="+name+" ") {
			t.Errorf("%s is not named in: %s", name, &log)
		}
	}
}
