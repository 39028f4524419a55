package rewrite

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func TestText(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool())}
	for _, tt := range []struct {
		name, msg, want string
		code            int16
	}{
		{"own prefix goes", "Topic 'acme.a.b' collides with existing topic: acme.a_b", "Topic 'a.b' collides with existing topic: a_b", 17},
		{"at both ends", "acme.a, acme.", "a, ", 40},
		{"only once per name", "acme.acme.x", "acme.x", 40},
		{"not within a name", "acme.my-acme.x", "my-acme.x", 42},
		{"another instance", "other.orders is there", "The request attempted to perform an operation on an invalid topic.", 17},
		{"a broker's host", "ask broker1.pool.internal:9092", "Configuration is invalid.", 40},
		{"a code without a text of its own", "acme.x on log dir /var/kafka", "This server does not host this topic-partition.", 3},
		{"an unknown code", "/var/kafka", "The server experienced an unexpected error when processing the request.", 31999},
		{"unknown error", "java.lang.NullPointerException at broker1", "The server experienced an unexpected error when processing the request.", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := x.Text(tt.code, &tt.msg); got == nil || *got != tt.want {
				t.Errorf("Text(%d, %q) = %q, want %q", tt.code, tt.msg, deref(got), tt.want)
			}
		})
	}
	if got := x.Text(40, nil); got != nil {
		t.Errorf("null became %q", *got)
	}
	if got := x.Text(0, new("acme.x")); got != nil {
		t.Errorf("success has text %q", *got)
	}
	x.Foreign = func(text string) bool { return !strings.HasPrefix(text, "acme.other.") }
	if got := x.Text(40, new("acme.other.x")); *got != "other.x" {
		t.Errorf("a topic named like another instance was judged without its prefix: %q", *got)
	}
	x.Foreign = nil
	if got := x.Text(40, new("acme.x")); *got != "Configuration is invalid." {
		t.Errorf("without a judge of foreign names %q passed", *got)
	}
}

// TestTextHidesAliases: physical names of aliases, and names of the pool that
// collide with this instance's, are not shown.
func TestTextHidesAliases(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool())}
	x.Space = tenancy.NewNamespace("acme",
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "bills", Physical: "legacy.bills"},
		tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "g", Physical: "Old group"},
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "under", Physical: "acme_orders"})
	const standard = "The request attempted to perform an operation on an invalid topic."
	for msg, want := range map[string]string{
		"Topic 'acme.legacy_bills' collides with existing topic: legacy.bills": "Topic 'legacy_bills' collides with existing topic: bills",
		"legacy.bills.":            "bills.",
		"xlegacy.bills acme.x":     "xlegacy.bills x",
		"acme_orders is there":     "under is there",
		"acme_payments is there":   standard,
		"Group Old group is gone.": standard,
	} {
		if got := x.Text(17, &msg); *got != want {
			t.Errorf("%q became %q, want %q", msg, *got, want)
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}

// No text that passes holds a physical name of this instance where a name can begin.
func TestTextHidesThePrefix(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool())}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"acme.", "acme.orders", "other.", "'", " ", "x", "-", "acme", ".", "é", "/"})
		msg := strings.Join(rapid.SliceOf(word).Draw(t, "words"), "")
		got := *x.Text(17, &msg)
		if strings.Contains(msg, "other.") && strings.Contains(got, "other.") {
			t.Fatalf("%q became %q", msg, got)
		}
		if want := "The request attempted to perform an operation on an invalid topic."; got != want && len(got)+strings.Count(msg, "acme.")*len("acme.") < len(msg) {
			t.Fatalf("%q lost more than prefixes: %q", msg, got)
		}
		for _, begin := range []string{" ", "'", "/"} {
			if strings.Contains(msg, begin+"acme.orders") && strings.Contains(got, begin+"acme.orders") && !strings.Contains(msg, begin+"acme.acme.orders") {
				t.Fatalf("%q became %q", msg, got)
			}
		}
	})
}

func TestOwnTopics(t *testing.T) {
	pool := newFakePool("acme.orders", "other.orders", "unmanaged")
	pool.topics[topicID{}], pool.topics[metadataTopicID()] = "acme.zero", "acme.one" // whatever a pool may say
	x := &Exchange{Session: newSession(pool), Ctx: t.Context()}
	got := x.ownTopics([]topicID{{}, metadataTopicID(), idOf("acme.orders"), idOf("other.orders"), idOf("unmanaged"), idOf("acme.never")})
	if len(got) != 1 || got[idOf("acme.orders")] != "orders" {
		t.Errorf("own topics are %v", got)
	}
	x.learnTopic(topicID{}, "acme.zero")
	if len(pool.learned) != 0 {
		t.Errorf("the id zero was learned: %v", pool.learned)
	}
}
