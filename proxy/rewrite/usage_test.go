package rewrite

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"weir/metering"
	"weir/quota"
)

// header is what a record batch of the tests says of itself.
type header struct {
	magic      int8
	attributes uint16
	maxTime    int64
	producer   int64
	records    int32
	size       int // of the whole batch; 0: 70
	says       int // what its length field makes of it; 0: size
	behind     int // bytes that follow it
}

func (h header) bytes() []byte {
	if h.size == 0 {
		h.size = 70
	}
	if h.says == 0 {
		h.says = h.size
	}
	b := make([]byte, max(h.size, batchHeader))
	binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(h.says-12))
	b[batchMagicAt] = byte(h.magic)
	binary.BigEndian.PutUint16(b[attributesAt:], h.attributes)
	binary.BigEndian.PutUint64(b[maxTimestampAt:], uint64(h.maxTime))
	binary.BigEndian.PutUint64(b[producerIDAt:], uint64(h.producer))
	binary.BigEndian.PutUint32(b[recordCountAt:], uint32(h.records))
	return append(b[:h.size], make([]byte, h.behind)...)
}

func TestProducedBatch(t *testing.T) {
	for name, tc := range map[string]struct {
		records []byte
		want    int // size; 0: none
	}{
		"whole":                  {header{magic: 2, records: 3}.bytes(), 70},
		"header alone":           {header{magic: 2, size: 61}.bytes(), 61},
		"null":                   {nil, 0},
		"a byte short of header": {header{magic: 2, size: 60}.bytes(), 0},
		"cut":                    {header{magic: 2, says: 71}.bytes(), 0},
		"bytes behind":           {header{magic: 2, behind: 9}.bytes(), 70},
		"says less than header":  {header{magic: 2, says: 60}.bytes(), 0},
		"says a negative length": {header{magic: 2, says: -1}.bytes(), 0},
		"magic 1":                {header{magic: 1}.bytes(), 0},
		"magic 0":                {header{magic: 0}.bytes(), 0},
		"magic 3":                {header{magic: 3}.bytes(), 0},
		"magic -1":               {header{magic: -1}.bytes(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, ok := producedBatch(tc.records)
			if len(b) != tc.want || ok != (tc.want > 0) {
				t.Errorf("%d bytes, %t; want %d", len(b), ok, tc.want)
			}
		})
	}
}

func TestFetchedRecords(t *testing.T) {
	two := header{magic: 2, records: 2}
	for name, tc := range map[string]struct {
		batches []header
		want    int64
	}{
		"none":               {nil, 0},
		"several":            {[]header{two, {magic: 2, records: 5, size: 61}, two}, 9},
		"last is cut":        {[]header{two, {magic: 2, records: 5, says: 400}}, 2},
		"last lacks a size":  {[]header{two, {magic: 2, records: 5, size: 11, says: 400}}, 2},
		"control":            {[]header{two, {magic: 2, records: 1, attributes: 0x20}, two}, 4},
		"transactional":      {[]header{{magic: 2, records: 7, attributes: 0x10}}, 7},
		"old formats":        {[]header{{magic: 0, size: 30, records: 9}, {magic: 1, size: 40, records: 9}, two}, 4},
		"compacted to none":  {[]header{{magic: 2, records: 0, size: 61}, two}, 2},
		"a negative count":   {[]header{{magic: 2, records: -4}, two}, 2},
		"no batch at all":    {[]header{{magic: 2, records: 4, says: 3}, two}, 0},
		"shorter than magic": {[]header{{magic: 2, says: 16, size: 70}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var records []byte
			for _, h := range tc.batches {
				records = append(records, h.bytes()...)
			}
			if got := fetchedRecords(records); got != tc.want {
				t.Errorf("%d records, want %d", got, tc.want)
			}
		})
	}
}

// A duplicate gives itself away, unless its topic's timestamps are the broker's.
func TestDuplicate(t *testing.T) {
	const orders, other = metering.TopicHash(7), metering.TopicHash(7 + stampedTopics)
	c := NewCounting(false)
	for i, step := range []struct {
		topic             metering.TopicHash
		appended, maxTime int64
		want              bool
	}{
		{orders, -1, 100, false},
		{orders, 100, 100, true},
		{orders, -1, -1, false},
		{orders, 555, 100, false}, // LogAppendTime: known from here on
		{orders, 556, 556, false}, // by chance
		{other, 556, 556, true},   // nothing is known of it
		{orders, 557, 557, false},
		{other, -1, 556, false}, // says nothing about orders
		{orders, 558, 558, false},
		{orders, -1, 100, false}, // CreateTime again
		{orders, 100, 100, true},
		{orders, 555, 100, false},
		{other, 9, 8, false}, // takes its place
		{orders, 100, 100, true},
	} {
		if got := c.duplicate(step.topic, step.appended, step.maxTime); got != step.want {
			t.Errorf("step %d: %t, want %t", i, got, step.want)
		}
	}
}

