package rewrite

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

	"weir/tenancy"
)

// maxPatternBytes bounds a client's pattern: one byte of it may become a class
// of some thousand (\pL), so this holds the work for one request to some MiB.
const maxPatternBytes = 8 << 10

const (
	// maxPatternSize bounds what a pattern takes once its loops are unrolled, in
	// parts: the broker, which serves others too, keeps about 50 bytes for each.
	// A hundred bytes of pattern can have a million (x{1000}). Names have 249
	// characters at most.
	maxPatternSize = 8192
	// maxPatternWork bounds the trying of a pattern on the names of aliases, in
	// parts times bytes of names: below a second.
	maxPatternWork = 1 << 25
)

// errSize is a pattern that is too much work.
var errSize = errors.New("pattern is too large with its loops unrolled")

// errAnchor is a pattern whose begin anchor depends on what was matched before.
var errAnchor = errors.New("begin anchor may or may not be at the beginning")

// physicalPattern maps an RE2 pattern over an instance's names to one over the
// pool's: it matches, in full, exactly the physical names of what pattern
// matches in full, whatever pattern is. The broker applies it to every name of
// the pool, so this is a wall between instances (protocol.md 2.6).
//
// It never wraps the client's text, which could close the group that it is put
// in; it parses it alone and writes out what was understood. A begin anchor
// holds where the virtual name begins, behind the prefix: one with nothing
// before it becomes the empty match, one behind something cannot match, and one
// that may be either (a*^b) makes an error, answered INVALID_REGULAR_EXPRESSION
// as every error here. End anchors and word boundaries keep their meaning, the
// latter since the prefix ends in a byte that is not of a word.
//
// Names with an alias are added one by one, if their virtual names match.
func (s *Session) physicalPattern(kind tenancy.Kind, pattern string) (string, error) {
	if len(pattern) > maxPatternBytes {
		return "", errors.New("pattern is longer than 8 KiB")
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	if unrolled(re) > maxPatternSize {
		return "", errSize
	}
	aliased, err := s.aliasedPattern(kind, re)
	if err != nil {
		return "", err
	}
	a := anchors{effects: map[*syntax.Regexp]effect{}}
	a.measure(re)
	if err := a.rewrite(re, nothing); err != nil {
		return "", err
	}
	physical := withAliases(patternHead(s)+re.String()+patternTail, aliased)
	if len(physical) > maxIDBytes { // a Kafka string holds no more
		return "", errors.New("pattern is too long when written out")
	}
	return physical, nil
}

// everyPattern is physicalPattern of what matches every name.
func (s *Session) everyPattern(kind tenancy.Kind) string {
	var aliased []string
	for _, a := range s.Space.Aliases() {
		if a.Kind == kind {
			aliased = append(aliased, regexp.QuoteMeta(a.Physical))
		}
	}
	return withAliases(regexp.QuoteMeta(s.Space.Prefix())+"(?s:.*)", aliased)
}

// aliasedPattern returns the physical names, as patterns, of those aliases whose
// virtual names re matches in full.
func (s *Session) aliasedPattern(kind tenancy.Kind, re *syntax.Regexp) (aliased []string, err error) {
	if len(s.Space.Aliases()) == 0 {
		return nil, nil
	}
	names := 0
	for _, a := range s.Space.Aliases() {
		if a.Kind == kind {
			names += len(a.Virtual) + 1
		}
	}
	if names*unrolled(re) > maxPatternWork {
		return nil, errSize
	}
	full, err := regexp.Compile(`\A(?:` + re.String() + `)\z`)
	if err != nil {
		return nil, err
	}
	for _, a := range s.Space.Aliases() {
		if a.Kind == kind && full.MatchString(a.Virtual) {
			aliased = append(aliased, regexp.QuoteMeta(a.Physical))
		}
	}
	return aliased, nil
}

// unrolled is about how many parts a pattern has when its loops are written out.
func unrolled(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += unrolled(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return n
}

func withAliases(pattern string, aliased []string) string {
	if len(aliased) == 0 {
		return pattern
	}
	return aliasedHead + pattern + "|" + strings.Join(aliased, "|") + patternTail
}

// virtualPattern takes off what physicalPattern put around a pattern, whatever
// aliases there were; ok is false if that is not there.
func (s *Session) virtualPattern(physical string) (pattern string, ok bool) {
	inner, aliased := strings.CutPrefix(physical, aliasedHead)
	if inner, ok = strings.CutPrefix(inner, patternHead(s)); !ok {
		return "", false
	}
	end := groupEnd(inner)
	if end < 0 || aliased != strings.HasPrefix(inner[end:], patternTail+"|") || !aliased && end != len(inner)-1 {
		return "", false
	}
	return inner[:end], true
}

// groupEnd finds the parenthesis that closes the group at whose beginning text
// stands, -1 if there is none. Text is as syntax.Regexp writes it: within classes
// brackets are escaped.
func groupEnd(text string) int {
	depth, class := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')' && depth == 0:
			return i
		case c == ')':
			depth--
		}
	}
	return -1
}

