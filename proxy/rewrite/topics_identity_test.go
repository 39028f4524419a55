package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// administrative are the keys of topics, their configs and the cluster.
func administrative() []kmsg.Key {
	return []kmsg.Key{
		kmsg.ListOffsets, kmsg.Metadata, kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.DeleteRecords, kmsg.OffsetForLeaderEpoch,
		kmsg.DescribeConfigs, kmsg.AlterConfigs, kmsg.CreatePartitions, kmsg.IncrementalAlterConfigs, kmsg.DescribeTopicPartitions,
		kmsg.DescribeLogDirs, kmsg.ListPartitionReassignments,
	}
}

// tidyRequest makes a random request one that a tenant may send, all of it.
func tidyRequest(m Message) {
	switch req := m.(type) {
	case *kmsg.ListOffsetsRequest:
		req.ReplicaID = consumerReplica
	case *kmsg.OffsetForLeaderEpochRequest:
		req.ReplicaID = consumerReplica
	case *kmsg.MetadataRequest:
		req.AllowAutoTopicCreation = false
		req.Topics = distinct(req.Topics, func(t kmsg.MetadataRequestTopic) string { return deref(t.Topic) })
		for i := range req.Topics {
			name := deref(req.Topics[i].Topic)
			req.Topics[i].TopicID, req.Topics[i].Topic = topicID{}, &name
			if name == "<null>" {
				req.Topics[i].Topic = new("null")
			}
		}
		if len(req.Topics) == 0 {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: new("a")})
		}
	case *kmsg.CreateTopicsRequest:
		req.Topics = distinct(req.Topics, func(t kmsg.CreateTopicsRequestTopic) string { return t.Topic })
		for i := range req.Topics {
			t := &req.Topics[i]
			t.ReplicationFactor, t.NumPartitions, t.ReplicaAssignment = -1, t.NumPartitions%maxPartitions, nil
			for j := range t.Configs {
				t.Configs[j].Name = "retention.ms"
			}
		}
	case *kmsg.DeleteTopicsRequest:
		for i := range req.Topics {
			if req.Topics[i].Topic != nil {
				req.Topics[i].TopicID = topicID{}
			}
		}
	case *kmsg.CreatePartitionsRequest:
		for i := range req.Topics {
			req.Topics[i].Assignment, req.Topics[i].Count = nil, req.Topics[i].Count%maxPartitions
		}
	case *kmsg.DescribeConfigsRequest:
		for i := range req.Resources {
			req.Resources[i].ResourceType = kmsg.ConfigResourceTypeTopic
		}
	case *kmsg.AlterConfigsRequest:
		req.Resources = nil // what is added is in testdata/33_alter_configs
	case *kmsg.IncrementalAlterConfigsRequest:
		for i := range req.Resources {
			r := &req.Resources[i]
			r.ResourceType = kmsg.ConfigResourceTypeTopic
			for j := range r.Configs {
				r.Configs[j].Name = "retention.ms"
			}
		}
	case *kmsg.DescribeLogDirsRequest:
		if req.Topics == nil {
			req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		}
	case *kmsg.DescribeTopicPartitionsRequest:
		req.Cursor = nil
		if len(req.Topics) == 0 {
			req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: "a"})
		}
	}
}

// tidyResponse makes a random response one of which nothing is hidden.
func tidyResponse(m Message) {
	switch resp := m.(type) {
	case *kmsg.CreateTopicsResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Configs {
				resp.Topics[i].Configs[j].Name = "retention.ms"
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for i := range resp.Resources {
			resp.Resources[i].ResourceType = kmsg.ConfigResourceTypeTopic
			for j := range resp.Resources[i].Configs {
				resp.Resources[i].Configs[j].Name = "retention.ms"
			}
		}
	}
}

// holdsTopicName reports the fields of these keys that hold the name of a topic.
func holdsTopicName(field string) bool {
	return field == "Topic" || field == "TopicNames" || field == "ResourceName"
}

// gatewaysOwn are the fields that the gateway answers itself.
func gatewaysOwn(field string) bool {
	switch field {
	case "Host", "Port", "ClusterID", "ControllerID", "AuthorizedOperations", "ErrorMessage",
		"Dir", "TotalBytes", "UsableBytes":
		return true
	}
	return false
}

// What names nothing passes to the last byte, unknown tags too, and names get
// the prefix and lose it.
func TestTopicIdentity(t *testing.T) {
	for _, key := range administrative() {
		api := Table()[rowOf[key]-1]
		for v := api.Min; v <= api.Max; v++ {
			t.Run(fmt.Sprintf("%s/v%d", key.Name(), v), func(t *testing.T) {
				for seed := range uint64(30) {
					checkTopicIdentity(t, api, v, seed)
				}
			})
		}
	}
}

func checkTopicIdentity(t *testing.T, api API, version int16, seed uint64) {
	t.Helper()
	pool := newFakePool()
	g := filler{rand.New(rand.NewPCG(seed, uint64(version))), pool}
	s := scenario{key: int16(api.Key)}
	random := func(file string, tidy func(Message)) Message {
		m := s.blank(file, version)
		g.fill(reflect.ValueOf(m).Elem(), "")
		m.SetVersion(version)
		tidy(m)
		return s.decode(t, file, version, m.AppendTo(nil))
	}

	req := random("request", tidyRequest)
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(api.Key), Version: version}
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil || plan.Answer != nil {
		t.Fatalf("seed %d: not forwarded (%v): %s", seed, err, show(t, req))
	}
	compareTopics(t, req, s.decode(t, "forwarded", version, join(plan.Request)), seed)

	resp := random("response", tidyResponse)
	want := s.decode(t, "response", version, resp.AppendTo(nil))
	prefixTopics(resp)
	pieces, err := plan.Unmap(resp.AppendTo(nil))
	if err != nil {
		t.Fatalf("seed %d: unmap: %v", seed, err)
	}
	got := s.decode(t, "response", version, join(pieces))
	prefixTopics(got)
	compareTopics(t, want, got, seed)
}

// compareTopics compares want, with the prefix before its names, and got.
func compareTopics(t *testing.T, want, got Message, seed uint64) {
	t.Helper()
	prefixTopics(want)
	for _, m := range []Message{want, got} {
		eachLeaf(reflect.ValueOf(m).Elem(), "", func(field string, v reflect.Value) {
			if gatewaysOwn(field) {
				v.SetZero()
			}
		})
	}
	if !bytes.Equal(want.AppendTo(nil), got.AppendTo(nil)) {
		t.Fatalf("seed %d: %T (-want +got):\n%s", seed, want, cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(kmsg.Tags{})))
	}
}

// prefixTopics puts "acme." before every topic's name in m.
func prefixTopics(m Message) {
	eachLeaf(reflect.ValueOf(m).Elem(), "", func(field string, v reflect.Value) {
		if !holdsTopicName(field) {
			return
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		v.SetString("acme." + v.String())
	})
}

func distinct[T any](all []T, name func(T) string) (kept []T) {
	seen := map[string]bool{}
	for _, one := range all {
		if n := name(one); !seen[n] {
			seen[n] = true
			kept = append(kept, one)
		}
	}
	return kept
}
