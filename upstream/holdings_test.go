package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"weir/tenancy"
)

// ownerByLabel gives every dotted name to the instance of its first part, and
// "legacy" to a, as an alias does.
func ownerByLabel() Owner {
	return func(_ tenancy.Kind, physical string) (tenancy.InstanceID, bool) {
		if physical == "legacy" {
			return "a", true
		}
		id, _, ok := strings.Cut(physical, ".")
		return tenancy.InstanceID(id), ok
	}
}

// sampled is a pool whose samples arrive on the channel.
func sampled(t *testing.T, cfg Config) (*Pool, <-chan *Holdings) {
	samples := make(chan *Holdings, 100)
	cfg.Owners, cfg.Sampled = ownerByLabel, func(h *Holdings) { samples <- h }
	return runPool(t, cfg), samples
}

func next(t *testing.T, samples <-chan *Holdings) *Holdings {
	t.Helper()
	select {
	case h := <-samples:
		return h
	case <-time.After(20 * time.Second):
		t.Fatal("no sample in 20s")
		return nil
	}
}

func TestHoldings(t *testing.T) {
	for name, opts := range map[string][]kfake.Opt{
		"by pages":         {kfake.NumBrokers(3)},
		"by full metadata": {kfake.NumBrokers(3), kfake.MaxVersions(kversion.V3_6_0())},
	} {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, opts...)
			createTopic(t, c, "a.one", "a.two", "b.one", "legacy", "nobodys")
			if err := c.CreateTopic("a.wide", 4500, nil); err != nil { // spread over pages
				t.Fatal(err)
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup("a.group"), kgo.ConsumeTopics("a.one"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cl.Close)
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x"), &kgo.Record{Topic: "a.one", Value: []byte("x")}).FirstErr(); err == nil {
				t.Fatal("a record without a topic was taken")
			}
			cl.PollFetches(within20s(t)) // the group is there now

			var size int64
			for part := range int32(3) {
				size += c.PartitionInfo("a.one", part).NumBytes
			}
			_, samples := sampled(t, Config{Bootstrap: c.ListenAddrs()})
			h := next(t, samples)
			want := map[tenancy.InstanceID]Holding{
				"a": {Topics: 4, Partitions: 3*3 + 4500, Bytes: size, Groups: 1},
				"b": {Topics: 1, Partitions: 3},
			}
			if diff := cmp.Diff(want, h.of, cmpopts.IgnoreUnexported(Holding{})); diff != "" || size == 0 {
				t.Errorf("%d bytes, (-want +got):\n%s", size, diff)
			}
			if hash := h.GroupHash("a.group"); !h.HasGroup("a", hash) || h.HasGroup("a", h.GroupHash("a.other")) || h.HasGroup("b", hash) {
				t.Error("the groups are not those that there are")
			}
			if none, ok := h.Of("c"); !ok || none.Topics != 0 {
				t.Errorf("of nobody: %+v %v", none, ok)
			}
		})
	}
}

func TestNoHoldingsYet(t *testing.T) {
	var h *Holdings
	if _, ok := h.Of("a"); ok || h.HasGroup("a", 1) {
		t.Error("something is held before the first sample")
	}
}

// Of the replicas of a partition the largest counts, once, and a broker that does
// not answer any more counts with its last numbers, which shows in Oldest.
func TestHoldingsOfReplicas(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3))
	createTopic(t, c, "a.t")
	var silent atomic.Bool
	c.ControlKey(int16(kmsg.DescribeLogDirs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
		node := int64(c.CurrentNode())
		if silent.Load() && node == 2 {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
			return resp, nil, true
		}
		size := func(partition int32, n int64, future bool) kmsg.DescribeLogDirsResponseDirTopicPartition {
			return kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: partition, Size: n, IsFuture: future}
		}
		resp.Dirs = []kmsg.DescribeLogDirsResponseDir{{Dir: "/d", Topics: []kmsg.DescribeLogDirsResponseDirTopic{{
			Topic: "a.t", Partitions: []kmsg.DescribeLogDirsResponseDirTopicPartition{
				size(0, 100*(node+1), false), size(1, 7, false), size(int32(node), 1_000_000, true),
			},
		}, {Topic: "a.gone", Partitions: []kmsg.DescribeLogDirsResponseDirTopicPartition{size(0, 5, false)}}}}}
		return resp, nil, true
	})
	p, samples := sampled(t, Config{Bootstrap: c.ListenAddrs(), SampleEvery: 50 * time.Millisecond})
	first := next(t, samples)
	// Node 2's replica of partition 0 is the largest; "a.gone" is in no metadata.
	if has, _ := first.Of("a"); has.Bytes != 300+7 || has.Partitions != 3 || !first.Oldest.Equal(first.At) {
		t.Errorf("holds %+v, %v old", has, first.At.Sub(first.Oldest))
	}
	silent.Store(true)
	for deadline := time.Now().Add(20 * time.Second); ; {
		h := next(t, samples)
		if has, _ := h.Of("a"); has.Bytes != 300+7 {
			t.Fatalf("holds %+v once a broker is silent", has)
		}
		if h.Oldest.Before(h.At) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the sample never says that a part of it is old")
		}
	}
	if p.Holdings() == nil {
		t.Error("nothing is published")
	}
}

// merge of a hundred thousand partitions on three brokers.
func BenchmarkHoldingsMerge(b *testing.B) {
	s := &sampler{topics: map[string]topicHeld{}, brokers: map[int32]*brokerHeld{}, asked: time.Now()}
	for node := range int32(3) {
		held := &brokerHeld{replicas: map[string][]replica{}, asked: s.asked, listed: s.asked}
		for i := range 10_000 {
			name := fmt.Sprintf("i%d.t%d", i%500, i)
			s.topics[name] = topicHeld{tenancy.InstanceID(fmt.Sprint("i", i%500)), 10}
			for part := range int32(10) {
				held.replicas[name] = append(held.replicas[name], replica{part, 1})
			}
		}
		s.brokers[node] = held
	}
	b.ReportAllocs()
	for b.Loop() {
		s.merge(s.asked)
	}
}
