package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func produceBody(version, acks int16, edit func(*kmsg.ProduceRequest), topics ...string) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(version)
	req.Acks = acks
	for _, name := range topics {
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.TopicID = name, idOf("acme."+name)
		for i := range int32(2) {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = i, bytes.Repeat([]byte{0xAB}, 70)
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	if edit != nil {
		edit(req)
	}
	return encode(req)
}

func fetchBody(version int16, edit func(*kmsg.FetchRequest), topics ...string) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	for _, name := range topics {
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID = name, idOf("acme."+name)
		for i := range int32(2) {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition = i
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	if edit != nil {
		edit(req)
	}
	return encode(req)
}

func mustMap(t testing.TB, x *Exchange, body []byte) Plan {
	t.Helper()
	api, ok := Lookup(x.Key, x.Version)
	if !ok {
		t.Fatalf("key %d v%d is not in the table", x.Key, x.Version)
	}
	plan, err := api.Plan(x, body)
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	return plan
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != reason {
		t.Fatalf("got error %v, want reason %q", err, reason)
	}
}

// answerCodes decodes a local answer and lists "topic/partition code" of all its rows.
func answerCodes(t *testing.T, version int16, answer [][]byte, m Message) []string {
	t.Helper()
	if answer == nil {
		t.Fatal("the request went upstream, want a local answer")
	}
	m.SetVersion(version)
	if err := m.ReadFrom(join(answer)); err != nil {
		t.Fatal(err)
	}
	var rows []string
	switch resp := m.(type) {
	case *kmsg.ProduceResponse:
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				rows = append(rows, fmt.Sprintf("%s/%d %d", topic.Topic, p.Partition, p.ErrorCode))
			}
		}
	case *kmsg.FetchResponse:
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				rows = append(rows, fmt.Sprintf("%s/%d %d", topic.Topic, p.Partition, p.ErrorCode))
			}
		}
	}
	return rows
}

func TestProduceRefusesAll(t *testing.T) {
	empty, long := "", strings.Repeat("x", 32767-len("acme.")+1)
	for name, tc := range map[string]struct {
		topics []string
		edit   func(*kmsg.ProduceRequest)
		want   []string
	}{
		"empty name":             {topics: []string{""}, want: []string{"/0 3", "/1 3"}},
		"dot":                    {topics: []string{"."}, want: []string{"./0 3", "./1 3"}},
		"dot dot":                {topics: []string{".."}, want: []string{"../0 3", "../1 3"}},
		"space":                  {topics: []string{"a b"}, want: []string{"a b/0 3", "a b/1 3"}},
		"empty transactional":    {topics: []string{"orders"}, edit: func(r *kmsg.ProduceRequest) { r.TransactionID = &empty }, want: []string{"orders/0 42", "orders/1 42"}},
		"too long transactional": {topics: []string{"orders"}, edit: func(r *kmsg.ProduceRequest) { r.TransactionID = &long }, want: []string{"orders/0 42", "orders/1 42"}},
		"no topics":              {edit: func(r *kmsg.ProduceRequest) { r.TransactionID = &empty }, want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			for version := int16(3); version <= 12; version++ {
				plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, -1, tc.edit, tc.topics...))
				got := answerCodes(t, version, plan.Answer, kmsg.NewPtrProduceResponse())
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("v%d (-want +got):\n%s", version, diff)
				}
			}
		})
	}
}

// foreignIDs are ids that no client of acme may use.
func foreignIDs() map[string]topicID {
	return map[string]topicID{"zero": {}, "metadata": metadataTopicID(), "foreign": idOf("other.orders"), "unknown": {9, 9}}
}

