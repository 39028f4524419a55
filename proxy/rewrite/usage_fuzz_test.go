package rewrite

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// withBatches makes record batches of what is in a request.
func withBatches(r *kmsg.ProduceRequest) {
	for _, topic := range r.Topics {
		for i := range topic.Partitions {
			topic.Partitions[i].Records = header{magic: 2, records: 3, producer: int64(i)}.bytes()
		}
	}
}

// wantNoted wants the batches of a forwarded request to be noted, and nothing else.
func wantNoted(t *testing.T, plan Plan, m Message) {
	t.Helper()
	req, ok := m.(*kmsg.ProduceRequest)
	if !ok {
		return
	}
	var bytes, records, n int64
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			if b, ok := producedBatch(p.Records); ok {
				n, bytes, records = n+1, bytes+int64(len(b)), records+int64(b.records())
			}
		}
	}
	for i := range plan.Usage.batches {
		b, _ := plan.Usage.Batch(i)
		n, bytes, records = n-1, bytes-b.Bytes, records-b.Records
	}
	if n != 0 || bytes != 0 || records != 0 {
		t.Fatalf("%d batches, %d bytes, %d records are not noted", n, bytes, records)
	}
}

// wantFetched wants what is in an answer to be counted.
func wantFetched(t *testing.T, plan Plan, m Message) {
	t.Helper()
	var fields [][]byte
	switch resp := m.(type) {
	case *kmsg.FetchResponse:
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				fields = append(fields, p.RecordBatches)
			}
		}
	case *kmsg.ShareFetchResponse:
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				fields = append(fields, p.Records)
			}
		}
	}
	var bytes, records int64
	for _, field := range fields {
		bytes, records = bytes+int64(len(field)), records+fetchedRecords(field)
	}
	if b, r := plan.Usage.Fetched(); b != bytes || r != records {
		t.Fatalf("%d bytes and %d records are counted, the answer has %d and %d", b, r, bytes, records)
	}
}
