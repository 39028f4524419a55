//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
)

// acme is a tenant whose certificates are made as docs/client-certificates.md says.
type acme struct {
	*world
	gateway  *gateway
	in       instance
	dir      string
	chapters []string // the page's commands
	hosts    string   // what /etc/hosts would have
}

// TestClientCertificates walks the page, with the openssl and the clients of here: by
// certificate alone, beside SASL, and no more once it is revoked.
func TestClientCertificates(t *testing.T) {
	a := newAcme(t)
	a.sh(a.chapters[0])
	a.sh(a.chapters[1])
	a.write("both.pem", a.read("app.key")+a.read("app.pem"))
	ssl := a.properties("ssl", "security.protocol=SSL", "ssl.keystore.type=PEM", "ssl.keystore.location=both.pem")
	password := a.properties("password", "security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-512", a.jaas())
	both := a.properties("both", "security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-512", a.jaas(),
		"ssl.keystore.type=PEM", "ssl.keystore.location=both.pem")
	kcat := []string{"-X", "ssl.certificate.location=app.pem", "-X", "ssl.key.location=app.key"}
	// Not SCRAM: librdkafka before 2.6.1 sends a wrong nonce, which Kafka 4 refuses, too.
	sasl := []string{"-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=app", "-X", "sasl.password=" + a.in.password}

	must := func(what, out string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	must2 := func(what string) func(string, error) {
		return func(out string, err error) { t.Helper(); must(what, out, err) }
	}
	refused := func(what string, says ...string) func(string, error) {
		return func(out string, err error) {
			t.Helper()
			for _, s := range says {
				if strings.Contains(out, s) {
					return
				}
			}
			t.Errorf("%s: %v, want one of %q in:\n%s", what, err, says, out)
		}
	}
	all := func(check func(what string) func(string, error)) {
		check("java, certificate alone")(a.java(ssl))
		check("java, both")(a.java(both))
		check("kcat, certificate alone")(a.kcat("ssl", kcat...))
		check("kcat, both")(a.kcat("sasl_ssl", append(kcat, sasl...)...))
		check("franz-go, certificate alone")("", a.franz())
		check("franz-go, both")("", a.franz(kgo.SASL(scram.Auth{User: "app", Pass: a.in.password}.AsSha512Mechanism())))
	}
	all(must2)
	must2("java, password alone")(a.java(password))
	a.weir("authentication", "set", "orders", "--require-certificate")
	all(must2)
	refused("java, password alone, certificate required", "Invalid username or password")(a.java(password))
	refused("kcat, password alone, certificate required", "Invalid username or password")(a.kcat("sasl_ssl", sasl...))
	a.weir("authentication", "set", "orders", "--no-require-certificate", "--require-sasl")
	must2("java, both, SASL required")(a.java(both))
	if err := a.franz(); err == nil {
		t.Error("franz-go, certificate alone, SASL required: got in")
	}
	a.weir("authentication", "set", "orders", "--no-require-sasl")

	a.revokeUnderLoad()
	refused("java, revoked", "bad_certificate", "SslAuthenticationException")(a.java(ssl))
	refused("kcat, revoked", "bad certificate")(a.kcat("ssl", kcat...))
	if err := a.franz(); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("franz-go, revoked: %v", err)
	}
	must2("java, password alone")(a.java(password))
}

