package rewrite

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func TestPhysicalPattern(t *testing.T) {
	const refused = "refused"
	tests := []struct{ pattern, want string }{
		{"orders", `acme\.(?:orders)`},
		{"^orders$", `acme\.(?:(?-m:(?:)orders$))`},
		{`\Aorders\z`, `acme\.(?:(?:)orders\z)`},
		{"(?m)^a", `acme\.(?:(?:)a)`},
		{"(?i)a", `acme\.(?:(?i:A))`},
		{"a|^b", `acme\.(?:a|(?:)b)`},
		{"^*a", `acme\.(?:(?:)*a)`},
		{"a^b", `acme\.(?:a[^\x00-\x{10FFFF}]b)`},
		{"(?:a^|)^b", `acme\.(?:(?:a[^\x00-\x{10FFFF}]|(?:))(?:)b)`},
		{"a{0}^b", `acme\.(?:a{0}(?:)b)`},
		{"(?:^a){0,1}b", `acme\.(?:(?:(?:)a){0,1}b)`},
		// Escapes: none of these may reach over the prefix.
		{"foo)|(.*", refused},
		{"a*^b", refused},
		{"(^a)+", refused},
		{"(?:^a){2}", refused},
		{"a?^b", refused},
		{"(", refused},
		{`\Qa)|(.*`, `acme\.(?:a\)\|\(\.\*)`},
		{`a\`, refused},
		{"\xff", refused},
		{"(?<!a)b", refused},
		{strings.Repeat("a", maxPatternBytes+1), refused},
		{"(?:" + strings.Repeat("a?", 100) + "){100}", refused}, // 20,000 parts
		{"(?:(?:ab?){90}){11}", `acme\.(?:(?:(?:ab?){90}){11})`},
		{strings.Repeat(`\pL`, 100), refused}, // 60 KiB when written out
		{strings.Repeat("(", 2000) + strings.Repeat(")", 2000), refused},
	}
	s := newSession(nil)
	for _, tt := range tests {
		got, err := s.physicalPattern(tenancy.KindTopic, tt.pattern)
		if err != nil {
			got = refused
		}
		if got != tt.want {
			t.Errorf("%.60q: got %.200q (%v), want %q", tt.pattern, got, err, tt.want)
		}
	}
}

// TestPhysicalPatternDepth holds the work to the pattern's length: loops within
// loops once made it grow with 3 to their depth.
func TestPhysicalPatternDepth(t *testing.T) {
	const depth = 300
	pattern := strings.Repeat("(", depth) + "a" + strings.Repeat("b*)*", depth)
	if _, err := newSession(nil).physicalPattern(tenancy.KindTopic, pattern); err != nil {
		t.Fatal(err)
	}
}

// TestPatternWall: no mapped pattern matches a name outside the prefix, and
// within it agrees with the original, both in full.
func TestPatternWall(t *testing.T) {
	s := newSession(nil)
	rapid.Check(t, func(t *rapid.T) { checkPattern(t, s, genPattern(3).Draw(t, "pattern"), genName().Draw(t, "name")) })
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func checkPattern(t fataler, s *Session, pattern, name string) {
	physical, err := s.physicalPattern(tenancy.KindTopic, pattern)
	if err != nil {
		return
	}
	if !strings.HasPrefix(physical, `acme\.(?:`) {
		t.Fatalf("%q → %q: not behind the prefix", pattern, physical)
	}
	want := matchesAll(t, pattern, name)
	if got := matchesAll(t, physical, "acme."+name); got != want {
		t.Fatalf("%q → %q: name %q inside: got %v, want %v", pattern, physical, name, got, want)
	}
	for _, outside := range []string{name, "other." + name, "acme" + name, "xacme." + name, "acme-" + name, ""} {
		if !strings.HasPrefix(outside, "acme.") && matchesAll(t, physical, outside) {
			t.Fatalf("%q → %q matches %q outside the prefix", pattern, physical, outside)
		}
	}
	back, ok := s.virtualPattern(physical)
	if !ok {
		t.Fatalf("%q → %q does not go back", pattern, physical)
	}
	if again, err := s.physicalPattern(tenancy.KindTopic, back); err == nil && matchesAll(t, again, "acme."+name) != want {
		t.Fatalf("%q → %q → %q means something else", pattern, physical, back)
	}
}

// matchesAll reports whether pattern matches all of name, as RE2J's matches().
// It does not put the pattern into another, which is what is under test: a
// leftmost-longest match is the whole name if any match is.
func matchesAll(t fataler, pattern, name string) bool {
	re, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatalf("%q does not compile: %v", pattern, err)
	}
	re.Longest()
	at := re.FindStringIndex(name)
	return at != nil && at[0] == 0 && at[1] == len(name)
}

func genName() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.RuneFrom([]rune("ab.")), 1, 6, -1)
}

// genPattern makes patterns of anchors, loops, alternatives and groups, valid
// or not.
func genPattern(depth int) *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{
		"a", "b", ".", `\.`, "^", "$", `\A`, `\z`, `\b`, `\B`, "(?m:^)", "(?m:$)", "[ab]", "[^a]", "", "(?i)A", `\pL`, `\Qa|`, ")|(", ")|", "(", "acme", `acme\.`, ".*",
	})
	if depth == 0 {
		return leaf
	}
	sub := genPattern(depth - 1)
	pair := func(between string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string { return sub.Draw(t, "left") + between + sub.Draw(t, "right") })
	}
	loop := rapid.Custom(func(t *rapid.T) string {
		open := rapid.SampledFrom([]string{"(", "(?:", "(?P<n>"}).Draw(t, "open")
		return open + sub.Draw(t, "body") + ")" + rapid.SampledFrom([]string{"", "*", "+", "?", "*?", "{0}", "{1}", "{0,1}", "{2}", "{1,}", "{0,2}"}).Draw(t, "loop")
	})
	return rapid.OneOf(leaf, pair(""), pair(""), pair("|"), loop, loop)
}

// TestAliasedPattern: beside what is under the prefix, a pattern matches exactly
// the physical names of those aliases whose virtual names it matches.
func TestAliasedPattern(t *testing.T) {
	s := newSession(nil)
	s.Space = tenancy.NewNamespace("acme",
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "a", Physical: "legacy.a+(b"},
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "ab.", Physical: "b"},
		tenancy.Alias{Kind: tenancy.KindTxn, Virtual: "b", Physical: "a"})
	for pattern, want := range map[string]string{
		"a":     `(?:acme\.(?:a)|legacy\.a\+\(b)`,
		"^a.*$": `(?:acme\.(?:(?-ms:(?:)a.*$))|legacy\.a\+\(b|b)`,
		"b":     `acme\.(?:b)`,
	} {
		if got, err := s.physicalPattern(tenancy.KindTopic, pattern); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", pattern, got, err, want)
		}
	}
	if got, want := s.everyPattern(tenancy.KindTxn), `(?:acme\.(?s:.*)|a)`; got != want {
		t.Errorf("every transactional id is %q, want %q", got, want)
	}
	for _, foreign := range []string{"", "a", `(?:acme\.(?:a)`, `acme\.(?:a)|b`, `(?:acme\.(?:a))`, `(?:other\.(?:a)|b)`, `acme\.(?:a`, `acme\.(?:[)`} {
		if got, ok := s.virtualPattern(foreign); ok {
			t.Errorf("%q went back to %q", foreign, got)
		}
	}
}

// TestAliasedPatternWall is TestPatternWall with aliases.
func TestAliasedPatternWall(t *testing.T) {
	s := newSession(nil)
	s.Space = tenancy.NewNamespace("acme",
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "a", Physical: "legacy.a+(b"},
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "ab.", Physical: "b"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := genPattern(3).Draw(t, "pattern")
		physical, err := s.physicalPattern(tenancy.KindTopic, pattern)
		if err != nil {
			return
		}
		for _, name := range []string{"a", "ab.", "b", genName().Draw(t, "name")} {
			want := matchesAll(t, pattern, name)
			if got := matchesAll(t, physical, s.Space.Physical(tenancy.KindTopic, name)); got != want {
				t.Fatalf("%q → %q: name %q: got %v, want %v", pattern, physical, name, got, want)
			}
		}
		for _, outside := range []string{"a", "ab.", "legacy.aab", "other.a", "legacy.a", ""} {
			if matchesAll(t, physical, outside) {
				t.Fatalf("%q → %q matches %q outside", pattern, physical, outside)
			}
		}
		back, ok := s.virtualPattern(physical)
		if !ok {
			t.Fatalf("%q → %q does not go back", pattern, physical)
		}
		if again, err := s.physicalPattern(tenancy.KindTopic, back); err != nil {
			return // an anchor that was rewritten away from where it may stand
		} else if again != physical && !matchesSame(t, again, physical) {
			t.Fatalf("%q → %q → %q → %q", pattern, physical, back, again)
		}
		if strings.Contains(back, "legacy") || !matchesSame(t, back, pattern) {
			t.Fatalf("%q → %q → %q", pattern, physical, back)
		}
	})
}

// matchesSame compares patterns on a few names.
func matchesSame(t fataler, a, b string) bool {
	for _, name := range []string{"a", "b", "ab", "ab.", "acme.a", "acme.b", "acme.ab", "acme.ab.", "legacy.a+(b"} {
		if matchesAll(t, a, name) != matchesAll(t, b, name) {
			return false
		}
	}
	return true
}

func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"^orders$", "foo)|(.*", "a*^b", "(^a)+", `\Qa`, "(?i)[a-z]{2,3}|^b*"} {
		f.Add(pattern, "orders")
	}
	s := newSession(nil)
	f.Fuzz(func(t *testing.T, pattern, name string) {
		// Names as of topics: line breaks would give (?m)^ another meaning.
		if _, ok := s.physicalTopic(name); ok {
			checkPattern(t, s, pattern, name)
		}
	})
}
