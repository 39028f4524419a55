package clientfiles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Connection is everything that a client needs to reach one instance as one user.
type Connection struct {
	// Bootstrap addresses, host:port, at least one.
	Bootstrap []string
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string
	// Username as clients must send it (user, or user@instance without SNI).
	Username string
	Password string
	// CA is the PEM certificate to trust; nil: those of the client's system.
	CA []byte
	// TLS is whether the protocol is SASL_SSL; false is SASL_PLAINTEXT.
	TLS bool
}

// Mechanisms as Kafka spells them (sasl.mechanism).
const (
	plain       = "PLAIN"
	scramSHA256 = "SCRAM-SHA-256"
	scramSHA512 = "SCRAM-SHA-512"
)

// securityProtocol is Kafka's security.protocol.
func (c Connection) securityProtocol() string {
	if c.TLS {
		return "SASL_SSL"
	}
	return "SASL_PLAINTEXT"
}

// check refuses what one of the formats cannot carry. It reports every mistake
// and never a value that may be secret.
func (c Connection) check() error {
	var errs []error
	if len(c.Bootstrap) == 0 {
		errs = append(errs, errors.New("bootstrap: no address; give at least one host:port"))
	}
	for _, a := range c.Bootstrap {
		if !strings.Contains(a, ":") || strings.ContainsAny(a, " ,\t\r\n") {
			errs = append(errs, fmt.Errorf("bootstrap: %q is not host:port", a))
		}
	}
	if !slices.Contains([]string{plain, scramSHA256, scramSHA512}, c.Mechanism) {
		errs = append(errs, fmt.Errorf("mechanism: %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", c.Mechanism))
	}
	for _, field := range [][2]string{{"username", c.Username}, {"password", c.Password}} {
		if why := unfit(field[1]); why != "" {
			errs = append(errs, fmt.Errorf("%s: %s", field[0], why))
		}
	}
	return errors.Join(errs...)
}

// unfit says why s cannot stand in the files: they are lines of text, and kcat
// trims every line and cuts it after 511 bytes.
func unfit(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > 400:
		return "is longer than 400 bytes"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has a control character"
	case strings.TrimSpace(s) != s:
		return "begins or ends with white space"
	}
	return ""
}
