package rewrite

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// countedCases are exchanges of one and of two partitions as a busy connection has them,
// the batches of an idempotent producer.
func countedCases() (all []fastCase) {
	full := header{magic: 2, records: 8, size: 1 << 10}.bytes()
	for _, partitions := range []int{1, 2} {
		for _, v := range []int16{3, 9, 12, 13} {
			request := produceBody(v, -1, func(r *kmsg.ProduceRequest) {
				r.Topics[0].Partitions = r.Topics[0].Partitions[:partitions]
				for i := range partitions {
					r.Topics[0].Partitions[i].Records = full
				}
			}, "orders")
			resp := kmsg.NewPtrProduceResponse()
			resp.SetVersion(v)
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = "acme.orders", idOf("acme.orders")
			for i := range partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition = int32(i)
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
			all = append(all, fastCase{name: fmt.Sprintf("Produce/v%d/%d", v, partitions), x: fastExchange(kmsg.Produce, v), request: request, response: encode(resp)})
		}
		for _, v := range []int16{12, 13} {
			answer := bytes.ReplaceAll(bigFetchAnswer(v, partitions, 1<<10), bytes.Repeat([]byte{0xAB}, 1<<10), full)
			all = append(all, fastCase{name: fmt.Sprintf("Fetch/v%d/%d", v, partitions), x: fastExchange(kmsg.Fetch, v), request: smallFetch(v, partitions), response: answer})
		}
	}
	return all
}

// Counting an exchange of up to two partitions allocates nothing.
func TestCountingDoesNotAllocate(t *testing.T) {
	for _, c := range countedCases() {
		t.Run(c.name, func(t *testing.T) {
			c.run(t)
			if b, f := c.x.use.Produced(), c.x.use.bytes; b == 0 && f == 0 {
				t.Fatal("nothing is counted")
			}
			counting := testing.AllocsPerRun(100, func() { c.run(t) })
			c.x.Counting = NewCounting(true)
			byTopic := testing.AllocsPerRun(100, func() { c.run(t) })
			c.x.Counting = nil
			without := testing.AllocsPerRun(100, func() { c.run(t) })
			if counting != without || byTopic != without {
				t.Errorf("%v allocations, %v by topic, without counting %v", counting, byTopic, without)
			}
		})
	}
}

// What is noted of a request stays within the memory that its rewrite may take.
func TestTalliesOfManyPartitionsTakeLittleMemory(t *testing.T) {
	const partitions = 20_000
	small := header{magic: 2, records: 1, size: batchHeader}.bytes()
	body := produceBody(13, -1, func(r *kmsg.ProduceRequest) {
		r.Topics[0].Partitions = nil
		for i := range int32(partitions) {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = i, small
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}
	}, "orders")
	x := fastExchange(kmsg.Produce, 13)
	mustMap(t, x, body)
	var plan Plan
	got := allocated(func() { plan = mustMap(t, x, body) })
	if n := len(plan.Usage.batches); n != partitions {
		t.Fatalf("%d batches are noted, want %d", n, partitions)
	}
	if most := 2 * len(body); got > most {
		t.Errorf("body of %d bytes takes %d bytes of memory, want at most %d", len(body), got, most)
	}
	if plan.Held < tallyBytes*partitions {
		t.Errorf("%d bytes are said to be held, which is less than the tallies", plan.Held)
	}
}

// BenchmarkCounting shows what counting adds to the rewrite of an exchange.
func BenchmarkCounting(b *testing.B) {
	for _, c := range countedCases() {
		for _, counting := range []*Counting{nil, NewCounting(false), NewCounting(true)} {
			name := "none"
			if counting != nil {
				name = fmt.Sprintf("by-topic=%t", counting.byTopic)
			}
			b.Run(c.name+"/"+name, func(b *testing.B) {
				c.x.Counting = counting
				b.ReportAllocs()
				for b.Loop() {
					c.run(b)
				}
			})
		}
	}
}
