//go:build bench

package quota_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/bench/quota"
)

// What the clients send and fetch.
const (
	topic   = "load"
	request = 48 << 10 // bytes of a record, which is a request of its own; and of a fetch
)

// loadPlan is what the clients of a scenario are told.
type loadPlan struct {
	Gateways []string
	Tenant   tenant
	Rate     float64 // quota, bytes a second
	Only     []int   // directions
	Workers  int     // connections to each gateway and in each direction
	// One of the scenarios ...
	Scenarios string // "short" or "all"
	Scenario  string
	// ... or so many quotas at each gateway for so long.
	Constant float64
	Length   time.Duration
}

func (p loadPlan) scenario() quota.Scenario {
	if p.Scenario == "" {
		return quota.Scenario{Length: p.Length, Demand: func(int, float64) float64 { return p.Constant }}
	}
	all := quota.Scenarios()
	if p.Scenarios == "short" {
		all = quota.Short()
	}
	return all[slices.IndexFunc(all, func(s quota.Scenario) bool { return s.Name == p.Scenario })]
}

// Directions of load.
const (
	produce = iota
	fetch
	directions
)

// loadReport is what was admitted.
type loadReport struct {
	Bytes     [directions][]float64 // acknowledged or fetched in each quota.Step since the begin
	Largest   [directions]float64   // bytes of one request or answer
	Throttles [directions]int       // answers that asked to wait
	Errors    map[string]int
}

// load is the clients of a scenario.
type load struct {
	plan     loadPlan
	scenario quota.Scenario
	mu       sync.Mutex
	begin    time.Time // zero: not yet
	report   loadReport
}

// runClients connects, says "ready", begins with a line on standard input and ends
// with the report on standard output.
func runClients(arg []byte) error {
	l := &load{report: loadReport{Errors: map[string]int{}}}
	if err := json.Unmarshal(arg, &l.plan); err != nil {
		return err
	}
	l.scenario = l.plan.scenario()
	steps := int(l.scenario.Length.Seconds() / quota.Step)
	for d := range l.report.Bytes {
		l.report.Bytes[d] = make([]float64, steps)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g, addr := range l.plan.Gateways {
		for _, d := range l.plan.Only {
			demand := newDemand()
			wg.Go(func() {
				<-start
				demand.run(ctx, l.begin, l.plan.Rate, func(t float64) float64 { return l.scenario.Offers(g, t) })
			})
			for range l.plan.Workers {
				cl, err := l.client(addr, d)
				if err != nil {
					return err
				}
				wg.Go(func() { l.work(ctx, cl, d, demand) })
			}
		}
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	l.mu.Lock()
	l.begin = time.Now()
	l.mu.Unlock()
	close(start)
	<-time.After(l.scenario.Length)
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(os.Stdout).Encode(l.report) // who does not end within the time is of no interest
}

func (l *load) client(addr string, direction int) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(addr),
		kgo.SASL(scram.Auth{User: l.plan.Tenant.User, Pass: l.plan.Tenant.Password}.AsSha256Mechanism()),
		kgo.WithHooks(counter{l, direction}),
		kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()), kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DefaultProduceTopic(topic),
		kgo.FetchMaxBytes(request), kgo.FetchMaxPartitionBytes(request), kgo.DisableClientMetrics(),
	}
	if direction == fetch {
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return cl, cl.Ping(ctx)
}

// work does one request after the other, as far as there is demand.
func (l *load) work(ctx context.Context, cl *kgo.Client, direction int, demand *demand) {
	value := make([]byte, request)
	for i := range value {
		value[i] = byte(rand.Int())
	}
	for demand.take(ctx, request) {
		var err error
		if direction == produce {
			err = cl.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr()
		} else {
			err = cl.PollRecords(ctx, 0).Err()
		}
		if err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.report.Errors[err.Error()]++
			l.mu.Unlock()
		}
	}
}

// counter counts requests by their answers: those have been admitted.
type counter struct {
	l         *load
	direction int
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (c counter) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if int(key) != c.direction || e.Err() != nil || c.l.begin.IsZero() {
		return
	}
	n := e.BytesWritten
	if c.direction == fetch {
		n = e.BytesRead
	}
	if step := int(time.Since(c.l.begin).Seconds() / quota.Step); step < len(c.l.report.Bytes[c.direction]) {
		c.l.report.Bytes[c.direction][step] += float64(n)
	}
	c.l.report.Largest[c.direction] = max(c.l.report.Largest[c.direction], float64(n))
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (c counter) OnBrokerThrottle(kgo.BrokerMetadata, time.Duration, bool) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.report.Throttles[c.direction]++
}

// demand is what the clients of a gateway still want: as much as accrues in a
// second at the most, as in the simulation (clients_backlog).
type demand struct {
	mu   sync.Mutex
	more *sync.Cond
	has  float64
}

func newDemand() *demand {
	d := &demand{}
	d.more = sync.NewCond(&d.mu)
	return d
}

func (d *demand) run(ctx context.Context, begin time.Time, rate float64, wants func(t float64) float64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for last := begin; ; {
		select {
		case <-ctx.Done():
			d.more.Broadcast()
			return
		case now := <-tick.C:
			bytes := wants(now.Sub(begin).Seconds()) * rate
			d.mu.Lock()
			d.has = min(d.has+bytes*now.Sub(last).Seconds(), max(bytes, request))
			d.mu.Unlock()
			d.more.Broadcast()
			last = now
		}
	}
}

// take waits until n bytes are wanted; false: it is over.
func (d *demand) take(ctx context.Context, n float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.has < n && ctx.Err() == nil {
		d.more.Wait()
	}
	d.has -= n
	return ctx.Err() == nil
}