// Foreign, unknown and impossible ids must not be told apart (protocol.md 2.2).
func TestForeignTopicIDsLookAlike(t *testing.T) {
	for name, id := range foreignIDs() {
		t.Run(name, func(t *testing.T) {
			body := produceBody(13, -1, func(r *kmsg.ProduceRequest) { r.Topics[0].TopicID = id }, "orders")
			plan := mustMap(t, fastExchange(kmsg.Produce, 13), body)
			if diff := cmp.Diff([]string{"/0 100", "/1 100"}, answerCodes(t, 13, plan.Answer, kmsg.NewPtrProduceResponse())); diff != "" {
				t.Errorf("produce (-want +got):\n%s", diff)
			}
			for version := int16(13); version <= 18; version++ {
				body := fetchBody(version, func(r *kmsg.FetchRequest) { r.Topics[0].TopicID = id }, "orders")
				plan := mustMap(t, fastExchange(kmsg.Fetch, version), body)
				if diff := cmp.Diff([]string{"/0 100", "/1 100"}, answerCodes(t, version, plan.Answer, kmsg.NewPtrFetchResponse())); diff != "" {
					t.Errorf("fetch v%d (-want +got):\n%s", version, diff)
				}
			}
		})
	}
}

func TestProduceWithoutAcks(t *testing.T) {
	empty := ""
	for version := int16(3); version <= 13; version++ {
		if plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, 0, nil, "orders")); !plan.Silent || plan.Request == nil {
			t.Errorf("v%d: silent %v, request %v", version, plan.Silent, plan.Request)
		}
		if plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, 1, nil, "orders")); plan.Silent {
			t.Errorf("v%d: silent with acks=1", version)
		}
		_, err := mapProduce(fastExchange(kmsg.Produce, version), produceBody(version, 0, nil, "orders", "no such id ?"))
		wantReason(t, err, ReasonUnanswerable)
		_, err = mapProduce(fastExchange(kmsg.Produce, version), produceBody(version, 0, func(r *kmsg.ProduceRequest) { r.TransactionID = &empty }, "orders"))
		wantReason(t, err, ReasonUnanswerable)
		_, err = mapProduce(fastExchange(kmsg.Produce, version), produceBody(version, 0, func(r *kmsg.ProduceRequest) { r.TransactionID = &empty }))
		wantReason(t, err, ReasonUnanswerable)
	}
}

func TestFetchRefusesReplicas(t *testing.T) {
	for version := int16(4); version <= 18; version++ {
		for _, id := range []int32{-2, 0, 1, 1 << 30} {
			x := fastExchange(kmsg.Fetch, version)
			body := fetchBody(version, func(r *kmsg.FetchRequest) {
				r.ReplicaID, r.ReplicaState.ID = id, id
				r.SessionEpoch = -1
			}, "orders")
			plan := mustMap(t, x, body)
			got := answerCodes(t, version, plan.Answer, kmsg.NewPtrFetchResponse())
			want := []string{"orders/0 29", "orders/1 29"}
			if version >= 13 {
				want = []string{"/0 29", "/1 29"}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("v%d replica %d (-want +got):\n%s", version, id, diff)
			}
		}
	}
}

// A response that holds a topic of somebody else closes the connection.
func TestTripwire(t *testing.T) {
	for version := int16(3); version <= 13; version++ {
		plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, -1, nil, "orders"))
		for _, name := range []string{"other.orders", "acme", "acme.", "acmeorders", "orders", ""} {
			_, err := plan.Unmap(produceResponse(version, name))
			wantReason(t, err, strangeReason(version >= 13, name))
		}
	}
	for version := int16(4); version <= 18; version++ {
		plan := mustMap(t, fastExchange(kmsg.Fetch, version), fetchBody(version, nil, "orders"))
		for _, name := range []string{"other.orders", "acme", "acme.", "acmeorders", "orders", ""} {
			_, err := plan.Unmap(fetchResponse(version, 0, 70, name))
			wantReason(t, err, strangeReason(version >= 13, name))
		}
	}
}

// strangeReason is why a topic outside acme's names ends the connection. An id
// that is no topic's (any more) is no cause for alarm.
func strangeReason(byID bool, name string) string {
	pool := fastPool()
	if _, known := pool.topics[idOf(name)]; byID && !known {
		return ReasonBadUpstream
	}
	return ReasonTripwire
}

