package gateway

import (
	"fmt"
	"strings"
)

// Codes of mistakes in a configuration file. They never change.
const (
	codeSyntax     = "config-syntax"
	codeUnknownKey = "config-unknown-key"
	codeType       = "config-type"
	codeMissing    = "config-missing"
	codeValue      = "config-value"
	codeFile       = "config-file"
)

// Mistake is one thing that is wrong in a configuration file.
type Mistake struct {
	File         string
	Line, Column int    // from 1; 0 if the file could not be read
	Path         string // "pools[0].sasl.mechanism"
	Code         string // "config-unknown-key"
	Text         string
}

// String is the mistake on one line.
func (m Mistake) String() string {
	var b strings.Builder
	b.WriteString(m.File)
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", m.Line, m.Column)
	}
	if m.Path != "" {
		b.WriteString(" " + m.Path)
	}
	fmt.Fprintf(&b, ": %s [%s]", m.Text, m.Code)
	return b.String()
}

// ConfigError is everything that is wrong in a configuration file, in the
// order of its lines. Its text has one line for each mistake.
type ConfigError struct{ Mistakes []Mistake }

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}
