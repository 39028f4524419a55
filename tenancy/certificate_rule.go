package tenancy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// maxProvedUser is in bytes.
	maxProvedUser = 249

	maxRules    = 32
	maxRuleText = 512
)

// What a CertificateRule looks at.
const (
	FromSubject    = "subject"     // the distinguished name as RFC 2253 writes it
	FromCommonName = "common-name" // the subject's CN
	FromDNS        = "dns"
	FromURI        = "uri" // a SPIFFE id, for one
	FromEmail      = "email"
)

// Rule is a CertificateRule ready for use. Any goroutine.
type Rule struct {
	From string

	pattern *regexp.Regexp // nil: all
	user    []part         // nil: the name itself
	change  func(string) string
}

// part of a rule's user: a text, or what a group of its pattern matched.
type part struct {
	text  string
	group int // counts if text is ""
}

// Compile checks a rule.
func (r CertificateRule) Compile() (Rule, error) {
	out := Rule{From: r.From}
	switch r.From {
	case FromSubject, FromCommonName, FromDNS, FromURI, FromEmail:
	default:
		return Rule{}, fmt.Errorf("from %.40q is none of subject, common-name, dns, uri and email", r.From)
	}
	switch r.Case {
	case "":
		out.change = func(s string) string { return s }
	case "lower":
		out.change = strings.ToLower
	case "upper":
		out.change = strings.ToUpper
	default:
		return Rule{}, fmt.Errorf("case %.40q is neither lower nor upper", r.Case)
	}
	if len(r.Pattern) > maxRuleText || len(r.User) > maxRuleText {
		return Rule{}, fmt.Errorf("pattern or user has more than %d bytes", maxRuleText)
	}
	groups := 0
	if r.Pattern != "" {
		if _, err := regexp.Compile(r.Pattern); err != nil { // as it is, so that it cannot leave the parentheses
			return Rule{}, fmt.Errorf("pattern: %w", err)
		}
		whole, err := regexp.Compile(`\A(?:` + r.Pattern + `)\z`)
		if err != nil {
			return Rule{}, fmt.Errorf("pattern: %w", err)
		}
		out.pattern, groups = whole, whole.NumSubexp()
	}
	var err error
	out.user, err = parseUser(r.User, groups)
	return out, err
}

// parseUser reads $1 to $9; any other $ is a mistake rather than a surprise.
func parseUser(s string, groups int) ([]part, error) {
	var parts []part
	for s != "" {
		text, after, found := strings.Cut(s, "$")
		if text != "" {
			parts = append(parts, part{text: text})
		}
		if !found {
			break
		}
		if after == "" || after[0] < '1' || after[0] > '9' {
			return nil, errors.New("user: after $ comes the number of a group, $1 to $9")
		}
		group := int(after[0] - '0')
		if group > groups {
			return nil, fmt.Errorf("user: there is no group %d in the pattern, which has %d", group, groups)
		}
		parts = append(parts, part{group: group})
		s = after[1:]
	}
	return parts, nil
}

// User makes a user of a name; ok is false if the pattern does not match all of
// it, or if the result can be no user.
func (r Rule) User(name string) (user string, ok bool) {
	var at []int
	if r.pattern != nil {
		if at = r.pattern.FindStringSubmatchIndex(name); at == nil {
			return "", false
		}
	}
	if r.user == nil {
		user = name
	} else {
		var b strings.Builder
		for _, p := range r.user {
			switch {
			case p.text != "":
				b.WriteString(p.text)
			case at[2*p.group] >= 0:
				b.WriteString(name[at[2*p.group]:at[2*p.group+1]])
			}
		}
		user = b.String()
	}
	user = r.change(user)
	return user, CheckProvedUser(user) == nil
}

// CheckProvedUser says what can be the user of a certificate or token: 1 to 249 bytes
// of UTF-8 without control characters, and not the "*" by which ACLs mean everybody.
func CheckProvedUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user is empty")
	case len(user) > maxProvedUser:
		return fmt.Errorf("the user has %d bytes, at most %d", len(user), maxProvedUser)
	case !utf8.ValidString(user):
		return errors.New("the user is not UTF-8")
	case user == "*":
		return errors.New("the user is *, which means everybody")
	}
	for _, r := range user {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return fmt.Errorf("the user has a control character, %U", r)
		}
	}
	return nil
}
