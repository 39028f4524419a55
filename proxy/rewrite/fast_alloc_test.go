package rewrite

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fastCase is one exchange as it is on a busy connection: everything has been
// seen before.
type fastCase struct {
	name     string
	x        *Exchange
	request  []byte
	response []byte
	most     float64 // allocations of Map and Unmap together
}

// fastCases are exchanges of one partition of 1 KiB and of 16 of 64 KiB, for
// every shape that the versions have.
func fastCases() []fastCase {
	var all []fastCase
	for _, size := range []struct{ partitions, bytes int }{{1, 1 << 10}, {16, 64 << 10}} {
		tallies := float64(min(1, size.partitions/3)) // two have room in the exchange
		for _, v := range []int16{3, 8, 9, 12, 13} {
			name := fmt.Sprintf("Produce/v%d/%dx%dKiB", v, size.partitions, size.bytes>>10)
			all = append(all, fastCase{name, fastExchange(kmsg.Produce, v), bigProduce(v, size.partitions, size.bytes), smallProduceAnswer(v, size.partitions), 5 + tallies})
		}
		for _, v := range []int16{4, 7, 11, 12, 13, 18} {
			name := fmt.Sprintf("Fetch/v%d/%dx%dKiB", v, size.partitions, size.bytes>>10)
			all = append(all, fastCase{name, fastExchange(kmsg.Fetch, v), smallFetch(v, size.partitions), bigFetchAnswer(v, size.partitions, size.bytes), 5})
		}
	}
	return all
}

func bigProduce(version int16, partitions, size int) []byte {
	return produceBody(version, -1, func(r *kmsg.ProduceRequest) {
		p := r.Topics[0].Partitions[0]
		p.Records = bytes.Repeat([]byte{0xAB}, size)
		r.Topics[0].Partitions = nil
		for range partitions {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}
	}, "orders")
}

func smallProduceAnswer(version int16, partitions int) []byte {
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(version)
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.TopicID = "acme.orders", idOf("acme.orders")
	for range partitions {
		topic.Partitions = append(topic.Partitions, kmsg.NewProduceResponseTopicPartition())
	}
	resp.Topics = append(resp.Topics, topic)
	return encode(resp)
}

func smallFetch(version int16, partitions int) []byte {
	return fetchBody(version, func(r *kmsg.FetchRequest) {
		r.SessionEpoch = -1
		p := r.Topics[0].Partitions[0]
		r.Topics[0].Partitions = nil
		for range partitions {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}
	}, "orders")
}

func bigFetchAnswer(version int16, partitions, size int) []byte {
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID = "acme.orders", idOf("acme.orders")
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = bytes.Repeat([]byte{0xAB}, size)
	for range partitions {
		topic.Partitions = append(topic.Partitions, p)
	}
	resp.Topics = append(resp.Topics, topic)
	return encode(resp)
}

// run is one exchange.
func (c fastCase) run(t testing.TB) (request, response [][]byte) {
	c.x.use.Done(c.x.Session) // of the one before
	api, _ := Lookup(c.x.Key, c.x.Version)
	plan, err := api.Plan(c.x, c.request)
	if err != nil {
		t.Fatal(err)
	}
	response, err = plan.Unmap(c.response)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Request, response
}

func TestFastAllocations(t *testing.T) {
	for _, c := range fastCases() {
		t.Run(c.name, func(t *testing.T) {
			c.run(t)
			if n := testing.AllocsPerRun(100, func() { c.run(t) }); n > c.most {
				t.Errorf("an exchange allocates %v times, want at most %v", n, c.most)
			} else {
				t.Logf("%v allocations", n)
			}
		})
	}
}

// Record bytes leave as slices of the body they came in.
func TestFastDoesNotCopyRecords(t *testing.T) {
	for _, c := range fastCases() {
		t.Run(c.name, func(t *testing.T) {
			request, response := c.run(t)
			for i := range c.request {
				c.request[i] = 0xCD
			}
			for i := range c.response {
				c.response[i] = 0xCD
			}
			if n := bytes.Count(join(request), []byte{0xAB}) + bytes.Count(join(response), []byte{0xAB}); n > 16 {
				t.Errorf("%d record bytes were copied", n)
			}
		})
	}
}

