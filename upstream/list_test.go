package upstream

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestListTopics(t *testing.T) {
	names := []string{"a", "a-b.x", "a.", "a.t1", "a.t2", "a.z", "ab.t1", "a_b", "A.t", "b.t", "0.t"}
	tests := map[string][]kfake.Opt{
		"by pages":         {kfake.NumBrokers(2)},
		"by full metadata": {kfake.NumBrokers(2), kfake.MaxVersions(kversion.V3_6_0())},
		"without ids":      {kfake.NumBrokers(2), kfake.MaxVersions(kversion.V2_4_0())},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, opts...)
			createTopic(t, c, names...)
			p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
			for prefix, want := range map[string][]string{
				"a.":  {"a.", "a.t1", "a.t2", "a.z"},
				"a-b": {"a-b.x"},
				"b.":  {"b.t"},
				"c.":  nil,
				"~":   nil, // beyond every name
				"":    {"0.t", "A.t", "a", "a-b.x", "a.", "a.t1", "a.t2", "a.z", "a_b", "ab.t1", "b.t"},
			} {
				got, err := p.ListTopics(t.Context(), prefix)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
				}
			}
			if id := c.TopicInfo("a.t1").TopicID; name != "without ids" {
				if got, ok := p.TopicName(id); !ok || got != "a.t1" {
					t.Errorf("the id of a.t1 was not learned: %q %v", got, ok)
				}
			}
		})
	}
}

// A page ends in the middle of a topic, and the listing goes on.
func TestListTopicsOverManyPages(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	var want []string
	for i := range 15 {
		name := fmt.Sprintf("a.t%02d", i)
		if err := c.CreateTopic(name, 300, nil); err != nil { // 4,500 partitions: 3 pages
			t.Fatal(err)
		}
		want = append(want, name)
	}
	createTopic(t, c, "a-b.t", "ab.t")
	got, err := p.ListTopics(t.Context(), "a.")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