// counted is what a Usage says, in an order of its own.
func counted(u *Usage) (all []string) {
	for i := range u.Produced() {
		b, topic := u.Batch(i)
		all = append(all, fmt.Sprintf("%s %+v", topic, b))
	}
	slices.Sort(all)
	return all
}

// Whatever a client sends, and in whatever order its broker answers, what is counted is
// what the broker has appended: of a partition that comes twice the last, as a map has it.
func TestProducedIsWhatWasAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := int16(rapid.IntRange(3, 13).Draw(t, "version"))
		x := fastExchange(kmsg.Produce, version)
		x.Counting = NewCounting(true)
		if rapid.Bool().Draw(t, "limited") {
			x.Limits = &fakeLimits{bounds: quota.Bounds{MessageBytes: 300}}
		}
		acks := rapid.SampledFrom([]int16{-1, 1}).Draw(t, "acks")
		plan, err := mustLookup(x).Plan(x, drawProduce(t, version, acks))
		if err != nil || plan.Request == nil {
			return
		}
		asked := kmsg.NewPtrProduceRequest()
		asked.SetVersion(version)
		if err := asked.ReadFrom(join(plan.Request)); err != nil {
			t.Fatal(err)
		}
		body, want := appendAll(t, x, asked)
		if got := counted(plan.Usage); len(got) > 0 {
			t.Fatalf("before the answer: %v", got)
		}
		if _, err := plan.Unmap(body); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, counted(plan.Usage)); diff != "" {
			t.Fatalf("v%d (-appended +counted):\n%s", version, diff)
		}
	})
}

func mustLookup(x *Exchange) API {
	api, _ := Lookup(x.Key, x.Version)
	return api
}

func drawProduce(t *rapid.T, version, acks int16) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(version)
	req.Acks = acks
	many := rapid.SampledFrom([]int{3, 3, 3, 60}).Draw(t, "most")
	for range rapid.IntRange(1, 4).Draw(t, "topics") {
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic = rapid.SampledFrom([]string{"orders", "a", "b.b", "bad name"}).Draw(t, "topic")
		topic.TopicID = idOf("acme." + topic.Topic)
		for range rapid.IntRange(0, many).Draw(t, "partitions") {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = rapid.Int32Range(0, int32(many)).Draw(t, "partition")
			h := header{
				magic: 2, records: rapid.Int32Range(1, 9).Draw(t, "records"), producer: rapid.Int64Range(-1, 1).Draw(t, "producer"),
				attributes: rapid.SampledFrom([]uint16{0, 0x10, 0x13}).Draw(t, "attributes"),
				maxTime:    rapid.Int64Range(-1, 3).Draw(t, "time"), size: rapid.IntRange(61, 400).Draw(t, "size"),
			}
			p.Records = h.bytes()
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	return encode(req)
}

// appendAll is a broker: its answer to a request, and what counts of it.
func appendAll(t *rapid.T, x *Exchange, asked *kmsg.ProduceRequest) (body []byte, want []string) {
	type place struct {
		topic     string // physical name
		id        topicID
		partition int32
	}
	last := map[place][]byte{}
	var places []place
	shadow := NewCounting(true)
	for _, topic := range asked.Topics {
		name := topic.Topic
		if asked.Version >= 13 {
			virtual, _ := x.ownTopic(topic.TopicID)
			name = "acme." + virtual
		}
		for _, p := range topic.Partitions {
			at := place{name, topic.TopicID, p.Partition}
			if _, twice := last[at]; !twice {
				places = append(places, at)
			}
			last[at] = p.Records
		}
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(asked.Version)
	for i, at := range rapid.Permutation(places).Draw(t, "answers") {
		p := kmsg.NewProduceResponseTopicPartition()
		p.Partition, p.BaseOffset = at.partition, int64(1000+i)
		p.LogAppendTime = rapid.SampledFrom([]int64{-1, -1, 2}).Draw(t, "appended")
		if p.ErrorCode = rapid.SampledFrom([]int16{0, 0, 0, 3, 6}).Draw(t, "code"); p.ErrorCode == 0 {
			want = append(want, wanted(shadow, at.topic, at.partition, last[at], p))
		}
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = at.topic, at.id
		topic.Partitions = append(topic.Partitions, p)
		if n := len(resp.Topics); n > 0 && resp.Topics[n-1].Topic == topic.Topic && resp.Topics[n-1].TopicID == topic.TopicID {
			resp.Topics[n-1].Partitions = append(resp.Topics[n-1].Partitions, p)
			continue
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return encode(resp), want
}

// wanted is a batch as it is to be counted. What a duplicate is has a test of its own;
// answers are walked in their order, so that a Counting which sees the same agrees.
func wanted(shadow *Counting, physical string, partition int32, records []byte, p kmsg.ProduceResponseTopicPartition) string {
	b := batch(records)
	out := metering.Batch{
		Offset: p.BaseOffset, Bytes: int64(len(records)), Records: int64(b.records()),
		Idempotent: b.idempotent(), Transactional: b.transactional(),
	}
	if out.Idempotent {
		hash := metering.HashTopic(physical)
		out.Partition = hash.Partition(partition)
		out.Duplicate = shadow.duplicate(hash, p.LogAppendTime, b.maxTimestamp())
	}
	return fmt.Sprintf("%s %+v", strings.TrimPrefix(physical, "acme."), out)
}

// With acks=0 all that is forwarded counts; nobody can say what was appended, so nothing
// of it is ever a duplicate.
func TestUnansweredIsCountedAsForwarded(t *testing.T) {
	for version := int16(3); version <= 13; version++ {
		x := fastExchange(kmsg.Produce, version)
		x.Counting = NewCounting(true)
		records := [][]byte{header{magic: 2, records: 3, producer: 5}.bytes(), header{magic: 2, records: 4, producer: -1, size: 99}.bytes()}
		plan := mustMap(t, x, produceBody(version, 0, func(r *kmsg.ProduceRequest) {
			for i := range r.Topics[0].Partitions {
				r.Topics[0].Partitions[i].Records = records[i]
			}
		}, "orders"))
		if !plan.Silent {
			t.Fatal("an answer is expected")
		}
		want := []string{
			fmt.Sprintf("orders %+v", metering.Batch{Offset: 0, Bytes: 70, Records: 3}),
			fmt.Sprintf("orders %+v", metering.Batch{Offset: 0, Bytes: 99, Records: 4}),
		}
		if diff := cmp.Diff(want, counted(plan.Usage)); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
	}
}

// A fetch counts what is in its answer, the same by topics and as a whole.
func TestFetchedIsWhatIsInTheAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]kmsg.Key{kmsg.Fetch, kmsg.ShareFetch}).Draw(t, "key")
		versions := [2]int{4, 18}
		if key == kmsg.ShareFetch {
			versions = [2]int{1, 2}
		}
		version := int16(rapid.IntRange(versions[0], versions[1]).Draw(t, "version"))
		x := fastExchange(key, version)
		x.Counting = NewCounting(true)
		body := shareFetchBody(version, func(r *kmsg.ShareFetchRequest) { r.ShareSessionEpoch = 0 }, "orders", "a", "bad name")
		if key == kmsg.Fetch {
			body = fetchBody(version, func(r *kmsg.FetchRequest) { r.SessionEpoch = -1 }, "orders", "a", "bad name")
		}
		plan, err := mustLookup(x).Plan(x, body)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][2]int64{}
		answer := drawFetched(t, key, version, want)
		if _, err := plan.Unmap(answer); err != nil {
			t.Fatal(err)
		}
		sum, got := [2]int64{}, map[string][2]int64{}
		for i := range plan.Usage.Topics() {
			topic, bytes, records := plan.Usage.Topic(i)
			was := got[string(topic)]
			got[string(topic)] = [2]int64{was[0] + bytes, was[1] + records}
		}
		for _, n := range want {
			sum[0], sum[1] = sum[0]+n[0], sum[1]+n[1]
		}
		bytes, records := plan.Usage.Fetched()
		if diff := cmp.Diff(want, got); diff != "" || sum != [2]int64{bytes, records} {
			t.Fatalf("%s v%d: %d bytes, %d records, want %v; topics (-want +got):\n%s", kmsg.NameForKey(int16(key)), version, bytes, records, sum, diff)
		}
	})
}

