package rewrite

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkTyped is the whole way of an exchange through its rewrite, and what of
// it is the tripwire's: go test -bench Typed ./proxy/rewrite
func BenchmarkTyped(b *testing.B) {
	b.Run("Metadata/1000 topics", func(b *testing.B) {
		req, resp := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataResponse()
		req.Topics = []kmsg.MetadataRequestTopic{}
		for i := range 1000 {
			name := fmt.Sprintf("area%d.orders-%d", i%10, i)
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = &name
			req.Topics = append(req.Topics, t)
			physical := "acme." + name
			row := kmsg.NewMetadataResponseTopic()
			row.Topic, row.TopicID = &physical, idOf(physical)
			for p := range int32(3) {
				part := kmsg.NewMetadataResponseTopicPartition()
				part.Partition, part.Leader, part.Replicas, part.ISR = p, p, []int32{0, 1, 2}, []int32{0, 1, 2}
				row.Partitions = append(row.Partitions, part)
			}
			resp.Topics = append(resp.Topics, row)
		}
		for node := range int32(3) {
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: node, Host: "broker.pool.internal", Port: 9092})
		}
		benchTyped(b, req, resp, 12)
	})
	b.Run("OffsetCommit/1 partition", func(b *testing.B) {
		req, resp := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
		req.Group = "billing"
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: make([]kmsg.OffsetCommitRequestTopicPartition, 1)}}
		resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "acme.orders", Partitions: make([]kmsg.OffsetCommitResponseTopicPartition, 1)}}
		benchTyped(b, req, resp, 9)
	})
}

func benchTyped(b *testing.B, req kmsg.Request, resp kmsg.Response, version int16) {
	req.SetVersion(version)
	resp.SetVersion(version)
	api, _ := Lookup(req.Key(), version)
	s := newSession(newFakePool())
	request, response := req.AppendTo(nil), resp.AppendTo(nil)
	x := &Exchange{Session: s, Ctx: b.Context(), Key: req.Key(), Version: version}
	whole := func(b *testing.B) (answer []byte) {
		plan, err := api.Plan(x, request)
		if err != nil {
			b.Fatal(err)
		}
		pieces, err := plan.Unmap(response)
		if err != nil {
			b.Fatal(err)
		}
		return join(pieces)
	}
	if err := resp.ReadFrom(whole(b)); err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			whole(b)
		}
	})
	b.Run("tripwire", func(b *testing.B) {
		b.ReportAllocs()
		var wire tripwire
		for b.Loop() {
			if err := wire.watch(x, req).check(resp, response); err != nil {
				b.Fatal(err)
			}
		}
	})
}
