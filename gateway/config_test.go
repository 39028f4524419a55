package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/proxy"
)

// writeSecrets makes every file that deploy/weir.yaml and the cases name, under dir/secrets.
func writeSecrets(t *testing.T, dir string) {
	t.Helper()
	certs := devCerts{dir: t.TempDir()}
	if _, err := certs.ensure(time.Now(), []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	secret := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, "secrets", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]string{
		"kafka-server.pem": certs.serverFile(), "kafka-server.key": certs.serverKey(), "kafka-ca.pem": certs.caFile(),
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		secret(name, data)
	}
	secret("kafka-password", []byte("secret\n"))
	secret("token-key", []byte(strings.Repeat("k", 32)+"\n"))
	secret("pepper", []byte(strings.Repeat("p", 16)))
	secret("seal.key", []byte(strings.Repeat("s", 32)))
	secret("short", []byte("short\n"))
}

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir) // so that messages have no random folder in them
	writeSecrets(t, dir)
	if err := os.WriteFile("weir.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load("weir.yaml")
}

func TestExampleLoads(t *testing.T) {
	text, err := os.ReadFile("../deploy/weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := load(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.assemble(discardLog(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer a.rdb.Close()
	if got := string(a.admin.TokenKey); got != strings.Repeat("k", 32) {
		t.Errorf("token key is %q, want it without the newline", got)
	}
	if got, want := a.faces.endpoints("orders"), []string{"orders.kafka.example.com:9092", "gateway.example.com:9192"}; !cmp.Equal(got, want) {
		t.Errorf("endpoints: %v, want %v", got, want)
	}
	if got := a.faces.username("orders", "alice"); got != "alice@orders" {
		t.Errorf("user name: %s, want alice@orders, which every listener understands", got)
	}
}

// TestExampleShowsEveryKey: what is commented out in the example is right, too.
func TestExampleShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile("../deploy/weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range allKeys() {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("deploy/weir.yaml does not show %s", key)
		}
	}
}

const good = `
redis: {url: "redis://127.0.0.1:6379"}
pools:
  - name: main
    bootstrap: [127.0.0.1:9092]
listeners:
  - address: 127.0.0.1:9192
    plaintext: true
    brokers: [{pool: main, host: 127.0.0.1, first_port: 9193, nodes: [4, 7]}]
admin: {address: "127.0.0.1:9080", token_key_file: secrets/token-key}
auth: {pepper_file: secrets/pepper}
`

func TestLoad(t *testing.T) {
	c, err := load(t, good+"limits: {upstream_idle: 1m30s}\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.DefaultPool != "main" || len(c.Plans) != 1 || c.Limits.UpstreamIdle != 90*time.Second {
		t.Errorf("default pool %q, plans %v, upstream_idle %s", c.DefaultPool, c.Plans, c.Limits.UpstreamIdle)
	}
	f, err := c.faces(discardLog())
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]map[int32]proxy.HostPort{"main": {4: {Host: "127.0.0.1", Port: 9193}, 7: {Host: "127.0.0.1", Port: 9194}}}
	want := []proxy.Listener{
		{Address: "127.0.0.1:9192", Node: proxy.AnyNode, Ports: ports},
		{Address: "127.0.0.1:9193", Node: 4, Pool: "main", Ports: ports},
		{Address: "127.0.0.1:9194", Node: 7, Pool: "main", Ports: ports},
	}
	if diff := cmp.Diff(want, f.listeners); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	c.Listeners[0].SNI = &SNIConfig{Domain: "kafka.example.com"}
	if f, err = c.faces(discardLog()); err != nil {
		t.Fatal(err)
	}
	for i, l := range f.listeners {
		if (l.SNI != nil) != (i == 0) {
			t.Errorf("listener %d routes by host name: %t; a broker's own port stands for that broker only", i, l.SNI != nil)
		}
	}
	if !f.plaintext {
		t.Error("clients would be told SASL_SSL")
	}
}

// TestMistakes holds every mistake's place and words. Each case of
// testdata/mistakes is a file, and beside it what `weir check` says of it.
func TestMistakes(t *testing.T) {
	cases, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := filepath.Abs(strings.TrimSuffix(file, ".yaml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			_, err = load(t, string(text))
			var ce *ConfigError
			if !errors.As(err, &ce) {
				t.Fatalf("error is %v, want a *ConfigError", err)
			}
			got := ce.Error() + "\n"
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got; UPDATE_GOLDEN=1 writes them):\n%s", diff)
			}
		})
	}
}

func TestLoadNoFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	var ce *ConfigError
	if !errors.As(err, &ce) || len(ce.Mistakes) != 1 || ce.Mistakes[0].Code != codeFile {
		t.Errorf("error is %v", err)
	}
}

// FuzzLoad: no text makes Load panic.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("a: [\n")
	f.Add("redis: &a {url: x}\npools: *a")
	f.Add("? {a: b}\n: c")
	f.Add("--- a\n--- b")
	f.Add("<<: {redis: {}}")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(file); (c == nil) == (err == nil) {
			t.Errorf("config %v, error %v", c, err)
		}
	})
}