// drawFetched is the answer to a fetch of acme's topics; want takes up bytes and records
// by topic.
func drawFetched(t *rapid.T, key kmsg.Key, version int16, want map[string][2]int64) []byte {
	var names []string
	var fields [][]byte
	for range rapid.IntRange(0, 5).Draw(t, "partitions") {
		name := rapid.SampledFrom([]string{"orders", "a"}).Draw(t, "topic")
		var records []byte
		n := int64(0)
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			h := header{magic: 2, records: rapid.Int32Range(0, 50).Draw(t, "records"), size: rapid.IntRange(61, 200).Draw(t, "size")}
			if rapid.IntRange(0, 3).Draw(t, "control") == 0 {
				h.attributes = attributeControl
			} else {
				n += int64(h.records)
			}
			records = append(records, h.bytes()...)
		}
		if rapid.Bool().Draw(t, "cut") {
			records = append(records, header{magic: 2, records: 7, says: 500}.bytes()...)
		}
		names, fields = append(names, name), append(fields, records)
		was := want[name]
		want[name] = [2]int64{was[0] + int64(len(records)), was[1] + n}
	}
	if key == kmsg.ShareFetch {
		resp := kmsg.NewPtrShareFetchResponse()
		resp.SetVersion(version)
		for i, name := range names {
			topic := kmsg.NewShareFetchResponseTopic()
			topic.TopicID = idOf("acme." + name)
			p := kmsg.NewShareFetchResponseTopicPartition()
			p.Records = fields[i]
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
		}
		return encode(resp)
	}
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	for i, name := range names {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = "acme."+name, idOf("acme."+name)
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = fields[i]
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
	}
	return encode(resp)
}
