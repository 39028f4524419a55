package rewrite

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answeredAs is what is counted of a Produce for one partition, with these fields of
// records, that a broker answers for with a code and an offset.
func answeredAs(t *testing.T, version int16, records [][]byte, code int16, offset int64) (bytes int64) {
	t.Helper()
	x := fastExchange(kmsg.Produce, version)
	x.Counting = NewCounting(false)
	plan := mustMap(t, x, produceBody(version, -1, func(r *kmsg.ProduceRequest) {
		r.Topics[0].Partitions = nil
		for _, field := range records {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Records = field
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}
	}, "orders"))
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(version)
	p := kmsg.NewProduceResponseTopicPartition()
	p.ErrorCode, p.BaseOffset, p.LogAppendTime = code, offset, -1
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.TopicID = "acme.orders", idOf("acme.orders")
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	if _, err := plan.Unmap(encode(resp)); err != nil {
		t.Fatal(err)
	}
	for i := range plan.Usage.Produced() {
		b, _ := plan.Usage.Batch(i)
		bytes += b.Bytes
	}
	return bytes
}

// What a client gets an error for, and has in its log all the same, is counted.
func TestRefusedAndAppendedIsCounted(t *testing.T) {
	one := header{magic: 2, records: 3, producer: -1}.bytes()
	numbered := header{magic: 2, records: 3, producer: 7}.bytes()
	small := header{magic: 2, records: 1, producer: -1, size: 61}.bytes()
	old := header{magic: 1}.bytes()
	many := [][]byte{one}
	for range 2 * manyTallies {
		many = append(many, small)
	}
	for name, tc := range map[string]struct {
		records [][]byte
		code    int16
		offset  int64
		want    int64
	}{
		"timeout_ms 0, acks all":         {[][]byte{one}, kerr.RequestTimedOut.Code, 9, 70},
		"of a numbered producer":         {[][]byte{numbered}, kerr.RequestTimedOut.Code, 9, 70},
		"too few replicas after it":      {[][]byte{one}, kerr.NotEnoughReplicasAfterAppend.Code, 9, 70},
		"timed out before it":            {[][]byte{one}, kerr.RequestTimedOut.Code, -1, 0},
		"too few replicas before it":     {[][]byte{one}, kerr.NotEnoughReplicas.Code, -1, 0},
		"refused":                        {[][]byte{one}, kerr.InvalidRecord.Code, -1, 0},
		"another leader":                 {[][]byte{one}, kerr.NotLeaderForPartition.Code, 9, 0},
		"covered by no batch":            {[][]byte{one, old}, kerr.InvalidRecord.Code, -1, 70},
		"covered by nothing":             {[][]byte{one, nil}, kerr.InvalidRecord.Code, -1, 70},
		"covered by a refused batch":     {[][]byte{one, small}, kerr.InvalidRecord.Code, -1, 70},
		"covered by zstd in an old form": {[][]byte{one, small}, kerr.UnsupportedCompressionType.Code, -1, 70},
		"covered by both":                {[][]byte{one, small, old}, kerr.InvalidRecord.Code, -1, 131},
		"the last of two stands":         {[][]byte{one, small}, 0, 9, 61},
		"covered many times":             {many, kerr.InvalidRecord.Code, -1, 70 + 61*(2*manyTallies-1)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []int16{3, 9, 13} {
				if got := answeredAs(t, version, tc.records, tc.code, tc.offset); got != tc.want {
					t.Errorf("v%d: %d bytes are counted, want %d", version, got, tc.want)
				}
			}
		})
	}
}
