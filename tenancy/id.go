package tenancy

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// InstanceID names an instance for ever: [a-z][a-z0-9-]{0,30}[a-z0-9], and not
// b<digits>-..., which would read as a broker's host name. Unique over all
// tenants and never reused. Made by ParseInstanceID or NewInstanceID.
//
// It has neither '.' nor '_', on which the proof behind [Namespace] rests.
type InstanceID string

// TenantID names who owns instances; the same alphabet as InstanceID. Made by ParseTenantID.
type TenantID string

const (
	maxIDLen   = 32 // so that b<node>-<id> stays within a DNS label (63, RFC 1035 2.3.4) for any 31-bit node id
	maxNameLen = 63 // one DNS label, so that a name can become a host name some day
	maxUserLen = 64
)

// ParseInstanceID checks an instance id that somebody chose.
func ParseInstanceID(s string) (InstanceID, error) {
	if err := checkID("instance id", s); err != nil {
		return "", err
	}
	return InstanceID(s), nil
}

// ParseTenantID checks a tenant id.
func ParseTenantID(s string) (TenantID, error) {
	if err := checkID("tenant id", s); err != nil {
		return "", err
	}
	return TenantID(s), nil
}

// NewInstanceID draws an instance id: "i-" and 40 random bits as 8 characters of
// lower-case base32. CreateInstance notices when it is taken.
func NewInstanceID(rand io.Reader) (InstanceID, error) {
	var b [5]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing an instance id: %w", err)
	}
	return InstanceID("i-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))), nil
}

// IsDrawnID is whether an id has the form of those that NewInstanceID draws, which
// nobody would choose for a name. Of others it cannot be told which of the two it is.
func IsDrawnID(s string) bool {
	drawn, ok := strings.CutPrefix(s, "i-")
	return ok && len(drawn) == 8 && strings.Trim(drawn, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// NewClusterID draws the id of a virtual Kafka cluster: 22 characters of
// base64url, as Kafka's Uuid.randomUuid draws them. Like that one it never begins
// with '-', which command-line tools would take for an option.
func NewClusterID(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing a cluster id: %w", err)
	}
	if b[0]>>2 == 62 { // the index of '-' in the alphabet
		b[0] &= 0x7f
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// ParseUserName checks a user's name: [A-Za-z0-9._-]{1,64}. Without '@', because
// clients without SNI log in as user@instance; and not of the form of an API key's
// id, which clients send in the same place ([IsKeyID]).
func ParseUserName(s string) (string, error) {
	if err := checkWord("user name", s); err != nil {
		return "", err
	}
	if IsKeyID(s) {
		return "", fmt.Errorf("user name %q reads as the id of an API key: choose another", s)
	}
	return s, nil
}

// checkWord checks the name of a user, an issuer or a client CA:
// [A-Za-z0-9._-]{1,64}. What ("user name") begins the error.
func checkWord(what, s string) error {
	if s == "" || len(s) > maxUserLen {
		return fmt.Errorf("%s %.80q has %d characters: use 1 to %d", what, s, len(s), maxUserLen)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !isAlnum(r) && r != '.' && r != '_' && r != '-' }); i >= 0 {
		return fmt.Errorf("%s %q: character %d is not one of A-Z a-z 0-9 . _ -", what, s, i+1)
	}
	return nil
}

// maxComment is in characters.
const maxComment = 200

// CheckComment checks what people write beside a network or an API key: one line
// of UTF-8, 200 characters at most, so that it can be shown in a terminal.
func CheckComment(s string) error {
	switch n := utf8.RuneCountInString(s); {
	case n > maxComment:
		return fmt.Errorf("the comment has %d characters, at most %d", n, maxComment)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("comment %.80q is not one line of UTF-8", s)
	}
	return nil
}

// CheckName checks a display name of an instance, or the name of a plan or a
// pool: [a-z][a-z0-9-]{0,62}. What ("plan name") begins the error.
func CheckName(what, s string) error {
	if s == "" || len(s) > maxNameLen {
		return fmt.Errorf("%s %.80q has %d characters: use 1 to %d", what, s, len(s), maxNameLen)
	}
	return checkLower(what, s)
}

func checkID(what, s string) error {
	if len(s) < 2 || len(s) > maxIDLen {
		return fmt.Errorf("%s %.80q has %d characters: use 2 to %d", what, s, len(s), maxIDLen)
	}
	if err := checkLower(what, s); err != nil {
		return err
	}
	switch {
	case s[len(s)-1] == '-':
		return fmt.Errorf("%s %q ends with '-': end with a letter or digit", what, s)
	case looksLikeBroker(s):
		return fmt.Errorf("%s %q reads as the host name of a broker: do not begin with b<digits>-", what, s)
	case strings.HasPrefix(s, "xn--"):
		// Resolvers and TLS libraries would decode it (RFC 5890 2.3.1).
		return fmt.Errorf("%s %q reads as an encoded international name: do not begin with xn--", what, s)
	}
	return nil
}

func checkLower(what, s string) error {
	if !isLower(rune(s[0])) {
		return fmt.Errorf("%s %q begins with %q: begin with a-z", what, s, s[:1])
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !isLower(r) && !isDigit(r) && r != '-' }); i >= 0 {
		return fmt.Errorf("%s %q: character %d is not one of a-z 0-9 -", what, s, i+1)
	}
	return nil
}

// looksLikeBroker reports whether s begins with b<digits>-, as b<node>-<instance> does.
func looksLikeBroker(s string) bool {
	rest, ok := strings.CutPrefix(s, "b")
	if !ok {
		return false
	}
	after := strings.TrimLeft(rest, "0123456789")
	return len(after) < len(rest) && strings.HasPrefix(after, "-")
}

func isLower(r rune) bool { return 'a' <= r && r <= 'z' }
func isDigit(r rune) bool { return '0' <= r && r <= '9' }
func isAlnum(r rune) bool { return isLower(r) || isDigit(r) || 'A' <= r && r <= 'Z' }
