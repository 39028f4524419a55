package rewrite

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"weir/tenancy"
)

// shareExchange is an exchange within a session of member m of group g.
func shareExchange(version int16) *Exchange {
	x := fastExchange(kmsg.ShareFetch, version)
	_ = x.openShareSession(shareKey{"g", "m"}, shareSession{})
	return x
}

func shareFetchBody(version int16, edit func(*kmsg.ShareFetchRequest), topics ...string) []byte {
	req := kmsg.NewPtrShareFetchRequest()
	req.SetVersion(version)
	req.GroupID, req.MemberID, req.ShareSessionEpoch = new("g"), new("m"), 1
	for _, name := range topics {
		topic := kmsg.NewShareFetchRequestTopic()
		topic.TopicID = idOf("acme." + name)
		for i := range int32(2) {
			p := kmsg.NewShareFetchRequestTopicPartition()
			p.Partition = i
			p.AcknowledgementBatches = []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{{LastOffset: 9, AcknowledgeTypes: []int8{1, 2}}}
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
		req.ForgottenTopicsData = append(req.ForgottenTopicsData, kmsg.ShareFetchRequestForgottenTopicsData{TopicID: topic.TopicID, Partitions: []int32{7}})
	}
	if edit != nil {
		edit(req)
	}
	return encode(req)
}

// shareFetchResponse has two partitions with size bytes of records for each topic.
func shareFetchResponse(version int16, partitions, size int, physical ...string) []byte {
	resp := kmsg.NewPtrShareFetchResponse()
	resp.SetVersion(version)
	for _, name := range physical {
		topic := kmsg.NewShareFetchResponseTopic()
		topic.TopicID = idOf(name)
		for range partitions {
			p := kmsg.NewShareFetchResponseTopicPartition()
			p.Records = bytes.Repeat([]byte{0xAB}, size)
			p.AcquiredRecords = []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{{LastOffset: 4, DeliveryCount: 1}, {FirstOffset: 6, LastOffset: 9, DeliveryCount: 2}}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return encode(resp)
}

func TestShareFetchIsWhatKmsgWouldDo(t *testing.T) {
	for version := int16(1); version <= 2; version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkShareFetch(t, version) })
		})
	}
}

func checkShareFetch(t *rapid.T, version int16) {
	x := shareExchange(version)
	req := kmsg.NewPtrShareFetchRequest()
	generator{t: t, bad: true, tags: true}.fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	req.GroupID, req.MemberID = new("g"), new("m")
	req.ShareSessionEpoch = rapid.SampledFrom([]int32{0, -1, 1, 99}).Draw(t, "epoch")
	req.IsRenewAck = rapid.Bool().Draw(t, "renew")
	body := encode(req)
	before := bytes.Clone(body)

	wantReq, rows := editShareFetch(x, req)
	api, _ := Lookup(x.Key, version)
	plan, err := api.Plan(x, body)
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	if !bytes.Equal(before, body) {
		t.Fatal("map wrote to the client's body")
	}
	equal(t, "request", encode(wantReq), plan.Request)

	resp := kmsg.NewPtrShareFetchResponse()
	generator{t: t, tags: true}.fill(reflect.ValueOf(resp).Elem())
	resp.SetVersion(version)
	body = encode(resp)
	got, err := plan.Unmap(body)
	if err != nil {
		t.Fatalf("unmap: %v", err)
	}
	equal(t, "response", encode(unmapShareFetchSlowly(x, resp, rows)), got)
}

// editShareFetch does to the struct what mapShareFetch does to the bytes.
func editShareFetch(x *Exchange, req *kmsg.ShareFetchRequest) (*kmsg.ShareFetchRequest, []kmsg.ShareFetchResponseTopic) {
	dropUnknownTags(reflect.ValueOf(req))
	foreign := func(id topicID) bool { return len(x.ownTopics([]topicID{id})) == 0 }
	var rows []kmsg.ShareFetchResponseTopic
	req.GroupID = new(x.Space.Physical(tenancy.KindGroup, *req.GroupID))
	req.Topics = slices.DeleteFunc(req.Topics, func(topic kmsg.ShareFetchRequestTopic) bool {
		if !foreign(topic.TopicID) {
			return false
		}
		row := kmsg.NewShareFetchResponseTopic()
		row.TopicID = topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewShareFetchResponseTopicPartition()
			rp.Partition, rp.Records, rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = p.Partition, []byte{}, -1, -1
			if req.ShareSessionEpoch != -1 {
				rp.ErrorCode = 100
			}
			if req.ShareSessionEpoch == -1 || len(p.AcknowledgementBatches) > 0 {
				rp.AcknowledgeErrorCode = 100
			}
			row.Partitions = append(row.Partitions, rp)
		}
		rows = append(rows, row)
		return true
	})
	req.ForgottenTopicsData = slices.DeleteFunc(req.ForgottenTopicsData, func(topic kmsg.ShareFetchRequestForgottenTopicsData) bool { return foreign(topic.TopicID) })
	return req, rows
}

