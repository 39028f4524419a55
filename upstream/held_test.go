package upstream

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestFirstTopic(t *testing.T) {
	for name, opts := range map[string][]kfake.Opt{
		"by cursor":        {kfake.NumBrokers(2)},
		"by full metadata": {kfake.NumBrokers(2), kfake.MaxVersions(kversion.V3_6_0())},
	} {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, opts...)
			createTopic(t, c, "a", "a-b.x", "a.t1", "ab.t1", "b_t", "zz")
			p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
			for prefix, want := range map[string]string{"a": "a.t1", "b": "b_t", "c": "", "zzz": "", "a-": ""} {
				got, err := p.FirstTopic(t.Context(), prefix+".", prefix+"_")
				if err != nil || got != want {
					t.Errorf("%s: %q, %v, want %q", prefix, got, err, want)
				}
			}
		})
	}
}

func TestTopicsExist(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1))
	createTopic(t, c, "a", "b")
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	got, err := p.TopicsExist(t.Context(), "b", "c")
	if diff := cmp.Diff(map[string]bool{"b": true}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := p.TopicsExist(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("no names: %v, %v", got, err)
	}
}

func TestCoordinated(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3))
	createTopic(t, c, "t")
	for _, name := range []string{"a.1", "a.2", "b.1", "ab"} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cl.ProducerID(t.Context()); err != nil {
			t.Fatal(err)
		}
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Group, commit.Generation = name, -1
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic, topic.TopicID = "t", c.TopicInfo("t").TopicID
		topic.Partitions = append(topic.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
		commit.Topics = append(commit.Topics, topic)
		if _, err := commit.RequestWith(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	got, err := p.Coordinated(t.Context(), "a.")
	want := Coordinated{Groups: []string{"a.1", "a.2"}, Txns: []string{"a.1", "a.2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if all, err := p.Coordinated(t.Context(), ""); len(all.Groups) != 4 || len(all.Txns) != 4 || err != nil {
		t.Errorf("all: %v, %v", all, err)
	}
}
