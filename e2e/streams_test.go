//go:build real

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/parts"
)

// TestStreamsGroup joins a Kafka Streams group by hand (KIP-1071), and asks what
// administrators ask, beside another instance with topics of the same names.
func TestStreamsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.start("one")
	in, other := w.create(g, "acme-one"), w.create(g, "other-one")
	cl, neighbour := w.client(in), w.client(other)
	w.createTopic(cl, "orders", 2)
	w.createTopic(neighbour, "orders", 2)
	w.createTopic(neighbour, "theirs", 1)

	t.Run("feature", func(t *testing.T) { featureOf(t, cl, "streams.version") })
	t.Run("group", func(t *testing.T) { streamsGroup(t, cl) })
	t.Run("policy", func(t *testing.T) {
		resp := joinStreams(t, cl, "cheat", "member", kmsg.TopicInfo{Topic: "cheat-changelog", Configs: []kmsg.TopicInfoConfig{{Key: "remote.storage.enable", Value: "true"}}})
		if resp.ErrorCode != 130 {
			t.Errorf("got code %d, want STREAMS_INVALID_TOPOLOGY", resp.ErrorCode)
		}
	})
	t.Run("log dirs", func(t *testing.T) {
		out := w.tool(in, "org.apache.kafka.tools.LogDirsCommand", "--describe")
		wants(t, out, `"logDir":"/disk0"`, `"partition":"orders-0"`)
		refuses(t, out, "theirs", "acme-one.", "other-one.", w.dir)
	})
	t.Run("reassignments", func(t *testing.T) {
		wants(t, w.tool(in, "org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "--list"), "No partition reassignments found.")
		wants(t, w.tool(in, "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "orders"), "PartitionCount: 2")
	})
	t.Run("configs", func(t *testing.T) {
		out := w.tool(in, "kafka.admin.ConfigCommand", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all")
		wants(t, out, "num.partitions=1", "offsets.retention.minutes=10080")
		refuses(t, out, "log.dirs", "listeners", "127.0.77.")
		w.tool(in, "kafka.admin.ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "app", "--add-config", "streams.session.timeout.ms=50000")
		var got []string
		parts.Await(t, "the group's configs are listed", time.Minute, func() bool {
			got = configResources(t, cl)
			return slices.Contains(got, "32 app")
		})
		if slices.Contains(got, "2 theirs") || !slices.Contains(got, "2 orders") || !slices.Contains(got, "4 1") {
			t.Errorf("got %q", got)
		}
		if theirs := configResources(t, neighbour); slices.Contains(theirs, "32 app") {
			t.Errorf("the neighbour sees %q", theirs)
		}
	})
	t.Run("refused", func(t *testing.T) {
		// As a tool shows it: the message of the error, not a lost connection.
		out, err := parts.Tool(t, "org.apache.kafka.tools.MetadataQuorumCommand", "--bootstrap-server", w.bootstrap(), "--command-config", w.properties(in), "describe", "--status")
		if err == nil || !strings.Contains(out, "Cluster authorization failed.") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func wants(t *testing.T, out string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func refuses(t *testing.T, out string, all ...string) {
	t.Helper()
	for _, secret := range all {
		if strings.Contains(out, secret) {
			t.Errorf("%q in:\n%s", secret, out)
		}
	}
}

// featureOf checks that a feature is finalized at 1 or above.
func featureOf(t *testing.T, cl *kgo.Client, name string) {
	t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "weir", "e2e"
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == name && f.MaxVersionLevel > 0 {
			return
		}
	}
	t.Errorf("%s is not finalized: %+v", name, resp.FinalizedFeatures)
}

// joinStreams joins with the topology orders → repartition → count.
func joinStreams(t *testing.T, cl *kgo.Client, group, member string, changelog kmsg.TopicInfo) *kmsg.StreamsGroupHeartbeatResponse {
	t.Helper()
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.ProcessID = group, member, 10_000, new("process")
	req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	req.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "app.example", Port: 8080}
	req.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{}
	repartition := group + "-by-repartition"
	req.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Epoch: 0, Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{
		{SubtopologyID: "0", SourceTopics: []string{"orders"}, RepartitionSinkTopics: []string{repartition}},
		{
			SubtopologyID:           "1",
			RepartitionSourceTopics: []kmsg.TopicInfo{{Topic: repartition, NumPartitions: 3, Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "delete"}}}},
			StateChangelogTopics:    []kmsg.TopicInfo{changelog},
		},
	}}
	resp, _ := askCoordinator(t, cl, group, req).(*kmsg.StreamsGroupHeartbeatResponse)
	return resp
}

// askCoordinator sends a request that franz-go does not know where to send.
func askCoordinator(t *testing.T, cl *kgo.Client, group string, req kmsg.Request) (resp kmsg.Response) {
	t.Helper()
	parts.Await(t, "the coordinator answers", time.Minute, func() bool {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey, find.CoordinatorKeys = group, []string{group}
		found, err := find.RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Coordinators) != 1 || found.Coordinators[0].ErrorCode != 0 {
			return false // the pool has not made its offsets topic yet
		}
		if resp, err = cl.Broker(int(found.Coordinators[0].NodeID)).RetriableRequest(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		hb, ok := resp.(*kmsg.StreamsGroupHeartbeatResponse)
		return !ok || hb.ErrorCode < 14 || hb.ErrorCode > 16 // a coordinator that is still loading, or moving
	})
	return resp
}

// streamsGroup waits until a member has its tasks, then describes the group.
func streamsGroup(t *testing.T, cl *kgo.Client) {
	t.Helper()
	resp := joinStreams(t, cl, "app", "member", kmsg.TopicInfo{Topic: "app-count-changelog", Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}})
	told := map[string]bool{}
	var tasks []kmsg.TaskIDs
	parts.Await(t, "the member has its tasks", time.Minute, func() bool {
		if resp.ErrorCode != 0 {
			t.Fatalf("code %d: %v", resp.ErrorCode, *resp.ErrorMessage)
		}
		for _, s := range resp.Status {
			told[s.StatusDetail] = true
		}
		if len(resp.ActiveTasks) > 0 {
			tasks = resp.ActiveTasks
		}
		if len(tasks) == 2 {
			return true
		}
		req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch = "app", "member", resp.MemberEpoch
		resp, _ = askCoordinator(t, cl, "app", req).(*kmsg.StreamsGroupHeartbeatResponse)
		return false
	})
	t.Logf("statuses on the way: %q", slices.Collect(maps.Keys(told)))
	for text := range told {
		refuses(t, text, "acme-one.")
	}
	topics, err := kadm.NewClient(cl).ListTopics(t.Context())
	if err != nil || len(topics["app-by-repartition"].Partitions) != 3 || len(topics["app-count-changelog"].Partitions) != 3 {
		t.Errorf("internal topics: %v %v", topics.Names(), err)
	}
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{"app"}
	described, _ := askCoordinator(t, cl, "app", req).(*kmsg.StreamsGroupDescribeResponse)
	got := described.Groups[0]
	if got.ErrorCode != 0 || got.State != "Stable" || got.Members[0].ClientHost != "/0.0.0.0" || got.Members[0].UserEndpoint.Host != "app.example" ||
		got.Topology.Subtopologies[0].SourceTopics[0] != "orders" || got.Topology.Subtopologies[1].StateChangelogTopics[0].Topic != "app-count-changelog" {
		t.Errorf("described %+v", got)
	}
}

// configResources lists "<type> <name>".
func configResources(t *testing.T, cl *kgo.Client) (all []string) {
	t.Helper()
	resp, err := kmsg.NewPtrListConfigResourcesRequest().RequestWith(t.Context(), cl)
	if err != nil || resp.ErrorCode != 0 {
		t.Fatalf("%v, code %d", err, resp.ErrorCode)
	}
	for _, r := range resp.ConfigResources {
		all = append(all, fmt.Sprintf("%d %s", r.Type, r.Name))
	}
	return all
}