func BenchmarkFast(b *testing.B) {
	for _, c := range fastCases() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run(b)
			}
		})
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// Whatever a frame announces or repeats, memory stays within twice its size
// (or 1 MiB more than it, if it is small), and a fixed rest for looking up ids.
func TestHostileFramesTakeLittleMemory(t *testing.T) {
	const rest = 2 << 20 // the ids of maxAsked topics, copied on their way to the pool
	head := "\x00" + "\xff\xff" + "\x00\x00\x00\x00"
	fetch := strings.Repeat("\x00", 13) + "\x00\x00\x00\x00" + "\xff\xff\xff\xff"
	old := "\xff\xff\xff\xff" + fetch // v12 has the replica id in front
	many := func(n int, topic string) string {
		count := sink{flexible: true}
		count.count(n)
		return string(count.b) + strings.Repeat(topic, n)
	}
	id := idOf("other.orders")
	for name, tc := range map[string]struct {
		key     kmsg.Key
		version int16
		body    string
	}{
		"produce, counts of 2^31":       {kmsg.Produce, 9, head + "\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20)},
		"produce, partitions of 2^31":   {kmsg.Produce, 9, head + "\x02\x02a\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20)},
		"produce, empty topics":         {kmsg.Produce, 9, head + many(1<<19, "\x02a\x01\x00") + "\x00"},
		"produce, a few empty topics":   {kmsg.Produce, 9, head + many(1<<10, "\x02a\x01\x00") + "\x00"},
		"produce, refused topics":       {kmsg.Produce, 9, head + many(1<<19, "\x01\x01\x00") + "\x00"},
		"produce, a few refused topics": {kmsg.Produce, 9, head + many(1<<10, "\x01\x01\x00") + "\x00"},
		"produce, refused partitions":   {kmsg.Produce, 9, head + "\x02\x01" + many(1<<19, "\x00\x00\x00\x01\x00\x00") + "\x00\x00"},
		"produce, foreign ids":          {kmsg.Produce, 13, head + many(1<<17, string(id[:])+"\x01\x00") + "\x00"},
		"produce, tags":                 {kmsg.Produce, 9, head + "\x01" + many(1<<19-1, "\x00\x00") + "\x00\x00"},
		"fetch, counts of 2^31":         {kmsg.Fetch, 12, old + "\xff\xff\xff\xff\x07" + strings.Repeat("x", 1<<20)},
		"fetch, empty topics":           {kmsg.Fetch, 12, old + many(1<<19, "\x02a\x01\x00") + "\x01\x01\x00"},
		"fetch, refused topics":         {kmsg.Fetch, 12, old + many(1<<19, "\x01\x01\x00") + "\x01\x01\x00"},
		"fetch, forgotten topics":       {kmsg.Fetch, 12, old + "\x01" + many(1<<19, "\x02a\x01\x00") + "\x01\x00"},
		"fetch, forgotten foreign ids":  {kmsg.Fetch, 13, old + "\x01" + many(1<<17, string(id[:])+"\x01\x00") + "\x01\x00"},
		"fetch, foreign ids":            {kmsg.Fetch, 15, fetch + many(1<<17, string(id[:])+"\x01\x00") + "\x01\x01\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			x := fastExchange(tc.key, tc.version)
			x.Pool = nobody{x.Pool}
			body := []byte(tc.body)
			api, _ := Lookup(x.Key, x.Version)
			var err error
			got := allocated(func() { _, err = api.Plan(x, body) })
			if most := len(body) + max(len(body), growth) + rest; got > most {
				t.Errorf("body of %d bytes takes %d bytes of memory, want at most %d", len(body), got, most)
			}
			t.Logf("%d bytes for a body of %d, error %v", got, len(body), err)
		})
	}
}

// nobody is a pool without topics, which looks them up without memory of its own.
type nobody struct{ Pool }

func (nobody) TopicNames(context.Context, tenancy.Namespace, []topicID) map[topicID]string {
	return nil
}
