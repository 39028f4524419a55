//go:build bench

package quota_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// quietRate is how many records the quiet instance sends in a second, each by itself.
const quietRate = 50

// quietPlan is what the quiet clients are told.
type quietPlan struct {
	Gateway string
	Tenant  tenant
}

// quietRound is what they saw in a while, in microseconds.
type quietRound struct {
	Ack  []int64 // from sending to the acknowledgement
	Read []int64 // from sending to the record at the consumer
}

// percentile of one of them, in milliseconds.
func percentile(micros []int64, p int) float64 {
	if len(micros) == 0 {
		return 0
	}
	micros = slices.Sorted(slices.Values(micros))
	return float64(micros[min(len(micros)-1, len(micros)*p/100)]) / 1000
}

// quiet is the two clients.
type quiet struct {
	mu    sync.Mutex
	round quietRound
}

// runQuiet produces and consumes all the time. A line on standard input is a duration:
// after it comes what was seen in it.
func runQuiet(arg []byte) error {
	var plan quietPlan
	if err := json.Unmarshal(arg, &plan); err != nil {
		return err
	}
	client := func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(opts, kgo.SeedBrokers(plan.Gateway), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0),
			kgo.SASL(scram.Auth{User: plan.Tenant.User, Pass: plan.Tenant.Password}.AsSha256Mechanism()))...)
	}
	producer, err := client()
	if err != nil {
		return err
	}
	consumer, err := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtEnd()}}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := producer.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 1024)}).FirstErr(); err != nil {
		return err
	}
	q := &quiet{}
	go q.produce(producer)
	go q.consume(consumer)
	fmt.Println("ready")
	for lines := bufio.NewReader(os.Stdin); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil
		}
		length, err := time.ParseDuration(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		q.take()
		<-time.After(length)
		if err := json.NewEncoder(os.Stdout).Encode(q.take()); err != nil {
			return err
		}
	}
}

// take is what was seen since the last time.
func (q *quiet) take() quietRound {
	q.mu.Lock()
	defer q.mu.Unlock()
	round := q.round
	q.round = quietRound{}
	return round
}

func (q *quiet) produce(cl *kgo.Client) {
	for range time.NewTicker(time.Second / quietRate).C {
		value, sent := make([]byte, 1024), time.Now()
		binary.BigEndian.PutUint64(value, uint64(sent.UnixMicro()))
		cl.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			q.round.Ack = append(q.round.Ack, time.Since(sent).Microseconds())
		})
	}
}

func (q *quiet) consume(cl *kgo.Client) {
	for {
		cl.PollFetches(context.Background()).EachRecord(func(r *kgo.Record) {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.round.Read = append(q.round.Read, time.Now().UnixMicro()-int64(binary.BigEndian.Uint64(r.Value)))
		})
	}
}
