package rewrite

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"weir/quota"
	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// The walks are held against the slow way: decode with kmsg, edit the struct,
// encode. Both must come to the same bytes.

func TestProduceIsWhatKmsgWouldDo(t *testing.T) {
	for version := int16(3); version <= 13; version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkProduce(t, version, nil) })
		})
		t.Run(fmt.Sprintf("v%d/limited", version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				most := rapid.SampledFrom([]int64{1, 63, 64, 126, 499, 500}).Draw(t, "most")
				checkProduce(t, version, &fakeLimits{bounds: quota.Bounds{MessageBytes: most, StorageBytes: 9}, full: rapid.IntRange(0, 9).Draw(t, "full") == 0})
			})
		})
	}
}

func checkProduce(t *rapid.T, version int16, limits *fakeLimits) {
	x := fastExchange(kmsg.Produce, version)
	if limits != nil {
		x.Limits = limits
	}
	req := kmsg.NewPtrProduceRequest()
	generator{t: t, bad: true, tags: true}.fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	req.Acks = rapid.SampledFrom([]int16{1, -1, 7}).Draw(t, "acks")
	body := encode(req)
	before := bytes.Clone(body)

	wantReq, wantRows, wantParts, local := editProduce(x, req)
	plan, err := mapProduce(x, body)
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	if !bytes.Equal(before, body) {
		t.Fatal("map wrote to the client's body")
	}
	if local {
		want := kmsg.NewPtrProduceResponse()
		want.SetVersion(version)
		for _, r := range wantRows {
			want.Topics = append(want.Topics, r.row)
		}
		equal(t, "answer", encode(want), plan.Answer)
		return
	}
	equal(t, "request", encode(wantReq), plan.Request)

	resp := kmsg.NewPtrProduceResponse()
	generator{t: t, prefix: "acme.", tags: true}.fill(reflect.ValueOf(resp).Elem())
	resp.SetVersion(version)
	if version < 10 {
		resp.Brokers = nil
	}
	body = encode(resp)
	got, err := plan.Unmap(body)
	if err != nil {
		t.Fatalf("unmap: %v", err)
	}
	equal(t, "response", encode(unmapProduceSlowly(x, resp, wantRows, wantParts)), got)
}

type slowRow struct {
	slot int
	row  kmsg.ProduceResponseTopic
}

// editProduce does to the struct what mapProduce does to the bytes.
func editProduce(x *Exchange, req *kmsg.ProduceRequest) (_ *kmsg.ProduceRequest, rows []slowRow, parts []kmsg.ProduceResponseTopic, local bool) {
	dropUnknownTags(reflect.ValueOf(req))
	full := x.Limits != nil && x.Limits.Full()
	texts := maxTexts
	badTxn := req.TransactionID != nil && *req.TransactionID == ""
	var kept []kmsg.ProduceRequestTopic
	for slot, topic := range req.Topics {
		code := int16(0)
		switch {
		case badTxn:
			code = 42
		case full:
			code = 44
		case x.Version >= 13:
			if len(x.ownTopics([]topicID{topic.TopicID})) == 0 {
				code = 100
			}
		default:
			if _, ok := x.physicalTopic(topic.Topic); !ok {
				code = 3
			}
		}
		if code != 0 {
			rows = append(rows, slowRow{slot, refusedProduce(x, topic, code, &texts)})
			continue
		}
		small, large := splitLarge(x, topic)
		if len(large.Partitions) > 0 && len(small.Partitions) == 0 {
			rows = append(rows, slowRow{slot, refusedProduce(x, large, 10, &texts)})
			continue
		}
		if len(large.Partitions) > 0 {
			parts = append(parts, refusedProduce(x, large, 10, &texts))
		}
		topic = small
		topic.Topic = x.Space.Physical(tenancy.KindTopic, topic.Topic)
		kept = append(kept, topic)
	}
	local = badTxn || full || len(req.Topics) > 0 && len(kept) == 0
	if id := req.TransactionID; id != nil && *id != "" {
		req.TransactionID = new(x.Space.Physical(tenancy.KindTxn, *id))
	}
	req.Topics = kept
	return req, rows, parts, local
}

