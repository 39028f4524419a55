package clientfiles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/admin/clientfiles"
)

const pem = "-----BEGIN CERTIFICATE-----\nMIIB+abc/123=\nMIIC\n-----END CERTIFICATE-----\n"

func connection() clientfiles.Connection {
	return clientfiles.Connection{
		Bootstrap: []string{"127.0.0.1:9092", "kafka.example.com:9093"},
		Mechanism: "SCRAM-SHA-512",
		Username:  "demo@demo",
		Password:  "s3cret-_x",
		CA:        []byte(pem),
		TLS:       true,
	}
}

func TestWriteGolden(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b", "orders")
	if err := clientfiles.Write(dir, connection()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		".gitignore": "*\n",
		"ca.pem":     pem,
		"client.properties": `bootstrap.servers=127.0.0.1:9092,kafka.example.com:9093
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="demo@demo" password="s3cret-_x";
ssl.truststore.type=PEM
ssl.truststore.certificates=-----BEGIN CERTIFICATE-----\nMIIB+abc/123=\nMIIC\n-----END CERTIFICATE-----
`,
		"kcat.conf": `bootstrap.servers=127.0.0.1:9092,kafka.example.com:9093
security.protocol=sasl_ssl
sasl.mechanisms=PLAIN
sasl.username=demo@demo
sasl.password=s3cret-_x
ssl.ca.location=` + dir + `/ca.pem
`,
		"client.env": `KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092,kafka.example.com:9093
KAFKA_SECURITY_PROTOCOL=SASL_SSL
KAFKA_SASL_MECHANISM=SCRAM-SHA-512
KAFKA_SASL_USERNAME=demo@demo
KAFKA_SASL_PASSWORD=s3cret-_x
KAFKA_CA_FILE='` + dir + `/ca.pem'
`,
	}
	if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// readAll returns the files of dir by name after it has looked at their modes.
func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", e.Name(), info.Mode().Perm())
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(b)
	}
	return got
}

// Whatever the user and the password are made of, both files say the same again.
func TestLoadReadsWhatWriteWrote(t *testing.T) {
	dir := t.TempDir()
	word := rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Digit, unicode.Punct, unicode.Symbol), 1, 40, 200)
	rapid.Check(t, func(rt *rapid.T) {
		want := connection()
		want.Mechanism = rapid.SampledFrom([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}).Draw(rt, "mechanism")
		want.Username = word.Draw(rt, "username")
		want.Password = word.Draw(rt, "password")
		want.TLS = rapid.Bool().Draw(rt, "tls")
		if !want.TLS {
			want.CA = nil
		}
		if err := clientfiles.Write(dir, want); err != nil {
			rt.Fatal(err)
		}
		for _, name := range []string{clientfiles.PropertiesFile, clientfiles.EnvFile} {
			got, err := clientfiles.Load(filepath.Join(dir, name))
			if err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("%s: %s", name, diff)
			}
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(*clientfiles.Connection){
		"no bootstrap":   func(c *clientfiles.Connection) { c.Bootstrap = nil },
		"bootstrap list": func(c *clientfiles.Connection) { c.Bootstrap = []string{"a:1,b:2"} },
		"mechanism":      func(c *clientfiles.Connection) { c.Mechanism = "GSSAPI" },
		"line feed":      func(c *clientfiles.Connection) { c.Password = "hunter2\nx=y" },
		"trailing space": func(c *clientfiles.Connection) { c.Password = "hunter2 " },
		"empty":          func(c *clientfiles.Connection) { c.Password = "" },
		"not UTF-8":      func(c *clientfiles.Connection) { c.Password = "hunter2\xff" },
		"long line":      func(c *clientfiles.Connection) { c.Bootstrap = []string{strings.Repeat("b", 600) + ":1"} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "x")
			c := connection()
			change(&c)
			err := clientfiles.Write(dir, c)
			if err == nil {
				t.Fatal("written")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is in the error: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, clientfiles.PropertiesFile)); err == nil {
				t.Error("client.properties was written")
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("KAFKA_BOOTSTRAP_SERVERS=a:1\nKAFKA_SECURITY_PROTOCOL=SASL_SSL\nKAFKA_SASL_PASSWORD='a'\\''b'\n")
	f.Add("bootstrap.servers=a:1\nsasl.jaas.config=x required username=\"\\\\u\" password=\"\\u00e9\";\n")
	path := filepath.Join(f.TempDir(), "client.env")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := clientfiles.Load(path); err == nil && (len(c.Bootstrap) == 0 || c.Password == "") {
			t.Errorf("accepted without bootstrap or password")
		}
	})
}
