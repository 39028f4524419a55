//go:build bench

package quota_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/bench/quota"
	"weir/tenancy"
)

// hotRate is the quota of each of many instances, in bytes a second of Produce.
const hotRate = 64 << 10

// TestHot shows that Redis is not asked more often because many instances are busy:
// each has one client at each gateway that wants all it can get.
func TestHot(t *testing.T) {
	instances, length := 100, 30*time.Second
	if testing.Short() {
		instances, length = 30, 10*time.Second
	}
	r := newRig(t, quota.Gateways)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var sent atomic.Int64
	for range instances {
		in := r.create("sink", tenancy.Limits{tenancy.LimitProduceBytes: {Value: hotRate}})
		r.createTopic(in, "sink")
		for _, g := range r.gateways {
			cl, err := kgo.NewClient(kgo.SeedBrokers(g.kafka), kgo.DisableClientMetrics(), kgo.DefaultProduceTopic(topic),
				kgo.SASL(scram.Auth{User: in.User, Pass: in.Password}.AsSha256Mechanism()),
				kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0))
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				defer cl.Close()
				for value := make([]byte, 4<<10); ctx.Err() == nil; {
					if cl.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr() == nil {
						sent.Add(int64(len(value)))
					}
				}
			})
		}
	}
	<-time.After(10 * time.Second) // until all are throttled
	before, scripts, bytes := r.calls(), r.evalsha(), sent.Load()
	<-time.After(length)
	rate := before.rate(r.calls(), length)
	used := float64(sent.Load()-bytes) / length.Seconds() / hotRate / float64(instances)
	outcome := "PASS"
	if rate > callsBound+1/length.Seconds() {
		outcome = "FAIL"
		t.Errorf("a gateway asks Redis %.1f times a second, bound %.1f", rate, callsBound)
	}
	fmt.Printf("%d instances at their quotas of %d bytes/s (used %.1f %%): calls %.2f/s and gateway, bound %.1f; scripts in them %.1f/s and gateway  %s\n",
		instances, hotRate, used*100, rate, callsBound,
		float64(r.evalsha()-scripts)/length.Seconds()/quota.Gateways, outcome)
}
