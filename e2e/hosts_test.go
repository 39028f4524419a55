//go:build real

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
)

const ownHost = "kafka.acme.example"

// openssl runs the tool in the world's folder.
func (w *world) openssl(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "openssl", args...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// certify makes a certificate for the host by the tenant's own CA, with a key of
// openssl's that algorithm names.
func (w *world) certify(name, algorithm string) {
	w.t.Helper()
	if _, err := os.Stat(filepath.Join(w.dir, "acme-ca.pem")); err != nil {
		w.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Acme CA", "-keyout", "acme-ca.key", "-out", "acme-ca.pem")
	}
	w.openssl("req", "-newkey", algorithm, "-pkeyopt", map[bool]string{true: "rsa_keygen_bits:2048", false: "ec_paramgen_curve:P-256"}[algorithm == "rsa"],
		"-nodes", "-subj", "/CN=Acme Kafka", "-addext", "subjectAltName=DNS:"+ownHost+",DNS:*."+ownHost, "-keyout", name+".key", "-out", name+".csr")
	w.openssl("x509", "-req", "-in", name+".csr", "-CA", "acme-ca.pem", "-CAkey", "acme-ca.key", "-CAcreateserial", "-days", "1", "-copy_extensions", "copy", "-out", name+".pem")
}

// weir runs the command line against a gateway.
func (w *world) weir(g *gateway, args ...string) (string, error) {
	w.t.Helper()
	w.write("token", []byte(w.token))
	cmd := exec.CommandContext(w.t.Context(), binary, append(args, "--server", "http://"+g.admin, "--token-file", filepath.Join(w.dir, "token"))...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// atHost is how franz-go connects to a host name that leads to this machine.
func (w *world) atHost(ca string, user, password string, more ...kgo.Opt) []kgo.Opt {
	w.t.Helper()
	pem, err := os.ReadFile(filepath.Join(w.dir, ca))
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return append([]kgo.Opt{
		kgo.SeedBrokers(fmt.Sprintf("%s:%d", ownHost, w.port)),
		kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}}
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()),
	}, more...)
}

// An instance under a host name of its own, with a certificate of its tenant's CA:
// stock clients that know nothing else work, and nobody else's credentials do there.
func TestHostNames(t *testing.T) {
	w := newWorld(t)
	w.write("seal.key", bytes.Repeat([]byte("s"), 32))
	w.more = "secrets: {key_files: [seal.key]}"
	g := w.start("gw")
	orders, other := w.create(g, "orders"), w.create(g, "other")
	w.certify("host", "rsa")
	out, err := w.weir(g, "host", "set", "orders", ownHost, "--certificate", filepath.Join(w.dir, "host.pem"), "--key", filepath.Join(w.dir, "host.key"))
	if err != nil || !strings.Contains(out, fmt.Sprintf("%s:%d", ownHost, w.port)) {
		t.Fatalf("host set: %v\n%s", err, out)
	}
	if out, err = w.weir(g, "host", "list", "orders"); err != nil || !strings.Contains(out, "warning: the certificate of "+ownHost) {
		t.Errorf("a certificate for a day, without a warning: %v\n%s", err, out)
	}

	t.Run("java", func(t *testing.T) { w.javaAtHost(t, orders, other) })
	t.Run("franz-go", func(t *testing.T) { w.franzAtHost(t, g, other) })
	t.Run("what is shown", func(t *testing.T) {
		for name, want := range map[string]string{
			ownHost: "Acme Kafka", "b7." + ownHost: "Acme Kafka", strings.ToUpper(ownHost): "Acme Kafka",
			"unknown.example": "weir e2e", "orders.kafka.localhost": "weir e2e", "127.0.0.1": "weir e2e", strings.Repeat("a", 255): "weir e2e",
		} {
			cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", w.bootstrap(), "-servername", name)
			out, err := cmd.CombinedOutput() // without standard input it ends after the handshake
			if !strings.Contains(string(out), "CN = "+want+"\n") {
				t.Errorf("%.40s: %v, want %s\n%s", name, err, want, tail(out, 1500))
			}
		}
	})
}