// splitLarge parts the partitions with too large batches from the others.
func splitLarge(x *Exchange, topic kmsg.ProduceRequestTopic) (small, large kmsg.ProduceRequestTopic) {
	most := x.bounds().MessageBytes
	isLarge := func(p kmsg.ProduceRequestTopicPartition) bool { return most > 0 && int64(len(p.Records)) > most }
	small, large = topic, topic
	small.Partitions = slices.DeleteFunc(slices.Clone(topic.Partitions), isLarge)
	large.Partitions = slices.DeleteFunc(slices.Clone(topic.Partitions), func(p kmsg.ProduceRequestTopicPartition) bool { return !isLarge(p) })
	return small, large
}

func refusedProduce(x *Exchange, topic kmsg.ProduceRequestTopic, code int16, texts *int) kmsg.ProduceResponseTopic {
	row := kmsg.NewProduceResponseTopic()
	row.Topic, row.TopicID = topic.Topic, topic.TopicID
	for _, p := range topic.Partitions {
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.Partition, rp.ErrorCode, rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = p.Partition, code, -1, -1, -1
		if (code == 10 || code == 44) && x.Version >= 8 && *texts > 0 {
			*texts--
			rp.ErrorMessage = x.storageText()
			if code == 10 {
				rp.ErrorMessage = batchText(len(p.Records), int(x.bounds().MessageBytes))
			}
		}
		row.Partitions = append(row.Partitions, rp)
	}
	return row
}

func unmapProduceSlowly(x *Exchange, resp *kmsg.ProduceResponse, rows []slowRow, parts []kmsg.ProduceResponseTopic) *kmsg.ProduceResponse {
	dropUnknownTags(reflect.ValueOf(resp))
	for i := range resp.Topics {
		topic := &resp.Topics[i]
		topic.Topic, _ = x.Space.Virtual(tenancy.KindTopic, topic.Topic)
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
			for k := range p.ErrorRecords {
				p.ErrorRecords[k].ErrorMessage = x.Text(p.ErrorCode, p.ErrorRecords[k].ErrorMessage)
			}
		}
	}
	var orphans []kmsg.ProduceResponseTopic
	for _, part := range parts {
		i := slices.IndexFunc(resp.Topics, func(t kmsg.ProduceResponseTopic) bool {
			return x.Version >= 13 && t.TopicID == part.TopicID || x.Version < 13 && t.Topic == part.Topic
		})
		if i < 0 {
			orphans = append(orphans, part)
			continue
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, part.Partitions...)
	}
	for _, r := range rows {
		resp.Topics = slices.Insert(resp.Topics, min(r.slot, len(resp.Topics)), r.row)
	}
	resp.Topics = append(resp.Topics, orphans...)
	for i := range resp.Brokers {
		b := &resp.Brokers[i]
		b.Host, b.Port = x.Address(b.NodeID)
	}
	return resp
}

func TestFetchIsWhatKmsgWouldDo(t *testing.T) {
	for version := int16(4); version <= 18; version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkFetch(t, version) })
		})
	}
}

func checkFetch(t *rapid.T, version int16) {
	x := fastExchange(kmsg.Fetch, version)
	x.fetchSessions = []issuedSession{{id: 7}}
	req := kmsg.NewPtrFetchRequest()
	generator{t: t, bad: true, tags: true}.fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	req.SessionID = rapid.SampledFrom([]int32{0, 7, 8}).Draw(t, "session")
	req.SessionEpoch = rapid.SampledFrom([]int32{0, -1, 1, 99}).Draw(t, "epoch")
	req.ReplicaID, req.ReplicaState.ID = -1, -1
	body := encode(req)
	before := bytes.Clone(body)

	wantReq, wantRows, wantAnswer := editFetch(x, req)
	plan, err := mapFetch(x, body)
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	if !bytes.Equal(before, body) {
		t.Fatal("map wrote to the client's body")
	}
	if wantAnswer != nil {
		equal(t, "answer", encode(wantAnswer), plan.Answer)
		return
	}
	equal(t, "request", encode(wantReq), plan.Request)

	resp := kmsg.NewPtrFetchResponse()
	generator{t: t, prefix: "acme.", tags: true}.fill(reflect.ValueOf(resp).Elem())
	resp.SetVersion(version)
	if version < 16 {
		resp.Brokers = nil
	}
	body = encode(resp)
	got, err := plan.Unmap(body)
	if err != nil {
		t.Fatalf("unmap: %v", err)
	}
	equal(t, "response", encode(unmapFetchSlowly(x, resp, wantRows)), got)
}