func unmapShareFetchSlowly(x *Exchange, resp *kmsg.ShareFetchResponse, rows []kmsg.ShareFetchResponseTopic) *kmsg.ShareFetchResponse {
	dropUnknownTags(reflect.ValueOf(resp))
	resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
			p.AcknowledgeErrorMessage = x.Text(p.AcknowledgeErrorCode, p.AcknowledgeErrorMessage)
		}
	}
	if resp.ErrorCode == 0 {
		resp.Topics = append(slices.Clone(rows), resp.Topics...)
	}
	for i := range resp.NodeEndpoints {
		e := &resp.NodeEndpoints[i]
		e.Host, e.Port = x.Address(e.NodeID)
	}
	return resp
}

// Every body that ends too early or too late is malformed, at every byte.
func TestShareFetchTruncatedAndTrailing(t *testing.T) {
	for version := int16(1); version <= 2; version++ {
		body := shareFetchBody(version, nil, "a", "orders")
		response := shareFetchResponse(version, 2, 70, "acme.a", "acme.orders")
		read := func(request, response []byte) error {
			x := shareExchange(version)
			api, _ := Lookup(x.Key, version)
			plan, err := api.Plan(x, request)
			if err == nil {
				_, err = plan.Unmap(response)
			}
			return err
		}
		if err := read(body, response); err != nil {
			t.Fatal(err)
		}
		for n := range body {
			wantReason(t, read(body[:n:n], response), ReasonMalformed)
		}
		for n := range response {
			wantReason(t, read(body, response[:n:n]), ReasonBadUpstream)
		}
		wantReason(t, read(append(bytes.Clone(body), 0), response), ReasonMalformed)
		wantReason(t, read(body, append(bytes.Clone(response), 0)), ReasonBadUpstream)
	}
}

// Records are neither copied nor looked at, and acquired ranges cost nothing.
func TestShareFetchAllocations(t *testing.T) {
	const most = 10
	for _, size := range []struct{ partitions, bytes int }{{1, 1 << 10}, {16, 64 << 10}} {
		for version := int16(1); version <= 2; version++ {
			c := fastCase{
				x: shareExchange(version), request: shareFetchBody(version, nil, "orders"),
				response: shareFetchResponse(version, size.partitions, size.bytes, "acme.orders"),
			}
			c.run(t)
			if n := testing.AllocsPerRun(100, func() { c.run(t) }); n > most {
				t.Errorf("v%d, %d partitions: %v allocations, want at most %d", version, size.partitions, n, most)
			} else {
				t.Logf("v%d, %d partitions: %v allocations", version, size.partitions, n)
			}
			_, response := c.run(t)
			for i := range c.response {
				c.response[i] = 0xCD
			}
			if n := bytes.Count(join(response), []byte{0xAB}); n > 0 {
				t.Errorf("%d record bytes were copied", n)
			}
		}
	}
}

// Whatever a frame announces or repeats, memory stays within twice its size.
func TestHostileShareFetchTakesLittleMemory(t *testing.T) {
	const rest = 2 << 20 // the ids of maxAsked topics, copied on their way to the pool
	head := "\x02g\x02m\x00\x00\x00\x01" + strings.Repeat("\x00", 20)
	many := func(n int, entry string) string {
		count := sink{flexible: true}
		count.count(n)
		return string(count.b) + strings.Repeat(entry, n)
	}
	id := idOf("other.orders")
	foreign := string(id[:])
	for name, body := range map[string]string{
		"counts of 2^31":       head + "\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20),
		"partitions of 2^31":   head + "\x02" + foreign + "\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20),
		"batches of 2^31":      head + "\x02" + foreign + "\x02\x00\x00\x00\x00\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20),
		"types of 2^31":        head + "\x02" + foreign + "\x02\x00\x00\x00\x00\x02" + strings.Repeat("\x00", 16) + "\xff\xff\xff\xff\x07",
		"foreign ids":          head + many(1<<17, foreign+"\x01\x00") + "\x01\x00",
		"forgotten ids":        head + "\x01" + many(1<<17, foreign+"\x01\x00") + "\x00",
		"refused partitions":   head + "\x02" + foreign + many(1<<19, "\x00\x00\x00\x01\x01\x00") + "\x00\x01\x00",
		"a few refused":        head + "\x02" + foreign + many(1<<10, "\x00\x00\x00\x01\x01\x00") + "\x00\x01\x00",
		"tags of an own topic": head + "\x01\x01" + many(1<<19-1, "\x00\x00") + "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			x := shareExchange(1)
			x.Pool = nobody{x.Pool}
			api, _ := Lookup(x.Key, x.Version)
			raw := []byte(body)
			var err error
			got := allocated(func() { _, err = api.Plan(x, raw) })
			if most := len(body) + max(len(body), growth) + rest; got > most {
				t.Errorf("body of %d bytes takes %d bytes of memory, want at most %d", len(body), got, most)
			}
			t.Logf("%d bytes for a body of %d, error %v", got, len(body), err)
		})
	}
}

func FuzzShareFetchMap(f *testing.F) { fuzzMap(f, kmsg.ShareFetch) }

func FuzzShareFetchUnmap(f *testing.F) {
	fuzzUnmap(f, kmsg.ShareFetch, func(version int16) ([]byte, []byte) {
		request := shareFetchBody(version, func(r *kmsg.ShareFetchRequest) { r.ShareSessionEpoch, r.Topics[1].TopicID = 0, topicID{} }, "orders", "x", "a")
		return request, shareFetchResponse(version, 2, 70, "acme.orders", "acme.a")
	})
}