// javaAtHost is for Java's clients: names as its hosts file has them, verified as
// always, by the tenant's CA alone.
func (w *world) javaAtHost(t *testing.T, in, other instance) {
	var hosts strings.Builder
	hosts.WriteString("127.0.0.1 " + ownHost)
	for node := range 4 {
		fmt.Fprintf(&hosts, "\n127.0.0.1 b%d.%s", node, ownHost)
	}
	w.write("hosts", []byte(hosts.String()+"\n"))
	t.Setenv("JAVA_TOOL_OPTIONS", "-Djdk.net.hosts.file="+filepath.Join(w.dir, "hosts"))
	bootstrap := fmt.Sprintf("%s:%d", ownHost, w.port)
	properties := func(name, user, password string) string {
		w.write(name, fmt.Appendf(nil, `bootstrap.servers=%s
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, bootstrap, user, password, filepath.Join(w.dir, "acme-ca.pem")))
		return filepath.Join(w.dir, name)
	}
	right := properties("host.properties", "app", in.password) // no @: the name says the instance
	tool := func(class, config string, args ...string) (string, error) {
		return parts.Tool(t, class, append([]string{"--bootstrap-server", bootstrap, "--command-config", config}, args...)...)
	}
	if out, err := tool("org.apache.kafka.tools.TopicCommand", right, "--create", "--topic", "bills", "--partitions", "6"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := parts.Tool(t, "org.apache.kafka.tools.ProducerPerformance", "--topic", "bills", "--num-records", "5000", "--throughput", "-1",
		"--record-size", "100", "--bootstrap-server", bootstrap, "--command-config", right); err != nil || !strings.Contains(out, "5000 records sent") {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := tool("org.apache.kafka.tools.consumer.ConsoleConsumer", right, "--topic", "bills", "--from-beginning", "--max-messages", "5000", "--timeout-ms", "60000", "--group", "g")
	if err != nil || !strings.Contains(out, "Processed a total of 5000 messages") {
		t.Fatalf("%v\n%s", err, tail([]byte(out), 1000))
	}
	for user, password := range map[string]string{"app": other.password, "app@other": other.password, "app@orders": "wrong"} {
		out, err := tool("org.apache.kafka.tools.TopicCommand", properties("wrong.properties", user, password), "--list")
		if err == nil || !strings.Contains(out, "Authentication failed: Invalid username or password") {
			t.Errorf("%s with another's password: %v\n%s", user, err, out)
		}
	}
}

// franzAtHost writes through the host while its certificate is replaced, and until
// the name is taken away.
func (w *world) franzAtHost(t *testing.T, g *gateway, other instance) {
	var in instance
	w.call(g, "POST", "/v1/instances/orders/users", `{"name":"franz","password":"a password for franz"}`, 201, nil)
	in.user, in.password = "franz", "a password for franz"
	cl, err := kgo.NewClient(w.atHost("acme-ca.pem", in.user, in.password, kgo.DefaultProduceTopic("bills"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var written atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
				ended <- err
				return
			}
			written.Add(1)
		}
	}()
	for i := range 5 {
		before := written.Load()
		parts.Await(t, "more records", 30*time.Second, func() bool { return written.Load() > before })
		name := fmt.Sprint("renewed", i)
		w.certify(name, "ec")
		if out, err := w.weir(g, "host", "set", "orders", ownHost, "--certificate", filepath.Join(w.dir, name+".pem"), "--key", filepath.Join(w.dir, name+".key")); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for user, password := range map[string]string{"app": other.password, other.user: other.password, "franz@other": in.password} {
		wrong, err := kgo.NewClient(w.atHost("acme-ca.pem", user, password)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := wrong.Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s with another's password: %v", user, err)
		}
		wrong.Close()
	}
	select {
	case err := <-ended:
		t.Fatalf("while the certificate was replaced: %v", err)
	default:
	}
	t.Logf("%d records while the certificate was replaced five times, 0 errors", written.Load())

	if out, err := w.weir(g, "host", "delete", "orders", ownHost, "--yes"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	parts.Await(t, "the gateway says why it has closed the session", 30*time.Second, func() bool {
		text, _ := os.ReadFile(g.log)
		return strings.Contains(string(text), "reason=host-name-removed")
	})
	cl.Close() // a record that may have been written already is given up only so
	<-ended
	again, err := kgo.NewClient(w.atHost("acme-ca.pem", in.user, in.password)...)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := again.Ping(ctx); err == nil {
		t.Error("the removed host name still leads to the instance")
	}
	if out, err := w.weir(g, "host", "set", "orders", ownHost, "--certificate", filepath.Join(w.dir, "host.pem"), "--key", filepath.Join(w.dir, "host.key")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
