package rewrite

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The fuzz targets hold any body against three rules: it closes the connection
// for the reason that fits, or it comes out as something that kmsg reads to the
// end; upstream nothing names what is not the instance's, and downstream
// nothing names what is the pool's; the body itself is not written to; and what is
// counted is what kmsg reads.
// testdata/fuzz has bodies of every version with refused topics and unknown tags.

func FuzzProduceMap(f *testing.F) { fuzzMap(f, kmsg.Produce) }
func FuzzFetchMap(f *testing.F)   { fuzzMap(f, kmsg.Fetch) }

func fuzzMap(f *testing.F, key kmsg.Key) {
	for version := int16(0); version <= 18; version++ {
		if _, ok := Lookup(int16(key), version); !ok {
			continue
		}
		switch key {
		case kmsg.Produce:
			f.Add(version, produceBody(version, -1, nil, "orders", "bad name", "a"))
			f.Add(version, produceBody(version, -1, withBatches, "orders", "bad name", "a"))
		case kmsg.Fetch:
			f.Add(version, fetchBody(version, nil, "orders", "bad name", "a"))
		case kmsg.ShareFetch:
			f.Add(version, shareFetchBody(version, nil, "orders", "bad name", "a"))
		}
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		api, ok := Lookup(int16(key), version)
		if !ok {
			return
		}
		x := fastExchange(key, version)
		x.fetchSessions = []issuedSession{{id: 0x55}}
		_ = x.openShareSession(shareKey{"g", "m"}, shareSession{rules: x.generation()})
		before := bytes.Clone(body)
		plan, err := api.Plan(x, body)
		if !bytes.Equal(before, body) {
			t.Fatal("the client's body was written to")
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonMalformed && e.Reason != ReasonUnanswerable {
				t.Fatalf("error %v", err)
			}
			return
		}
		if (plan.Answer == nil) == (plan.Request == nil) {
			t.Fatal("not exactly one of answer and request")
		}
		if plan.Answer != nil {
			readable(t, kmsg.ResponseForKey(int16(key)), version, plan.Answer)
			return
		}
		req := kmsg.RequestForKey(int16(key))
		readable(t, req, version, plan.Request)
		onlyOwn(t, x, req)
		wantNoted(t, plan, req)
	})
}

func FuzzProduceUnmap(f *testing.F) {
	fuzzUnmap(f, kmsg.Produce, func(version int16) ([]byte, []byte) {
		request := produceBody(version, -1, func(r *kmsg.ProduceRequest) { r.Topics[1].TopicID = topicID{} }, "orders", "bad name", "a")
		return request, produceResponse(version, "acme.orders", "acme.a")
	})
}

func FuzzFetchUnmap(f *testing.F) {
	fuzzUnmap(f, kmsg.Fetch, func(version int16) ([]byte, []byte) {
		request := fetchBody(version, func(r *kmsg.FetchRequest) { r.Topics[1].TopicID = topicID{} }, "orders", "bad name", "a")
		return request, fetchResponse(version, 9, 70, "acme.orders", "acme.a")
	})
}

