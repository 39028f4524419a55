package clientfiles

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// propertiesEscape writes a value so that java.util.Properties.load reads it
// back: it decodes ISO-8859-1, drops leading white space and knows \n, \\ and
// \uXXXX (UTF-16).
func propertiesEscape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' && i == 0:
			b.WriteString(`\ `)
		case r < 0x20 || r > 0x7e:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// propertiesUnescape is the inverse of propertiesEscape; like Java it takes any
// other escaped character for itself.
func propertiesUnescape(s string) (string, error) {
	var b strings.Builder
	var units []uint16 // \u escapes seen in a row, perhaps a surrogate pair
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			flush()
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] != 'u' {
			flush()
			b.WriteByte(propertiesControl(s[i]))
			continue
		}
		if i+5 > len(s) {
			return "", errors.New("\\u without four hexadecimal digits")
		}
		u, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
		if err != nil {
			return "", errors.New("\\u without four hexadecimal digits")
		}
		units = append(units, uint16(u))
		i += 4
	}
	flush()
	return b.String(), nil
}

// propertiesControl is what a backslash and c stand for.
func propertiesControl(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'f':
		return '\f'
	}
	return c
}

// jaasQuote writes an option value of a JAAS entry, which Kafka reads with
// java.io.StreamTokenizer: in double quotes, with C-like escapes.
func jaasQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// jaasOption reads the value of name="..." out of a JAAS entry; "" if it has none.
func jaasOption(entry, name string) string {
	_, rest, ok := strings.Cut(entry, " "+name+"=\"")
	if !ok {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			return b.String()
		case rest[i] == '\\' && i+1 < len(rest):
			i++
			b.WriteByte(rest[i])
		default:
			b.WriteByte(rest[i])
		}
	}
	return ""
}

// shellQuote leaves a plain word as it is and puts anything else in single quotes.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, needsQuote) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func needsQuote(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r))
}

// shellUnquote reads what shellQuote wrote, and words in double quotes without escapes.
func shellUnquote(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && !strings.ContainsAny(s, "\\$`") {
		return s[1 : len(s)-1], nil
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '\\' && !quoted && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	if quoted {
		return "", errors.New("a single quote is not closed")
	}
	return b.String(), nil
}
