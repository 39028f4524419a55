package rewrite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// learnedFrom sends req and the broker's resp, and returns what the pool learned.
func learnedFrom(t *testing.T, req kmsg.Request, version int16, resp kmsg.Response) map[topicID]string {
	t.Helper()
	pool := newFakePool()
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: req.Key(), Version: version}
	req.SetVersion(version)
	resp.SetVersion(version)
	api, _ := Lookup(req.Key(), version)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Unmap(resp.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	return pool.learned
}

// The client's next request names a topic by the id that an answer gave it: the
// pool must know it by then. Topics that are not made, or gone, are not learned.
func TestAnswersTeachTopicIDs(t *testing.T) {
	fresh := map[topicID]string{idOf("acme.new"): "acme.new"}
	none := map[topicID]string{}

	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: new("new")}}
	metadataAnswer := kmsg.NewPtrMetadataResponse()
	metadataAnswer.Topics = []kmsg.MetadataResponseTopic{{Topic: new("acme.new"), TopicID: idOf("acme.new")}}

	create := func(validateOnly bool) *kmsg.CreateTopicsRequest {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.ValidateOnly = validateOnly
		req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "new", NumPartitions: 1, ReplicationFactor: -1}}
		return req
	}
	created := func(code int16) *kmsg.CreateTopicsResponse {
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: "acme.new", TopicID: idOf("acme.new"), ErrorCode: code}}
		return resp
	}

	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: new("new")}}
	removed := kmsg.NewPtrDeleteTopicsResponse()
	removed.Topics = []kmsg.DeleteTopicsResponseTopic{{Topic: new("acme.new"), TopicID: idOf("acme.new")}}

	pages := kmsg.NewPtrDescribeTopicPartitionsRequest()
	pages.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "new"}}
	page := kmsg.NewPtrDescribeTopicPartitionsResponse()
	page.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{{Topic: new("acme.new"), TopicID: idOf("acme.new")}}

	for _, tt := range []struct {
		name    string
		req     kmsg.Request
		version int16
		resp    kmsg.Response
		want    map[topicID]string
	}{
		{"Metadata", metadata, 12, metadataAnswer, fresh},
		{"Metadata without ids", metadata, 9, metadataAnswer, none},
		{"CreateTopics", create(false), 7, created(0), fresh},
		{"CreateTopics that failed", create(false), 7, created(7), none},
		{"CreateTopics that only validates", create(true), 7, created(0), none},
		{"CreateTopics without ids", create(false), 6, created(0), none},
		{"DescribeTopicPartitions", pages, 0, page, fresh},
		{"DeleteTopics", remove, 6, removed, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, learnedFrom(t, tt.req, tt.version, tt.resp)); diff != "" {
				t.Errorf("learned (-want +got):\n%s", diff)
			}
		})
	}
}
