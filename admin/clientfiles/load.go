package clientfiles

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxFileBytes bounds a file that Load reads; ours have about 2 KiB.
const maxFileBytes = 1 << 20

// Load reads a connection back from a client.properties or a client.env, told
// apart by what is in them. Other keys are ignored. Errors name the file and
// the key, never a value.
func Load(path string) (Connection, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Connection{}, err
	}
	if info.Size() > maxFileBytes {
		return Connection{}, fmt.Errorf("%s has %d bytes; a client file has at most %d", path, info.Size(), maxFileBytes)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Connection{}, err
	}
	c, err := parse(string(raw), filepath.Dir(path))
	if err != nil {
		return Connection{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parse(text, dir string) (Connection, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, raw, ok := strings.Cut(line, "=")
		if !ok {
			return Connection{}, fmt.Errorf("a line is not key=value")
		}
		key = strings.TrimSpace(strings.TrimPrefix(key, "export "))
		unescape := propertiesUnescape
		if strings.HasPrefix(key, "KAFKA_") {
			unescape = shellUnquote
		}
		value, err := unescape(strings.TrimSpace(raw))
		if err != nil {
			return Connection{}, fmt.Errorf("%s: %w", key, err)
		}
		values[key] = value
	}
	if _, ok := values["KAFKA_BOOTSTRAP_SERVERS"]; ok {
		return fromEnv(values, dir)
	}
	return fromProperties(values, dir)
}

func fromEnv(v map[string]string, dir string) (Connection, error) {
	c := Connection{
		Bootstrap: splitList(v["KAFKA_BOOTSTRAP_SERVERS"]),
		Mechanism: v["KAFKA_SASL_MECHANISM"],
		Username:  v["KAFKA_SASL_USERNAME"],
		Password:  v["KAFKA_SASL_PASSWORD"],
	}
	return finish(c, v["KAFKA_SECURITY_PROTOCOL"], v["KAFKA_CA_FILE"], dir)
}

func fromProperties(v map[string]string, dir string) (Connection, error) {
	jaas := v["sasl.jaas.config"]
	c := Connection{Bootstrap: splitList(v["bootstrap.servers"]), Mechanism: v["sasl.mechanism"]}
	c.Username = jaasOption(jaas, "username")
	c.Password = jaasOption(jaas, "password")
	if pem := v["ssl.truststore.certificates"]; pem != "" {
		c.CA = []byte(pem + "\n")
	}
	return finish(c, v["security.protocol"], v["ssl.truststore.location"], dir)
}

// finish checks what the files have in common; a relative CA file is looked up
// beside the file that names it.
func finish(c Connection, protocol, caFile, dir string) (Connection, error) {
	switch protocol {
	case "SASL_SSL":
		c.TLS = true
	case "SASL_PLAINTEXT":
	default:
		return Connection{}, fmt.Errorf("security protocol %q is neither SASL_SSL nor SASL_PLAINTEXT", protocol)
	}
	if caFile != "" && c.CA == nil {
		if !filepath.IsAbs(caFile) {
			caFile = filepath.Join(dir, caFile)
		}
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return Connection{}, err
		}
		c.CA = pem
	}
	if err := c.check(); err != nil {
		return Connection{}, err
	}
	return c, nil
}

func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