// editFetch does to the struct what mapFetch does to the bytes; session 7 is its own.
func editFetch(x *Exchange, req *kmsg.FetchRequest) (*kmsg.FetchRequest, []kmsg.FetchResponseTopic, *kmsg.FetchResponse) {
	dropUnknownTags(reflect.ValueOf(req))
	req.ClusterID = nil
	req.ReplicaState.Default()
	var rows []kmsg.FetchResponseTopic
	req.Topics = slices.DeleteFunc(req.Topics, func(topic kmsg.FetchRequestTopic) bool {
		code := fetchCode(x, topic.Topic, topic.TopicID)
		if code != 0 {
			rows = append(rows, refusedFetch(topic, code))
		}
		return code != 0
	})
	req.ForgottenTopics = slices.DeleteFunc(req.ForgottenTopics, func(topic kmsg.FetchRequestForgottenTopic) bool {
		return fetchCode(x, topic.Topic, topic.TopicID) != 0
	})
	for i := range req.Topics {
		req.Topics[i].Topic = x.Space.Physical(tenancy.KindTopic, req.Topics[i].Topic)
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			p.ReplicaDirectoryID, p.HighWatermark = [16]byte{}, math.MaxInt64
		}
	}
	for i := range req.ForgottenTopics {
		req.ForgottenTopics[i].Topic = x.Space.Physical(tenancy.KindTopic, req.ForgottenTopics[i].Topic)
	}

	answer := kmsg.NewPtrFetchResponse()
	answer.SetVersion(x.Version)
	if incremental := x.Version >= 7 && req.SessionEpoch > 0; incremental {
		if req.SessionID != 7 || len(rows) > 0 {
			answer.ErrorCode = 70
			return nil, nil, answer
		}
		return req, nil, nil
	}
	if len(rows) > 0 && len(req.Topics) == 0 {
		answer.Topics = rows
		return nil, nil, answer
	}
	if req.SessionID != 7 {
		req.SessionID = 0
	}
	if len(rows) > 0 {
		req.SessionEpoch = -1
	}
	return req, rows, nil
}

func fetchCode(x *Exchange, name string, id topicID) int16 {
	if x.Version >= 13 {
		if len(x.ownTopics([]topicID{id})) == 0 {
			return 100
		}
		return 0
	}
	if _, ok := x.physicalTopic(name); !ok {
		return 3
	}
	return 0
}

func refusedFetch(topic kmsg.FetchRequestTopic, code int16) kmsg.FetchResponseTopic {
	row := kmsg.NewFetchResponseTopic()
	row.Topic, row.TopicID = topic.Topic, topic.TopicID
	for _, p := range topic.Partitions {
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.Partition, rp.ErrorCode, rp.HighWatermark = p.Partition, code, -1
		rp.LastStableOffset, rp.LogStartOffset, rp.PreferredReadReplica = -1, -1, -1
		rp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		rp.RecordBatches = []byte{}
		row.Partitions = append(row.Partitions, rp)
	}
	return row
}

func unmapFetchSlowly(x *Exchange, resp *kmsg.FetchResponse, rows []kmsg.FetchResponseTopic) *kmsg.FetchResponse {
	dropUnknownTags(reflect.ValueOf(resp))
	for i := range resp.Topics {
		resp.Topics[i].Topic, _ = x.Space.Virtual(tenancy.KindTopic, resp.Topics[i].Topic)
	}
	resp.Topics = append(slices.Clone(rows), resp.Topics...)
	for i := range resp.Brokers {
		b := &resp.Brokers[i]
		b.Host, b.Port = x.Address(b.NodeID)
	}
	return resp
}

func equal(t *rapid.T, what string, want []byte, got [][]byte) {
	t.Helper()
	if !bytes.Equal(want, join(got)) {
		t.Fatalf("%s:\nwant %x\ngot  %x", what, want, join(got))
	}
}
