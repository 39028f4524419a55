package proxy

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// readFromTheStart makes a share group begin with the oldest records; its own
// default is the newest.
func readFromTheStart(t *testing.T, cl *kgo.Client, group string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	res.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "share.auto.offset.reset", Value: new("earliest")}}
	req.Resources = append(req.Resources, res)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Share groups of two instances have the same name and read topics of the same
// name: each reads its own, and sees nobody but itself.
func TestShareGroupsWithTheSameNames(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"a", "b"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			cl := r.client(id)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			const n = 50
			for i := range n {
				if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "jobs", Value: fmt.Appendf(nil, "%s-%d", id, i)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			readFromTheStart(t, cl, "workers")
			done := map[string]bool{}
			for round := range 2 { // the first worker leaves half of the work to the second
				worker := r.client(id, kgo.ShareGroup("workers"), kgo.ConsumeTopics("jobs"))
				workOff(ctx, t, worker, id, done, n*(round+1)/2)
				worker.Close()
			}
			checkShareGroup(ctx, t, cl)
		})
	}
}

// workOff accepts records until so many are done, and releases the others.
func workOff(ctx context.Context, t *testing.T, worker *kgo.Client, mark string, done map[string]bool, most int) {
	t.Helper()
	for len(done) < most {
		fetches := worker.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d done: %v", len(done), err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			v := string(rec.Value)
			switch {
			case v[:len(mark)] != mark:
				t.Errorf("a record of somebody else: %q", v)
			case len(done) >= most:
				rec.Ack(kgo.AckRelease)
				return
			case done[v]:
				t.Errorf("%q after it was accepted", v)
			}
			done[v] = true
			rec.Ack(kgo.AckAccept)
		})
		if err := worker.FlushAcks(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// checkShareGroup looks at the group through the admin APIs.
func checkShareGroup(ctx context.Context, t *testing.T, cl *kgo.Client) {
	t.Helper()
	describe := kmsg.NewPtrShareGroupDescribeRequest()
	describe.GroupIDs = []string{"workers"}
	described, err := describe.RequestWith(ctx, cl)
	if err != nil || len(described.Groups) != 1 || described.Groups[0].GroupID != "workers" || described.Groups[0].ErrorCode != 0 {
		t.Errorf("describe: %+v, %v", described, err)
	}

	offsets := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	offsets.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: "workers"}}
	got, err := offsets.RequestWith(ctx, cl)
	if err != nil || len(got.Groups) != 1 || len(got.Groups[0].Topics) != 1 || got.Groups[0].Topics[0].Topic != "jobs" {
		t.Fatalf("offsets: %+v, %v", got, err)
	}

	alter := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	alter.GroupID = "workers"
	alter.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: "jobs", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{}}}}
	altered, err := alter.RequestWith(ctx, cl)
	if err != nil || altered.ErrorCode != 0 || len(altered.Topics) != 1 || altered.Topics[0].Topic != "jobs" || altered.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("alter: %+v, %v", altered, err)
	}

	forget := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	forget.GroupID, forget.Topics = "workers", []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "jobs"}}
	forgotten, err := forget.RequestWith(ctx, cl)
	if err != nil || forgotten.ErrorCode != 0 || len(forgotten.Topics) != 1 || forgotten.Topics[0].Topic != "jobs" || forgotten.Topics[0].ErrorCode != 0 {
		t.Errorf("delete: %+v, %v", forgotten, err)
	}
}

// topicID creates a topic and returns its id.
func topicID(t *testing.T, cl *kgo.Client, topic string) [16]byte {
	t.Helper()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("secret")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].TopicID
}

func shareFetch(t *testing.T, c net.Conn, epoch int32, ids ...[16]byte) *kmsg.ShareFetchResponse {
	t.Helper()
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = new("workers"), new("m"), epoch
	for _, id := range ids {
		topic := kmsg.NewShareFetchRequestTopic()
		topic.TopicID, topic.Partitions = id, []kmsg.ShareFetchRequestTopicPartition{{}}
		req.Topics = append(req.Topics, topic)
	}
	resp, err := send(c, req, 2)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.ShareFetchResponse)
}

// Whose a topic id is cannot be told from what a share group hears of it.
func TestShareGroupOfAForeignTopic(t *testing.T) {
	r := newRig(t)
	id := topicID(t, r.client("b"), "jobs")
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	for epoch, id := range [][16]byte{id, {1, 2, 3}, {}} {
		resp := shareFetch(t, c, int32(epoch), id)
		if resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].TopicID != id {
			t.Fatalf("fetch of %x: %+v", id, resp)
		}
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != kerr.UnknownTopicID.Code || len(p.Records) > 0 || p.CurrentLeader.LeaderID != -1 {
			t.Errorf("fetch of %x: %+v", id, p)
		}
	}
	for epoch, id := range [][16]byte{id, {1, 2, 3}, {}} {
		req := kmsg.NewPtrShareAcknowledgeRequest()
		req.GroupID, req.MemberID, req.ShareSessionEpoch = new("workers"), new("m"), int32(epoch)+3
		topic := kmsg.NewShareAcknowledgeRequestTopic()
		topic.TopicID, topic.Partitions = id, []kmsg.ShareAcknowledgeRequestTopicPartition{{}}
		req.Topics = append(req.Topics, topic)
		raw, err := send(c, req, 2)
		if err != nil {
			t.Fatal(err)
		}
		resp := raw.(*kmsg.ShareAcknowledgeResponse)
		if resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].TopicID != id || resp.Topics[0].Partitions[0].ErrorCode != kerr.UnknownTopicID.Code {
			t.Errorf("acknowledgement of %x: %+v", id, resp)
		}
	}
}

// A member may take its time over records: its broker connection, and with it
// what it has acquired, stays. Its session is nobody else's.
func TestShareSessionKeepsItsBrokerConnection(t *testing.T) {
	r := newRig(t)
	id := topicID(t, r.client("a"), "jobs")
	c, thief := r.dial(0, ""), r.dial(0, "")
	for _, c := range []net.Conn{c, thief} {
		if err := login(c, "u@i-a"); err != nil {
			t.Fatal(err)
		}
	}
	shareFetch(t, c, 0, id)
	if resp := shareFetch(t, thief, 1); resp.ErrorCode != kerr.ShareSessionNotFound.Code {
		t.Errorf("another connection goes on within the session: %+v", resp)
	}
	idle := func() int {
		r.srv.conns.each(func(c *conn) { c.closeIdleLink(time.Now().Add(time.Hour)) })
		return r.links()
	}
	eventually(t, "only the session's broker connection is left", func() bool { return idle() == 1 })
	if resp := shareFetch(t, c, 1); resp.ErrorCode != 0 {
		t.Errorf("after a while: %+v", resp)
	}
	if resp := shareFetch(t, c, -1); resp.ErrorCode != 0 {
		t.Errorf("closing: %+v", resp)
	}
	eventually(t, "no broker connection is left", func() bool { return idle() == 0 })
	if resp := shareFetch(t, c, 2); resp.ErrorCode != kerr.ShareSessionNotFound.Code {
		t.Errorf("after it was closed: %+v", resp)
	}
}