func newAcme(t *testing.T) *acme {
	t.Helper()
	a := &acme{world: newWorldOn(t, parts.StartKafka(t, 1))}
	a.gateway = a.start("a")
	a.in = a.create(a.gateway, "orders")
	a.createTopic(a.client(a.in), "in", 1)
	a.dir = filepath.Join(a.world.dir, "acme")
	if err := os.Mkdir(a.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(a.world.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a.write("gateway-ca.pem", string(ca))
	a.world.write("token", []byte(a.token))
	a.hosts = filepath.Join(a.world.dir, "hosts")
	a.world.write("hosts", []byte("127.0.0.1 localhost\n127.0.0.1 orders.kafka.localhost\n127.0.0.1 b1-orders.kafka.localhost\n"))
	page, err := os.ReadFile("../docs/client-certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(page), "```sh\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		a.chapters = append(a.chapters, text)
	}
	return a
}

func (a *acme) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *acme) read(name string) string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// sh runs commands as somebody at a shell would, with weir on the path.
func (a *acme) sh(script string) string {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), "sh", "-ec", script)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"),
		"WEIR_SERVER=http://"+a.gateway.admin, "WEIR_TOKEN_FILE="+filepath.Join(a.world.dir, "token"))
	cmd.Stdin = strings.NewReader("y\ny\n") // openssl ca asks
	out, err := cmd.CombinedOutput()
	if err != nil {
		a.t.Fatalf("%v:\n%s\n%s", err, script, out)
	}
	return string(out)
}

func (a *acme) weir(args ...string) string {
	a.t.Helper()
	return a.sh("weir " + strings.Join(args, " "))
}

func (a *acme) address() string { return fmt.Sprintf("orders.kafka.localhost:%d", a.port) }

func (a *acme) jaas() string {
	return fmt.Sprintf(`sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="app" password="%s";`, a.in.password)
}

// properties writes a Java client's configuration.
func (a *acme) properties(name string, lines ...string) string {
	a.t.Helper()
	lines = append(lines, "ssl.truststore.type=PEM", "ssl.truststore.location=gateway-ca.pem", "max.block.ms=15000", "request.timeout.ms=10000")
	a.write(name+".properties", strings.Join(lines, "\n")+"\n")
	return name + ".properties"
}

// java produces a record to "in", as the ACL on the page allows it to app.
func (a *acme) java(props string) (string, error) {
	libs, err := parts.KafkaLibs()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(a.t.Context(), "java", "-Xmx256m", "-Djdk.net.hosts.file="+a.hosts, "-cp", filepath.Join(libs, "*"),
		"org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", a.address(), "--command-config", props, "--topic", "in", "--sync")
	cmd.Dir, cmd.Stdin = a.dir, strings.NewReader("from java\n")
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "ERROR") { // the console producer goes on
		err = fmt.Errorf("it logs an error")
	}
	return string(out), err
}

// kcat produces a record, in a namespace whose /etc/hosts knows the gateway.
func (a *acme) kcat(protocol string, more ...string) (string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	args := append([]string{
		"-rm", "sh", "-c", `mount --bind "$0" /etc/hosts && exec kcat "$@"`, a.hosts, "-P", "-t", "in", "-b", a.address(),
		"-X", "security.protocol=" + protocol, "-X", "ssl.ca.location=gateway-ca.pem", "-X", "message.timeout.ms=10000",
	}, more...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Dir, cmd.Stdin = a.dir, strings.NewReader("from kcat\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// franz produces a record with app's certificate.
func (a *acme) franz(more ...kgo.Opt) error {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(a.address()), kgo.Dialer(a.dial), kgo.DefaultProduceTopic("in"), kgo.RequestRetries(1),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(1), kgo.RecordDeliveryTimeout(15 * time.Second),
	}, more...)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		return err
	}
	return cl.ProduceSync(ctx, kgo.StringRecord("from franz-go")).FirstErr()
}

func (a *acme) dial(ctx context.Context, network, host string) (net.Conn, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(a.dir, "app.pem"), filepath.Join(a.dir, "app.key"))
	if err != nil {
		return nil, err
	}
	name, _, _ := net.SplitHostPort(host)
	d := tls.Dialer{Config: &tls.Config{RootCAs: a.roots, ServerName: name, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	return d.DialContext(ctx, network, a.bootstrap())
}

// revokeUnderLoad takes the certificate away while a client uses it, and says how
// long the client went on.
func (a *acme) revokeUnderLoad() {
	t := a.t
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.address()), kgo.Dialer(a.dial), kgo.DefaultProduceTopic("in"),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(1), kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("before")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	last := make(chan time.Time, 1)
	go func() {
		at := time.Now()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err := cl.ProduceSync(ctx, kgo.StringRecord("under load")).FirstErr()
			cancel()
			if err != nil {
				last <- at
				return
			}
			at = time.Now()
		}
	}()
	// All but the last line makes the list; the last one tells the gateway.
	lines := strings.Split(strings.TrimSpace(a.chapters[2]), "\n")
	a.sh(strings.Join(lines[:len(lines)-1], "\n"))
	begin := time.Now()
	a.sh(lines[len(lines)-1])
	told := time.Now()
	at := <-last
	t.Logf("the last record before the revocation was acknowledged %s after the command began, which took %s", at.Sub(begin), told.Sub(begin))
	if at.After(told) {
		t.Error("a record was acknowledged after the revocation was in force")
	}
}