const (
	patternTail = ")"
	aliasedHead = "(?:"
)

func patternHead(s *Session) string { return regexp.QuoteMeta(s.Space.Prefix()) + "(?:" }

// consumed is what may have been matched of a name when the matcher arrives at
// some point of a pattern: a set of the two below. Empty: it never arrives.
type consumed uint8

const (
	nothing consumed = 1 << iota
	something
)

// effect is what a part of a pattern makes of either.
type effect struct{ nothing, something consumed }

func (e effect) after(before consumed) (after consumed) {
	if before&nothing != 0 {
		after |= e.nothing
	}
	if before&something != 0 {
		after |= e.something
	}
	return after
}

// repeated is what may have been consumed before some round of a loop over e.
func (e effect) repeated(before consumed) consumed {
	for range 2 { // the set can grow twice
		before |= e.after(before)
	}
	return before
}

// anchors rewrites begin anchors in two walks, so that its work grows with the
// pattern's length and not with its depth: measure goes up, rewrite down.
type anchors struct{ effects map[*syntax.Regexp]effect }

// measure notes the effect of re and of all its parts.
func (a anchors) measure(re *syntax.Regexp) {
	for _, sub := range re.Sub {
		a.measure(sub)
	}
	a.effects[re] = effect{a.leave(re, nothing), a.leave(re, something)}
}

// leave is what has been consumed after re, by the effects of its parts.
func (a anchors) leave(re *syntax.Regexp, before consumed) (after consumed) {
	switch re.Op {
	case syntax.OpNoMatch:
		return 0
	case syntax.OpBeginText, syntax.OpBeginLine: // names hold no line breaks
		return before & nothing
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return something
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			after |= a.effects[sub].after(before)
		}
		return after
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			before = a.effects[sub].after(before)
		}
		return before
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		after = a.effects[re.Sub[0]].after(a.enter(re, before))
		if least(re) == 0 {
			after |= before
		}
		return after
	}
	return before // end anchors, word boundaries, the empty match
}

// enter is what may have been consumed when the loop re begins a round.
func (a anchors) enter(re *syntax.Regexp, before consumed) consumed {
	switch {
	case re.Op == syntax.OpQuest, re.Op == syntax.OpRepeat && re.Max == 1:
		return before
	case re.Op == syntax.OpRepeat && re.Max == 0:
		return 0
	}
	return a.effects[re.Sub[0]].repeated(before)
}

// least is how many rounds the loop re makes at least.
func least(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpPlus:
		return 1
	case syntax.OpRepeat:
		return re.Min
	}
	return 0
}

// rewrite replaces the begin anchors of re, before which before was consumed.
func (a anchors) rewrite(re *syntax.Regexp, before consumed) error {
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine:
		switch before {
		case nothing:
			re.Op = syntax.OpEmptyMatch
		case nothing | something:
			return errAnchor
		default:
			re.Op = syntax.OpNoMatch
		}
		return nil
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return a.rewrite(re.Sub[0], a.enter(re, before))
	}
	for _, sub := range re.Sub {
		if err := a.rewrite(sub, before); err != nil {
			return err
		}
		if re.Op != syntax.OpAlternate {
			before = a.effects[sub].after(before)
		}
	}
	return nil
}