func produceResponse(version int16, physical ...string) []byte {
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(version)
	for _, name := range physical {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = name, idOf(name)
		topic.Partitions = append(topic.Partitions, kmsg.NewProduceResponseTopicPartition())
		resp.Topics = append(resp.Topics, topic)
	}
	return encode(resp)
}

func fetchResponse(version int16, session int32, size int, physical ...string) []byte {
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	resp.SessionID = session
	for _, name := range physical {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = name, idOf(name)
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = bytes.Repeat([]byte{0xAB}, size)
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
	}
	return encode(resp)
}

// Every body that ends too early or too late is malformed, at every byte.
func TestTruncatedAndTrailing(t *testing.T) {
	check := func(t *testing.T, read func([]byte) error, body []byte, reason string) {
		t.Helper()
		if err := read(body); err != nil {
			t.Fatal(err)
		}
		for n := range body {
			wantReason(t, read(body[:n:n]), reason)
		}
		wantReason(t, read(append(bytes.Clone(body), 0)), reason)
	}
	unmap := func(plan Plan) func([]byte) error {
		return func(body []byte) error { _, err := plan.Unmap(body); return err }
	}
	for version := int16(3); version <= 13; version++ {
		x := fastExchange(kmsg.Produce, version)
		body := produceBody(version, -1, nil, "a", "orders")
		check(t, func(body []byte) error { _, err := mapProduce(x, body); return err }, body, ReasonMalformed)
		check(t, unmap(mustMap(t, x, body)), produceResponse(version, "acme.a", "acme.orders"), ReasonBadUpstream)
	}
	for version := int16(4); version <= 18; version++ {
		x := fastExchange(kmsg.Fetch, version)
		body := fetchBody(version, nil, "a", "orders")
		check(t, func(body []byte) error { _, err := mapFetch(x, body); return err }, body, ReasonMalformed)
		check(t, unmap(mustMap(t, x, body)), fetchResponse(version, 0, 70, "acme.a", "acme.orders"), ReasonBadUpstream)
	}
}

