package upstream

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestEndOffsets(t *testing.T) {
	for name, opts := range map[string][]kfake.Opt{
		"by pages":         {kfake.NumBrokers(3)},
		"by full metadata": {kfake.NumBrokers(3), kfake.MaxVersions(kversion.V3_6_0())},
	} {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, opts...)
			createTopic(t, c, "a.one", "a.two", "b.one", "nobodys")
			if err := c.CreateTopic("a.wide", 2500, nil); err != nil { // more than one question
				t.Fatal(err)
			}
			producer, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close()
			for topic, n := range map[string]int{"a.one": 7, "b.one": 3, "nobodys": 5, "a.wide": 20} {
				for range n {
					if err := producer.ProduceSync(within20s(t), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
			ends, err := p.EndOffsets(within20s(t), ownerByLabel())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int64{}
			for id, all := range ends {
				for _, e := range all {
					if !e.Known || e.ID == [16]byte{} || id == "" {
						t.Errorf("%s has %+v", id, e)
					}
					got[e.Name] += e.Records
				}
			}
			want := map[string]int64{"a.one": 7, "a.two": 0, "b.one": 3, "a.wide": 20}
			if len(got) != len(want) {
				t.Errorf("ends of %v, want %v", got, want)
			}
			for name, n := range want {
				if got[name] != n {
					t.Errorf("%s ends at %d, want %d", name, got[name], n)
				}
			}
		})
	}
}

// Where one partition does not answer the sum would be too small: it is said not to be known.
func TestEndOffsetsThatAreNotKnown(t *testing.T) {
	c := kafka(t)
	createTopic(t, c, "a.one", "a.two")
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
			answer := kmsg.NewListOffsetsResponseTopic()
			answer.Topic = t.Topic
			for _, part := range t.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				if p.Partition, p.Offset = part.Partition, 4; t.Topic == "a.two" && part.Partition == 1 {
					p.ErrorCode = kerr.NotLeaderForPartition.Code
				}
				answer.Partitions = append(answer.Partitions, p)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	ends, err := p.EndOffsets(within20s(t), ownerByLabel())
	if err != nil || len(ends["a"]) != 2 {
		t.Fatalf("%+v, %v", ends, err)
	}
	for _, e := range ends["a"] {
		if want := e.Name == "a.one"; e.Known != want || want && e.Records != 12 {
			t.Errorf("%+v", e)
		}
	}
}