func fuzzUnmap(f *testing.F, key kmsg.Key, exchange func(version int16) (request, response []byte)) {
	for version := int16(0); version <= 18; version++ {
		if _, ok := Lookup(int16(key), version); ok {
			_, response := exchange(version)
			f.Add(version, response)
			f.Add(version, bytes.ReplaceAll(response, bytes.Repeat([]byte{0xAB}, 61), header{magic: 2, records: 3, size: 61}.bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		if _, ok := Lookup(int16(key), version); !ok {
			return
		}
		request, _ := exchange(version)
		plan := mustMap(t, fastExchange(key, version), request)
		before := bytes.Clone(body)
		pieces, err := plan.Unmap(body)
		if !bytes.Equal(before, body) {
			t.Fatal("the broker's body was written to")
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonBadUpstream && e.Reason != ReasonTripwire {
				t.Fatalf("error %v", err)
			}
			return
		}
		resp := kmsg.ResponseForKey(int16(key))
		readable(t, resp, version, pieces)
		hidesPool(t, resp)
		wantFetched(t, plan, resp)
	})
}

// readable decodes pieces, and wants no unknown tags and no bytes after the end.
func readable(t *testing.T, m Message, version int16, pieces [][]byte) {
	t.Helper()
	body := join(pieces)
	m.SetVersion(version)
	if err := m.ReadFrom(body); err != nil {
		t.Fatalf("kmsg cannot read what came out: %v\n%x", err, body)
	}
	again := encode(m)
	dropUnknownTags(reflect.ValueOf(m))
	if !bytes.Equal(again, encode(m)) {
		t.Fatalf("unknown tags came out: %x", body)
	}
}

// onlyOwn wants everything that the broker is asked for to be acme's.
func onlyOwn(t *testing.T, x *Exchange, req Message) {
	t.Helper()
	var names []string
	var ids []topicID
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		if req.TransactionID != nil {
			names = append(names, *req.TransactionID)
		}
		for _, topic := range req.Topics {
			names, ids = append(names, topic.Topic), append(ids, topic.TopicID)
		}
	case *kmsg.FetchRequest:
		if req.ReplicaID != -1 || req.ReplicaState.ID != -1 || req.ClusterID != nil {
			t.Fatalf("replica %d, %d, cluster %v", req.ReplicaID, req.ReplicaState.ID, req.ClusterID)
		}
		if req.SessionID != 0 && req.SessionID != 0x55 {
			t.Fatalf("session %d was forwarded", req.SessionID)
		}
		for _, topic := range req.Topics {
			names, ids = append(names, topic.Topic), append(ids, topic.TopicID)
		}
		for _, topic := range req.ForgottenTopics {
			names, ids = append(names, topic.Topic), append(ids, topic.TopicID)
		}
	}
	if share, ok := req.(*kmsg.ShareFetchRequest); ok {
		if share.GroupID == nil || len(*share.GroupID) <= 5 || !strings.HasPrefix(*share.GroupID, "acme.") {
			t.Fatalf("group %v was forwarded", share.GroupID)
		}
		for _, topic := range share.Topics {
			ids = append(ids, topic.TopicID)
		}
		for _, topic := range share.ForgottenTopicsData {
			ids = append(ids, topic.TopicID)
		}
	}
	if byID := x.Version >= 13 || x.Key == int16(kmsg.ShareFetch); byID {
		if i := slices.IndexFunc(ids, func(id topicID) bool { return len(x.ownTopics([]topicID{id})) == 0 }); i >= 0 {
			t.Fatalf("topic id %x was forwarded", ids[i])
		}
		return
	}
	if i := slices.IndexFunc(names, func(name string) bool { return len(name) <= 5 || !strings.HasPrefix(name, "acme.") }); i >= 0 {
		t.Fatalf("name %q was forwarded", names[i])
	}
}

// hidesPool wants no address but the gateway's.
func hidesPool(t *testing.T, resp Message) {
	t.Helper()
	switch resp := resp.(type) {
	case *kmsg.ProduceResponse:
		for _, b := range resp.Brokers {
			if !strings.HasSuffix(b.Host, ".weir.test") || b.Port != 9094 {
				t.Fatalf("broker at %s:%d", b.Host, b.Port)
			}
		}
	case *kmsg.FetchResponse:
		for _, b := range resp.Brokers {
			if !strings.HasSuffix(b.Host, ".weir.test") || b.Port != 9094 {
				t.Fatalf("broker at %s:%d", b.Host, b.Port)
			}
		}
	case *kmsg.ShareFetchResponse:
		for _, b := range resp.NodeEndpoints {
			if !strings.HasSuffix(b.Host, ".weir.test") || b.Port != 9094 {
				t.Fatalf("broker at %s:%d", b.Host, b.Port)
			}
		}
	}
}
