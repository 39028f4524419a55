package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Versions of what is brought. Kafka's own stands in deploy/kafka/pom.xml too.
const (
	KafkaVersion          = "4.3.1"
	OlderKafkaVersion     = "3.9.2" // the last line before 4.0
	confluentKafkaVersion = "2.16.1"
	kafkaPythonVersion    = "3.0.12"
	kafkajsVersion        = "2.2.4"
)

// debian says which package brings a command.
var debian = map[string]string{
	"javac":        "openjdk-17-jdk-headless",
	"mvn":          "maven",
	"redis-server": "redis-server",
	"haproxy":      "haproxy",
	"kcat":         "kcat",
	"python3":      "python3-venv",
	"node":         "nodejs",
	"npm":          "npm",
}

// Dir is where downloaded parts are kept between runs and checkouts.
func Dir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "weir-parts"), nil
}

// KafkaLibs is the folder of the jars of Kafka, its tools, clients and Streams.
func KafkaLibs() (string, error) { return kafkaLibs(KafkaVersion) }

func kafkaLibs(version string) (string, error) {
	dir, err := Dir()
	return filepath.Join(dir, "kafka-"+version), err
}

// Python is the interpreter that has confluent-kafka and kafka-python.
func Python() (string, error) {
	dir, err := Dir()
	return filepath.Join(dir, "python", "bin", "python3"), err
}

// NodeModules is the folder that holds kafkajs.
func NodeModules() (string, error) {
	dir, err := Dir()
	return filepath.Join(dir, "node", "node_modules"), err
}

// Provision installs what is missing, as far as this machine lets it, and
// returns one error for each part that cannot be had.
func Provision(ctx context.Context, root string, out io.Writer) []error {
	errs := commands(ctx, out)
	for _, step := range []func(context.Context, string, io.Writer) error{kafka, olderKafka, pythonClients, kafkajs} {
		if err := step(ctx, root, out); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// commands installs missing commands from Debian's packages.
func commands(ctx context.Context, out io.Writer) []error {
	var missing, packages []string
	for name, pkg := range debian {
		if _, err := exec.LookPath(name); err != nil {
			missing, packages = append(missing, name), append(packages, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		_ = run(ctx, "", out, "apt-get", "update", "-qq")
		_ = run(ctx, "", out, "apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)...)
	}
	var errs []error
	for i, name := range missing {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, fmt.Errorf("%s: not installed (Debian: apt-get install %s)", name, packages[i]))
		}
	}
	return errs
}

// kafka brings the broker, its tools, the Java client and Streams.
func kafka(ctx context.Context, root string, out io.Writer) error {
	return kafkaOf(ctx, root, KafkaVersion, out)
}

// olderKafka brings the broker of the line before.
func olderKafka(ctx context.Context, root string, out io.Writer) error {
	return kafkaOf(ctx, root, OlderKafkaVersion, out)
}

func kafkaOf(ctx context.Context, root, version string, out io.Writer) error {
	libs, err := kafkaLibs(version)
	if err != nil {
		return err
	}
	pom := filepath.Join(root, "deploy", "kafka", "pom.xml")
	text, err := os.ReadFile(pom)
	if err != nil || done(libs, string(text)) {
		return err
	}
	err = run(ctx, "", out, "mvn", "-q", "-B", "-f", pom, "-Dkafka.version="+version,
		"dependency:copy-dependencies", "-DoutputDirectory="+libs)
	return finish(libs, string(text), "Apache Kafka "+version+" (Maven)", err)
}

// pythonClients brings librdkafka's Python client and the one in pure Python.
func pythonClients(ctx context.Context, _ string, out io.Writer) error {
	python, err := Python()
	if err != nil {
		return err
	}
	dir, want := filepath.Dir(filepath.Dir(python)), []string{"confluent-kafka==" + confluentKafkaVersion, "kafka-python==" + kafkaPythonVersion}
	if done(dir, strings.Join(want, " ")) {
		return nil
	}
	err = errors.Join(run(ctx, "", out, "python3", "-m", "venv", dir),
		run(ctx, "", out, python, append([]string{"-m", "pip", "install", "-q"}, want...)...))
	return finish(dir, strings.Join(want, " "), strings.Join(want, ", ")+" (PyPI)", err)
}

// kafkajs brings the JavaScript client.
func kafkajs(ctx context.Context, _ string, out io.Writer) error {
	modules, err := NodeModules()
	if err != nil {
		return err
	}
	dir := filepath.Dir(modules)
	if done(dir, kafkajsVersion) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	err = run(ctx, dir, out, "npm", "install", "--silent", "--no-audit", "--no-fund", "kafkajs@"+kafkajsVersion)
	return finish(dir, kafkajsVersion, "kafkajs "+kafkajsVersion+" (npm)", err)
}

// done says whether dir is there as a whole, as it is wanted now: its mark is
// written last and says what was asked for.
func done(dir, want string) bool {
	text, err := os.ReadFile(filepath.Join(dir, ".complete"))
	return err == nil && string(text) == want
}

func finish(dir, want, what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return os.WriteFile(filepath.Join(dir, ".complete"), []byte(want), 0o600)
}

// run runs a command to its end; its output follows only if it fails.
func run(ctx context.Context, dir string, out io.Writer, name string, args ...string) error {
	_, _ = fmt.Fprintf(out, "+ %s %s\n", name, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	text, err := cmd.CombinedOutput()
	if err != nil {
		_, _ = out.Write(text)
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
