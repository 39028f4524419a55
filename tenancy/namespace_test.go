package tenancy

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawID(t *rapid.T, label string) InstanceID {
	// Few letters, so that one id is often the beginning of another.
	s := rapid.StringMatching(`[ab][ab1-]{0,5}[ab1]`).Filter(func(s string) bool {
		_, err := ParseInstanceID(s)
		return err == nil
	}).Draw(t, label)
	return InstanceID(s)
}

func drawTopic(t *rapid.T, label string) string {
	return rapid.StringMatching(`[ab1._-]{1,6}`).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(t, label)
}

// underscored is how Kafka tells colliding names (Topic.unifyCollisionChars).
func underscored(s string) string { return strings.ReplaceAll(s, ".", "_") }

func TestNamespaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id1, id2 := drawID(t, "id1"), drawID(t, "id2")
		n1, n2 := drawTopic(t, "n1"), drawTopic(t, "n2")
		s1, s2 := NewNamespace(id1), NewNamespace(id2)
		p1, p2 := s1.Physical(KindTopic, n1), s2.Physical(KindTopic, n2)

		if back, ok := s1.Virtual(KindTopic, p1); !ok || back != n1 {
			t.Errorf("%s: %q became %q and back %q, %t", id1, n1, p1, back, ok)
		}
		if owner, _, _ := strings.Cut(p1, "."); owner != string(id1) {
			t.Errorf("%q reads as owned by %q, not by %q", p1, owner, id1)
		}
		if id1 == id2 {
			if (n1 < n2) != (p1 < p2) {
				t.Errorf("order: %q, %q became %q, %q", n1, n2, p1, p2)
			}
			if (underscored(n1) == underscored(n2)) != (underscored(p1) == underscored(p2)) {
				t.Errorf("%q and %q collide otherwise than %q and %q", n1, n2, p1, p2)
			}
			return
		}
		if p1 == p2 {
			t.Errorf("not injective: %s %q and %s %q are both %q", id1, n1, id2, n2, p1)
		}
		if _, ok := s2.Virtual(KindTopic, p1); ok {
			t.Errorf("%s takes %q of %s for its own", id2, p1, id1)
		}
		if strings.HasPrefix(s1.Prefix(), s2.Prefix()) {
			t.Errorf("prefix %q begins with %q", s1.Prefix(), s2.Prefix())
		}
		if underscored(p1) == underscored(p2) {
			t.Errorf("%q and %q of different instances collide", p1, p2)
		}
	})
}

func TestNamespaceAnyName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewNamespace(drawID(t, "id"))
		group := string(rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "group"))
		if back, ok := s.Virtual(KindGroup, s.Physical(KindGroup, group)); !ok || back != group {
			t.Errorf("%q came back as %q, %t", group, back, ok)
		}
	})
}

func TestTopic(t *testing.T) {
	s := NewNamespace("acme")
	if s.MaxTopic() != 244 || s.MaxName() != 32762 {
		t.Errorf("MaxTopic is %d, MaxName %d", s.MaxTopic(), s.MaxName())
	}
	tests := []struct {
		in   string
		want error
	}{
		{"orders", nil},
		{"...", nil},
		{"A_b-9.z", nil},
		{"__schemas", nil},
		{"acme.x", nil},
		{strings.Repeat("a", 244), nil},
		{strings.Repeat("a", 245), ErrTopicName},
		{"", ErrTopicName},
		{".", ErrTopicName},
		{"..", ErrTopicName},
		{"a b", ErrTopicName},
		{"a/b", ErrTopicName},
		{"ä", ErrTopicName},
		{"a\x00", ErrTopicName},
		{"*", ErrTopicName},
		{"__consumer_offsets", ErrTopicReserved},
		{"__transaction_state", ErrTopicReserved},
		{"__share_group_state", ErrTopicReserved},
		{"__cluster_metadata", ErrTopicReserved},
	}
	for _, tt := range tests {
		got, err := s.Topic(tt.in)
		if !errors.Is(err, tt.want) || (err == nil) != (got == "acme."+tt.in) {
			t.Errorf("%.40q: got %.40q, %v; want %v", tt.in, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "acme") {
			t.Errorf("%.40q: the error shows the prefix: %v", tt.in, err)
		}
	}
}

// TestAliasedNamespaceProperties: with any aliases that the store lets pass, both
// maps are inverse and no two instances share a name, but what is shared.
func TestAliasedNamespaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id1, id2 := drawID(t, "id1"), drawID(t, "id2")
		if id1 == id2 {
			return // two instances never have one id
		}
		owned := map[string]bool{}
		draw := func(id InstanceID, label string) Namespace {
			var all []Alias
			seen := map[string]bool{}
			for i := range rapid.IntRange(0, 4).Draw(t, label+" aliases") {
				a := Alias{KindTopic, drawTopic(t, label+" virtual"), drawTopic(t, label+" physical"), false}
				under, ok := a.label()
				if a.Check(id) != nil || ok && (under == id1 || under == id2) || owned[a.Physical] || seen[a.Virtual] || i > 3 {
					continue
				}
				owned[a.Physical], seen[a.Virtual] = true, true
				all = append(all, a)
			}
			return NewNamespace(id, all...)
		}
		s1, s2 := draw(id1, "id1"), draw(id2, "id2")
		names := []string{drawTopic(t, "n1"), drawTopic(t, "n2")}
		for _, a := range append(append([]Alias{}, s1.Aliases()...), s2.Aliases()...) {
			names = append(names, a.Virtual, a.Physical)
		}
		taken := map[string]string{} // physical name → whose
		for _, s := range []Namespace{s1, s2} {
			for _, n := range names {
				p := s.Physical(KindTopic, n)
				if back, ok := s.Virtual(KindTopic, p); !ok || back != n {
					t.Errorf("%q became %q and back %q, %t", n, p, back, ok)
				}
				who := s.Prefix() + " " + n
				if other, ok := taken[p]; ok && other != who {
					t.Errorf("%q and %q are both %q", who, other, p)
				}
				taken[p] = who
				if _, aliased := s.Alias(KindTopic, n); aliased {
					for _, any := range []Namespace{s1, s2} {
						if v, ok := any.Virtual(KindTopic, s.Prefix()+n); ok {
							t.Errorf("the prefixed form of the alias %q is %q of %s", n, v, any.Prefix())
						}
					}
				}
				if p := s.Physical(KindGroup, n); p != s.Prefix()+n {
					t.Errorf("an alias of a topic maps the group %q to %q", n, p)
				}
			}
		}
	})
}