func TestMalformedProduce(t *testing.T) {
	for name, tc := range map[string]struct {
		version int16
		body    string
	}{
		"null topics":              {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\xff\xff\xff\xff"},
		"null topics, compact":     {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x00" + "\x00"},
		"count beyond the bytes":   {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\x7f\xff\xff\xff"},
		"count of 2^31, compact":   {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x80\x80\x80\x80\x08" + "\x00"},
		"varint of six bytes":      {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x81\x80\x80\x80\x80\x00" + "\x00"},
		"varint beyond 32 bits":    {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x81\x80\x80\x80\x10" + "\x00"},
		"negative count":           {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\xff\xff\xff\xfe"},
		"negative string":          {3, "\xff\xfe" + "\xff\xff" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"},
		"null topic name":          {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\xff\xff" + "\x00\x00\x00\x00"},
		"null partitions":          {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x01a" + "\xff\xff\xff\xff"},
		"records beyond the end":   {3, "\xff\xff" + "\xff\xff" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x01a" + "\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x7f\xff\xff\xff" + "xx"},
		"tag id beyond 31 bits":    {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x01" + "\x01\x80\x80\x80\x80\x10\x00"},
		"tags beyond the end":      {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x01" + "\x7f"},
		"tag payload beyond":       {9, "\x00" + "\xff\xff" + "\x00\x00\x00\x00" + "\x01" + "\x01\x00\x7f"},
		"compact string of 32 KiB": {9, "\x81\x80\x02" + strings.Repeat("x", 1<<15) + "\xff\xff" + "\x00\x00\x00\x00" + "\x01" + "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mapProduce(fastExchange(kmsg.Produce, tc.version), []byte(tc.body))
			wantReason(t, err, ReasonMalformed)
		})
	}
}

// Only what the client may see of an answer's texts and addresses passes.
func TestProduceResponseHidesThePool(t *testing.T) {
	for version := int16(8); version <= 13; version++ {
		resp := kmsg.NewPtrProduceResponse()
		resp.SetVersion(version)
		if err := resp.ReadFrom(produceResponse(version, "acme.orders")); err != nil {
			t.Fatal(err)
		}
		p := &resp.Topics[0].Partitions[0]
		p.ErrorCode, p.ErrorMessage = 42, new("no room in acme.orders")
		rec := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		rec.ErrorMessage = new("broker1.pool.internal says no to other.x")
		p.ErrorRecords = append(p.ErrorRecords, rec)
		if version >= 10 {
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = 2, 5
			b := kmsg.NewProduceResponseBroker()
			b.NodeID, b.Host, b.Port, b.Rack = 2, "broker2.pool.internal", 9092, new("rack2")
			resp.Brokers = append(resp.Brokers, b)
		}

		plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, -1, nil, "orders"))
		pieces, err := plan.Unmap(encode(resp))
		if err != nil {
			t.Fatal(err)
		}
		got := kmsg.NewPtrProduceResponse()
		got.SetVersion(version)
		if err := got.ReadFrom(join(pieces)); err != nil {
			t.Fatal(err)
		}
		if version <= 12 {
			resp.Topics[0].Topic = "orders"
		}
		p.ErrorMessage = new("no room in orders")
		p.ErrorRecords[0].ErrorMessage = standardText(42)
		for i := range resp.Brokers {
			resp.Brokers[i].Host, resp.Brokers[i].Port = "b2-acme.weir.test", 9094
		}
		if version == 13 {
			resp.Topics[0].Topic = ""
		}
		if diff := cmp.Diff(resp, got, cmpopts.IgnoreUnexported(kmsg.Tags{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
	}
}

// Known tagged fields must have their size, or the broker is not understood.
func TestMalformedTags(t *testing.T) {
	request := fetchBody(15, nil)
	for name, tail := range map[string]string{
		"replica_state without epoch": "\x01\x01\x04\xff\xff\xff\xff",
		"replica_state of nothing":    "\x01\x01\x00",
	} {
		body := append(request[:len(request)-1:len(request)-1], tail...)
		_, err := mapFetch(fastExchange(kmsg.Fetch, 15), body)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonMalformed {
			t.Errorf("%s: error %v", name, err)
		}
	}

	plan := mustMap(t, fastExchange(kmsg.Fetch, 16), fetchBody(16, nil, "orders"))
	response := fetchResponse(16, 0, 70, "acme.orders")
	head, partition := response[:len(response)-3:len(response)-3], "\x00\x00"
	for name, tail := range map[string]string{
		"current_leader without its tags":   "\x01\x01\x08\x00\x00\x00\x01\x00\x00\x00\x01" + "\x00\x00",
		"current_leader of nothing":         "\x01\x01\x00" + "\x00\x00",
		"node_endpoints beyond its bytes":   partition + "\x01\x00\x01\x03",
		"node_endpoints with bytes after":   partition + "\x01\x00\x02\x01\x00",
		"node_endpoints null":               partition + "\x01\x00\x01\x00",
		"node_endpoints cut in the payload": partition + "\x01\x00\x7f\x01",
	} {
		_, err := plan.Unmap(append(head, tail...))
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonBadUpstream {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := plan.Unmap(append(head, partition+"\x01\x00\x01\x01"...)); err != nil {
		t.Errorf("node_endpoints of none: %v", err)
	}
}

// A broker that leaves topics out of its answer does not lose the refused ones.
func TestProduceAnswerIsShort(t *testing.T) {
	for version := int16(3); version <= 12; version++ {
		plan := mustMap(t, fastExchange(kmsg.Produce, version), produceBody(version, 1, nil, "", "a", "orders", "?"))
		pieces, err := plan.Unmap(produceResponse(version, "acme.orders"))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"/0 3", "/1 3", "orders/0 0", "?/0 3", "?/1 3"}
		if diff := cmp.Diff(want, answerCodes(t, version, pieces, kmsg.NewPtrProduceResponse())); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
	}
}
