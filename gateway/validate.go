package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"weir/tenancy"
)

// Load reads and checks a configuration file, and the files that it names. Its
// error is a *ConfigError with every mistake at once.
func Load(path string) (*Config, error) {
	d := &decoder{file: path, at: map[string]token.Position{"": {Line: 1, Column: 1}}, broken: make(map[string]bool)}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &ConfigError{[]Mistake{{File: path, Code: codeFile, Text: cause(err)}}}
	}
	cfg := &Config{dir: filepath.Dir(path)}
	if !d.parse(data, cfg) {
		return nil, &ConfigError{d.mistakes}
	}
	v := &validator{decoder: d, dir: cfg.dir}
	v.config(cfg)
	if err := d.failed(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// failed is every mistake, in the order of lines; nil if there is none.
func (d *decoder) failed() error {
	if len(d.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(d.mistakes, func(a, b Mistake) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &ConfigError{d.mistakes}
}

// parse fills cfg; false if the text is no YAML, and nothing more can be said.
func (d *decoder) parse(data []byte, cfg any) bool {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		m := Mistake{File: d.file, Code: codeSyntax, Text: err.Error()}
		var ye yaml.Error
		if errors.As(err, &ye) {
			m.Line, m.Column, m.Text = ye.GetToken().Position.Line, ye.GetToken().Position.Column, ye.GetMessage()
		}
		d.mistakes = append(d.mistakes, m)
		return false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) > 1 {
		d.fail("", codeSyntax, "want one YAML document, found %d", len(bodies))
		return false
	}
	if len(bodies) == 1 {
		d.value(bodies[0], "", reflect.ValueOf(cfg).Elem())
	}
	return true
}

// validator checks what the types of Config cannot say.
type validator struct {
	*decoder
	dir string
}

func (v *validator) config(c *Config) {
	v.redis(&c.Redis)
	v.pools(c)
	v.listeners(c)
	v.admin(&c.Admin)
	if v.required("auth.pepper_file", c.Auth.PepperFile) {
		v.secret("auth.pepper_file", c.Auth.PepperFile, minPepperBytes)
	}
	v.issuers(c.Auth.Issuers)
	for i, file := range c.Secrets.KeyFiles {
		v.secret(fmt.Sprintf("secrets.key_files[%d]", i), file, minSealKeyBytes)
	}
	for _, n := range []struct {
		path string
		n    int
	}{{"limits.max_handshakes", c.Limits.MaxHandshakes}, {"limits.max_frame_bytes", c.Limits.MaxFrameBytes}} {
		if n.n < 0 {
			v.fail(n.path, codeValue, "%d is negative", n.n)
		}
	}
	if m := c.Limits.Memory; m != 0 && m < minMemory {
		v.fail("limits.memory", codeValue, "%d bytes are too few, at least 16MiB are needed", m)
	}
	v.zone(c.Zone)
	v.metering(&c.Metering)
	v.billing(&c.Billing)
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.plans(c)
}

func (v *validator) plans(c *Config) {
	if len(c.Plans) == 0 {
		c.Plans = []PlanConfig{{Name: "standard"}}
	}
	seen := make(map[string]bool)
	for i := range c.Plans {
		p, at := &c.Plans[i], fmt.Sprintf("plans[%d]", i)
		v.oneOf(at+".acl_default", p.ACLDefault, defaultAllow, defaultDeny)
		v.oneOf(at+".network_default", p.NetworkDefault, defaultAllow, defaultDeny)
		v.planLimits(at+".limits", &p.Limits)
		v.planPrices(at+".prices", p.Prices)
		if !v.required(at+".name", p.Name) {
			continue
		}
		if err := tenancy.CheckName("plan name", p.Name); err != nil {
			v.fail(at+".name", codeValue, "%s", err)
		}
		if seen[p.Name] {
			v.fail(at+".name", codeValue, "%q is the name of another plan too", p.Name)
		}
		seen[p.Name] = true
	}
}

func (v *validator) redis(r *RedisConfig) {
	if _, err := r.options(); err != nil {
		at := "redis"
		if r.URL != "" {
			at = "redis.url"
		}
		v.fail(at, codeValue, "%s", strings.TrimPrefix(err.Error(), "url: "))
	}
	if r.PasswordFile != "" {
		v.secret("redis.password_file", r.PasswordFile, 1)
	}
	v.clientTLS("redis.tls", r.TLS)
}

func (v *validator) pools(c *Config) {
	if len(c.Pools) == 0 {
		v.fail("pools", codeMissing, "at least one pool is needed: name and bootstrap")
	}
	seen := make(map[string]bool)
	for i := range c.Pools {
		p, at := &c.Pools[i], fmt.Sprintf("pools[%d]", i)
		if v.required(at+".name", p.Name) {
			if !poolName().MatchString(p.Name) {
				v.fail(at+".name", codeValue, "%q: want lower-case letters, digits and hyphens, at most 63", p.Name)
			}
			if seen[p.Name] {
				v.fail(at+".name", codeValue, "%q is the name of another pool too", p.Name)
			}
			seen[p.Name] = true
		}
		if len(p.Bootstrap) == 0 {
			v.fail(at+".bootstrap", codeMissing, "at least one host:port is needed")
		}
		for j, addr := range p.Bootstrap {
			v.hostPort(fmt.Sprintf("%s.bootstrap[%d]", at, j), addr)
		}
		v.clientTLS(at+".tls", p.TLS)
		v.sasl(at+".sasl", p)
		v.identity(at+".identity", p, c)
	}
	switch {
	case c.DefaultPool == "" && len(c.Pools) == 1:
		c.DefaultPool = c.Pools[0].Name
	case c.DefaultPool == "" && len(c.Pools) > 1:
		v.fail("default_pool", codeMissing, "needed with more than one pool: where new instances go")
	case c.DefaultPool != "" && !seen[c.DefaultPool]:
		v.fail("default_pool", codeValue, "there is no pool %q", c.DefaultPool)
	}
}

func (v *validator) sasl(at string, p *PoolConfig) {
	if p.SASL == nil {
		return
	}
	if v.required(at+".mechanism", p.SASL.Mechanism) {
		v.oneOf(at+".mechanism", p.SASL.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	}
	if p.SASL.Mechanism == "PLAIN" && p.TLS == nil {
		v.fail(at+".mechanism", codeValue, "PLAIN without tls shows the password to the network; add tls or use SCRAM-SHA-512")
	}
	v.required(at+".username", p.SASL.Username)
	if v.required(at+".password_file", p.SASL.PasswordFile) {
		v.secret(at+".password_file", p.SASL.PasswordFile, 1)
	}
}

func (v *validator) listeners(c *Config) {
	if len(c.Listeners) == 0 {
		v.fail("listeners", codeMissing, "at least one listener is needed: address and tls")
	}
	bound := make(map[string]string)
	for i := range c.Listeners {
		l, at := &c.Listeners[i], fmt.Sprintf("listeners[%d]", i)
		host, port := "", 0
		if v.required(at+".address", l.Address) {
			host, port = v.address(at+".address", l.Address)
			v.bind(bound, at+".address", host, port)
		}
		v.listenerTLS(at, l)
		v.proxyProtocol(at+".proxy_protocol", l.ProxyProtocol)
		if l.SNI != nil && v.required(at+".sni.domain", l.SNI.Domain) && !domain().MatchString(l.SNI.Domain) {
			v.fail(at+".sni.domain", codeValue, "%q is no domain name, as in kafka.example.com", l.SNI.Domain)
		}
		if l.SNI != nil && (l.SNI.Port < 0 || l.SNI.Port > 65535) {
			v.fail(at+".sni.port", codeValue, "%d is no port", l.SNI.Port)
		}
		if l.Advertise != "" {
			v.hostPort(at+".advertise", l.Advertise)
		} else if l.SNI == nil && wildcard(host) && l.Address != "" {
			v.fail(at+".advertise", codeMissing, "needed: without sni, clients must be told a host, and address names none")
		}
		if l.SNI == nil && len(l.Brokers) == 0 {
			v.fail(at, codeMissing, "clients could not tell brokers apart; add sni, or brokers with a port for each")
		}
		for j := range l.Brokers {
			v.brokers(fmt.Sprintf("%s.brokers[%d]", at, j), &l.Brokers[j], c, host, bound)
		}
	}
}

func (v *validator) listenerTLS(at string, l *ListenerConfig) {
	switch {
	case l.TLS == nil && !l.Plaintext:
		v.fail(at+".tls", codeMissing, "needed; or say plaintext: true, which shows passwords to the network")
	case l.TLS != nil && l.Plaintext:
		v.fail(at+".plaintext", codeValue, "a listener has either tls or plaintext: true")
	case l.SNI != nil && l.Plaintext:
		v.fail(at+".sni", codeValue, "there is no host name without tls; use brokers")
	case l.TLS != nil:
		v.serverTLS(at+".tls", l.TLS)
	}
}

func (v *validator) brokers(at string, b *BrokersConfig, c *Config, bindHost string, bound map[string]string) {
	if v.required(at+".pool", b.Pool) && !slices.ContainsFunc(c.Pools, func(p PoolConfig) bool { return p.Name == b.Pool }) {
		v.fail(at+".pool", codeValue, "there is no pool %q", b.Pool)
	}
	v.required(at+".host", b.Host)
	if len(b.Nodes) == 0 {
		v.fail(at+".nodes", codeMissing, "needed: the node ids of the pool's brokers")
	}
	if b.FirstPort < 1 || b.FirstPort+len(b.Nodes)-1 > 65535 {
		v.fail(at+".first_port", codeValue, "ports %d to %d are not all between 1 and 65535", b.FirstPort, b.FirstPort+len(b.Nodes)-1)
		return
	}
	for i, node := range b.Nodes {
		path := fmt.Sprintf("%s.nodes[%d]", at, i)
		if node < 0 || slices.Index(b.Nodes, node) != i {
			v.fail(path, codeValue, "node %d is negative or named twice", node)
		}
		v.bind(bound, path, bindHost, b.FirstPort+i)
	}
}

// bind notes that path binds a port, and fails if another listener has it.
func (v *validator) bind(bound map[string]string, path, host string, port int) {
	if wildcard(host) {
		host = ""
	}
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	if other, taken := bound[addr]; taken && port != 0 {
		v.fail(path, codeValue, "port %d is bound by %s too", port, other)
		return
	}
	bound[addr] = path
}

func (v *validator) admin(a *AdminConfig) {
	if v.required("admin.address", a.Address) {
		v.address("admin.address", a.Address)
	}
	if a.TLS != nil {
		v.serverTLS("admin.tls", a.TLS)
	}
	if v.required("admin.token_key_file", a.TokenKeyFile) {
		v.secret("admin.token_key_file", a.TokenKeyFile, minTokenKeyBytes)
	}
	if a.ClientCAFile != "" {
		v.ca("admin.client_ca_file", a.ClientCAFile)
	}
}

func (v *validator) serverTLS(at string, t *ServerTLSConfig) {
	cert := v.required(at+".certificate_file", t.CertificateFile)
	if key := v.required(at+".key_file", t.KeyFile); cert && key {
		v.pair(at+".certificate_file", t.CertificateFile, t.KeyFile)
	}
}

func (v *validator) clientTLS(at string, t *ClientTLSConfig) {
	if t == nil {
		return
	}
	if t.CAFile != "" {
		v.ca(at+".ca_file", t.CAFile)
	}
	switch {
	case (t.CertificateFile == "") != (t.KeyFile == ""):
		v.fail(at+".key_file", codeMissing, "certificate_file and key_file go together")
	case t.CertificateFile != "":
		v.pair(at+".certificate_file", t.CertificateFile, t.KeyFile)
	}
}

func (v *validator) pair(at, certificate, key string) {
	if _, err := tls.LoadX509KeyPair(resolve(v.dir, certificate), resolve(v.dir, key)); err != nil {
		v.fail(at, codeFile, "%s", cause(err))
	}
}

func (v *validator) ca(at, file string) {
	pem, err := os.ReadFile(resolve(v.dir, file))
	switch {
	case err != nil:
		v.fail(at, codeFile, "%s", cause(err))
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		v.fail(at, codeFile, "%s holds no PEM certificate", file)
	}
}

func (v *validator) secret(at, file string, atLeast int) {
	secret, err := readSecret(v.dir, file)
	switch {
	case err != nil:
		v.fail(at, codeFile, "%s", cause(err))
	case len(secret) < atLeast:
		v.fail(at, codeFile, "%s holds %d bytes; at least %d are needed", file, len(secret), atLeast)
	}
}

func (v *validator) required(at, value string) bool {
	if value == "" {
		v.fail(at, codeMissing, "needed")
	}
	return value != ""
}

func (v *validator) oneOf(at, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		v.fail(at, codeValue, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
}

// hostPort checks an address to dial.
func (v *validator) hostPort(at, addr string) {
	if host, _ := v.address(at, addr); wildcard(host) {
		v.fail(at, codeValue, "%q names no host", addr)
	}
}

// address checks an address to bind.
func (v *validator) address(at, addr string) (host string, port int) {
	host, text, err := net.SplitHostPort(addr)
	n, perr := strconv.ParseUint(text, 10, 16)
	if err != nil || perr != nil {
		v.fail(at, codeValue, "%q is not host:port", addr)
		return "-", 0 // no wildcard: one mistake is enough
	}
	return host, int(n)
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func poolName() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`) }

func domain() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
}

// cause is the last link of an error without a newline in it.
func cause(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
