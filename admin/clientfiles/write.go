package clientfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// File names that Write creates.
const (
	PropertiesFile = "client.properties"
	KcatFile       = "kcat.conf"
	EnvFile        = "client.env"
	CAFile         = "ca.pem"
)

// maxKcatLine is where kcat 1.7 cuts a line of its configuration file.
const maxKcatLine = 511

// Write makes dir (mode 0700) and writes client.properties, kcat.conf,
// client.env, ca.pem (if there is a CA) and a .gitignore that keeps them all out
// of a repository, each with mode 0600 and each replaced atomically. The files
// work from any directory.
func Write(dir string, c Connection) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("client files for %s: %w", dir, err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca := ""
	if c.TLS && len(c.CA) > 0 {
		ca = filepath.Join(dir, CAFile)
	}
	kcat, err := kcatConf(c, ca)
	if err != nil {
		return err
	}
	files := []struct{ name, content string }{
		{".gitignore", "*\n"},
		{CAFile, string(c.CA)},
		{PropertiesFile, properties(c)},
		{KcatFile, kcat},
		{EnvFile, env(c, ca)},
	}
	for _, f := range files {
		if f.name == CAFile && ca == "" {
			continue
		}
		if err := writeAtomically(filepath.Join(dir, f.name), []byte(f.content)); err != nil {
			return err
		}
	}
	return nil
}

// properties is what Kafka's Java clients and tools read (--command-config). The
// CA stands in it on one line, because a relative ssl.truststore.location is
// looked up from wherever the client is started.
func properties(c Connection) string {
	module := "org.apache.kafka.common.security.scram.ScramLoginModule"
	if c.Mechanism == plain {
		module = "org.apache.kafka.common.security.plain.PlainLoginModule"
	}
	jaas := fmt.Sprintf("%s required username=%s password=%s;", module, jaasQuote(c.Username), jaasQuote(c.Password))
	lines := [][2]string{
		{"bootstrap.servers", strings.Join(c.Bootstrap, ",")},
		{"security.protocol", c.securityProtocol()},
		{"sasl.mechanism", c.Mechanism},
		{"sasl.jaas.config", jaas},
	}
	if c.TLS && len(c.CA) > 0 {
		lines = append(lines,
			[2]string{"ssl.truststore.type", "PEM"},
			[2]string{"ssl.truststore.certificates", strings.TrimSpace(string(c.CA))})
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l[0] + "=" + propertiesEscape(l[1]) + "\n")
	}
	return b.String()
}

// Properties is the content of client.properties.
func (c Connection) Properties() (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	return properties(c), nil
}

// kcatConf is for kcat -F and any librdkafka. PLAIN, because Debian's kcat
// (librdkafka 2.0.2) was seen to fail SCRAM against Kafka itself; the channel
// is encrypted. ca is an absolute path: kcat cuts lines at 511 bytes, so that
// an inline certificate never fits.
func kcatConf(c Connection, ca string) (string, error) {
	lines := []string{
		"bootstrap.servers=" + strings.Join(c.Bootstrap, ","),
		"security.protocol=" + strings.ToLower(c.securityProtocol()),
		"sasl.mechanisms=" + plain,
		"sasl.username=" + c.Username,
		"sasl.password=" + c.Password,
	}
	if ca != "" {
		lines = append(lines, "ssl.ca.location="+ca)
	}
	for _, l := range lines {
		if len(l) > maxKcatLine {
			key, _, _ := strings.Cut(l, "=")
			return "", fmt.Errorf("%s: %s takes %d bytes, kcat reads at most %d; use a shorter one", KcatFile, key, len(l), maxKcatLine)
		}
	}
	return strings.Join(lines, "\n") + "\n", nil
}

// env can be sourced by a shell, and read by what knows no quoting
// (docker --env-file) as long as no value needs quotes.
func env(c Connection, ca string) string {
	lines := [][2]string{
		{"KAFKA_BOOTSTRAP_SERVERS", strings.Join(c.Bootstrap, ",")},
		{"KAFKA_SECURITY_PROTOCOL", c.securityProtocol()},
		{"KAFKA_SASL_MECHANISM", c.Mechanism},
		{"KAFKA_SASL_USERNAME", c.Username},
		{"KAFKA_SASL_PASSWORD", c.Password},
	}
	if ca != "" {
		lines = append(lines, [2]string{"KAFKA_CA_FILE", ca})
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l[0] + "=" + shellQuote(l[1]) + "\n")
	}
	return b.String()
}

// writeAtomically replaces path by content with mode 0600: a reader sees the old
// file or the new one, also after a crash.
func writeAtomically(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
