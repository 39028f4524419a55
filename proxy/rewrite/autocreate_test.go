package rewrite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// metadataOf sends a Metadata request for names, and the broker's answer back:
// code 3 for all of them. It returns the rows' codes by name, and what the pool
// was asked.
func metadataOf(t *testing.T, x *Exchange, allow bool, names ...string) (codes map[string]int16, asked []kmsg.Request) {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	resp := kmsg.NewPtrMetadataResponse()
	req.AllowAutoTopicCreation = allow
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	req.SetVersion(x.Version)
	api, _ := Lookup(int16(kmsg.Metadata), x.Version)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := Decode(req, join(plan.Request)); err != nil {
		t.Fatal(err)
	}
	if req.AllowAutoTopicCreation {
		t.Error("the broker may create topics")
	}
	for _, topic := range req.Topics {
		row := kmsg.NewMetadataResponseTopic()
		row.Topic, row.ErrorCode = topic.Topic, codeUnknownTopic
		resp.Topics = append(resp.Topics, row)
	}
	resp.SetVersion(x.Version)
	pieces, err := plan.Unmap(resp.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := Decode(resp, join(pieces)); err != nil {
		t.Fatal(err)
	}
	codes = map[string]int16{}
	for _, row := range resp.Topics {
		codes[*row.Topic] = row.ErrorCode
	}
	return codes, x.Pool.(*fakePool).asked
}

func autoCreateExchange(t *testing.T, version int16, rows ...kmsg.CreateTopicsResponseTopic) *Exchange {
	pool := newFakePool()
	if rows != nil {
		made := kmsg.NewPtrCreateTopicsResponse()
		made.Topics = rows
		pool.answers[int16(kmsg.CreateTopics)] = made
	}
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.Metadata), Version: version}
	x.AutoCreate = true
	return x
}

func TestAutoCreate(t *testing.T) {
	x := autoCreateExchange(t, 9,
		kmsg.CreateTopicsResponseTopic{Topic: "acme.new", TopicID: idOf("acme.new")},
		kmsg.CreateTopicsResponseTopic{Topic: "acme.raced", ErrorCode: 36},
		kmsg.CreateTopicsResponseTopic{Topic: "acme.a_b", ErrorCode: 17},
		kmsg.CreateTopicsResponseTopic{Topic: "acme.full", ErrorCode: 44},
		kmsg.CreateTopicsResponseTopic{Topic: "acme.busy", ErrorCode: 7},
		kmsg.CreateTopicsResponseTopic{Topic: "other.orders"})
	codes, asked := metadataOf(t, x, true, "new", "raced", "a_b", "full", "busy", "..")
	want := map[string]int16{"new": 5, "raced": 5, "a_b": 17, "full": 44, "busy": 3, "..": 17}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if len(asked) != 2 {
		t.Fatalf("the pool was asked %d times, want to create and to describe", len(asked))
	}
	req, ok := asked[0].(*kmsg.CreateTopicsRequest)
	if !ok || len(req.Topics) != 5 || req.Topics[0].Topic != "acme.new" || req.Topics[0].NumPartitions != -1 || req.Topics[0].ReplicationFactor != -1 {
		t.Errorf("the pool was asked %s", show(t, asked[0]))
	}
	if learned := x.Pool.(*fakePool).learned; len(learned) != 1 || learned[idOf("acme.new")] != "acme.new" {
		t.Errorf("learned %v", learned)
	}
}

// TestAutoCreateAnswersWithMetadata: once the brokers know the new topic, its
// row is complete, so that the client need not back off and ask again.
func TestAutoCreateAnswersWithMetadata(t *testing.T) {
	x := autoCreateExchange(t, 12, kmsg.CreateTopicsResponseTopic{Topic: "acme.new", TopicID: idOf("acme.new")})
	pool := x.Pool.(*fakePool)
	described := kmsg.NewPtrMetadataResponse()
	for _, name := range []string{"acme.new", "other.secret"} {
		row := kmsg.NewMetadataResponseTopic()
		row.Topic, row.TopicID = &name, idOf(name)
		row.Partitions = []kmsg.MetadataResponseTopicPartition{{Leader: 2, Replicas: []int32{2}, ISR: []int32{2}}}
		described.Topics = append(described.Topics, row)
	}
	pool.answers[int16(kmsg.Metadata)] = described
	codes, _ := metadataOf(t, x, true, "new")
	if diff := cmp.Diff(map[string]int16{"new": 0}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acme.new"}, pool.awaited); diff != "" {
		t.Errorf("awaited (-want +got):\n%s", diff)
	}
}

func TestAutoCreateOnlyIfAllowed(t *testing.T) {
	for _, tt := range []struct {
		name            string
		version         int16
		allow, instance bool
		want            int
	}{
		{"both", 13, true, true, 1},
		{"the client declines", 4, false, true, 0},
		{"the client cannot decline before v4", 3, false, true, 1},
		{"the instance does not", 13, true, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := autoCreateExchange(t, tt.version)
			x.AutoCreate = tt.instance
			codes, asked := metadataOf(t, x, tt.allow, "new")
			if len(asked) != tt.want || codes["new"] != 3 {
				t.Errorf("asked %d times, code %d; want %d and 3 (the pool does not answer)", len(asked), codes["new"], tt.want)
			}
		})
	}
}

// CREATE is needed on the topic or on the cluster, and only for what is missing.
func TestAutoCreateNeedsCreate(t *testing.T) {
	for _, c := range []struct {
		rule string
		code int16
		made bool
	}{
		{"topic new read", codeTopicDenied, false},
		{"topic new create", codeNoLeader, true},
		{"cluster create", codeNoLeader, true},
	} {
		x := autoCreateExchange(t, 9, kmsg.CreateTopicsResponseTopic{Topic: "acme.new", TopicID: idOf("acme.new")})
		guard := &fakeGuard{}
		guard.guardLine(t, c.rule, true)
		guard.guardLine(t, "topic new describe", true)
		x.Guard = guard
		codes, asked := metadataOf(t, x, true, "new")
		if codes["new"] != c.code || (len(asked) > 0) != c.made {
			t.Errorf("allowed %q: code %d and %d requests, want %d and some: %t", c.rule, codes["new"], len(asked), c.code, c.made)
		}
	}
}

// A topic that is only shared is not made anew when its owner has deleted it.
func TestSharedTopicIsNotCreated(t *testing.T) {
	x := autoCreateExchange(t, 9)
	x.AutoCreate = true
	x.Space = tenancy.NewNamespace("acme",
		tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "theirs", Physical: "legacy_theirs", ReadOnly: true})
	codes, asked := metadataOf(t, x, true, "theirs")
	if codes["theirs"] != codeUnknownTopic || len(asked) != 0 {
		t.Errorf("answered %v, the pool was asked %v", codes, asked)
	}
}
