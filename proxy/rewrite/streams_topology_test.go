package rewrite

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// tidyTopology makes a random topology one that passes.
func tidyTopology(t *topology) {
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		s.SourceTopicRegex, s.CopartitionGroups = nil, nil
		s.CopartitionGroups = append(s.CopartitionGroups, kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{
			SourceTopics: places(len(s.SourceTopics)), RepartitionSourceTopics: places(len(s.RepartitionSourceTopics)),
		})
		for j := range s.RepartitionSourceTopics {
			s.RepartitionSourceTopics[j].NumPartitions = max(0, s.RepartitionSourceTopics[j].NumPartitions%maxPartitions)
		}
		for j := range s.StateChangelogTopics {
			s.StateChangelogTopics[j].NumPartitions = 0
		}
		eachInternal(s, func(info *kmsg.TopicInfo) {
			info.ReplicationFactor = 0
			for j := range info.Configs {
				info.Configs[j].Key = "retention.ms"
			}
		})
	}
}

// places are n-1 to 0.
func places(n int) (all []int16) {
	for n--; n >= 0; n-- {
		all = append(all, int16(n))
	}
	return all
}

// A broker creates internal topics with the gateway's rights. One that is only
// shared with the instance is nobody's to create: the topology is refused while it
// is away, and passes while it is there.
func TestTopologyMayNotCreateSharedTopic(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found []kmsg.MetadataResponseTopic
		code  int16
		text  string
	}{
		{"there", []kmsg.MetadataResponseTopic{{Topic: new("legacy")}}, 0, ""},
		{"no leader", []kmsg.MetadataResponseTopic{{Topic: new("legacy"), ErrorCode: codeNoLeader}}, 0, ""},
		{"away", []kmsg.MetadataResponseTopic{{Topic: new("legacy"), ErrorCode: codeUnknownTopic}}, codeTopicDenied, "Unauthorized to CREATE on topics shared."},
		{"not answered", []kmsg.MetadataResponseTopic{}, codeTopicDenied, "Unauthorized to CREATE on topics shared."},
		{"pool away", nil, 15, "The coordinator is not available."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newFakePool()
			if tt.found != nil {
				pool.answers[int16(kmsg.Metadata)] = &kmsg.MetadataResponse{Topics: tt.found}
			}
			x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.StreamsGroupHeartbeat), Version: 1}
			x.Space = tenancy.NewNamespace("acme", tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "shared", Physical: "legacy", ReadOnly: true})
			code, msg, forwarded := heartbeatWith(t, x, "own", "shared")
			if code != tt.code || msg != tt.text {
				t.Errorf("got code %d %q, want %d %q", code, msg, tt.code, tt.text)
			}
			if code == 0 && (forwarded[0] != "acme.own" || forwarded[1] != "legacy") {
				t.Errorf("forwarded %q", forwarded)
			}
		})
	}
}

// heartbeatWith joins with changelogs of those names, and returns the gateway's
// refusal or what the broker gets.
func heartbeatWith(t *testing.T, x *Exchange, changelogs ...string) (code int16, msg string, forwarded []string) {
	t.Helper()
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID = "app", "m"
	sub := subtopology{SubtopologyID: "0", SourceTopics: []string{"orders"}}
	for _, name := range changelogs {
		sub.StateChangelogTopics = append(sub.StateChangelogTopics, kmsg.TopicInfo{Topic: name})
	}
	req.Topology = &topology{Subtopologies: []subtopology{sub}}
	req.SetVersion(x.Version)
	api, _ := Lookup(x.Key, x.Version)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Answer != nil {
		resp := kmsg.NewPtrStreamsGroupHeartbeatResponse()
		resp.SetVersion(x.Version)
		if err := Decode(resp, bytes.Join(plan.Answer, nil)); err != nil {
			t.Fatal(err)
		}
		return resp.ErrorCode, *resp.ErrorMessage, nil
	}
	if err := Decode(req, bytes.Join(plan.Request, nil)); err != nil {
		t.Fatal(err)
	}
	for _, info := range req.Topology.Subtopologies[0].StateChangelogTopics {
		forwarded = append(forwarded, info.Topic)
	}
	return 0, "", forwarded
}
