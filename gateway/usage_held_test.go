package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
	"weir/metering"
	"weir/tenancy"
)

// What an instance holds in the pool is counted for it, by one of two gateways, and
// comes to Redis.
func TestHoldingsAreCounted(t *testing.T) {
	m, kafka := miniredis.RunT(t), kfake.MustCluster(kfake.NumBrokers(3))
	t.Cleanup(kafka.Close)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer rdb.Close()
	in := tenancy.Instance{
		ID: "orders", Name: "orders", Tenant: "t-acme", Plan: "standard", Pool: "main", State: tenancy.StateActive,
		ClusterID: "AAAAAAAAAAAAAAAAAAAAAA", CreatedAt: time.Now(),
	}
	if _, _, err := tenancy.NewStore(rdb).CreateInstance(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 3, 1, nil, "orders.t"); err != nil {
		t.Fatal(err)
	}
	p, _, _ := composed(t, m.Addr(), kafka.ListenAddrs()[0])
	composed(t, m.Addr(), kafka.ListenAddrs()[0])
	var seconds int64
	parts.Await(t, "partition-seconds are in Redis", time.Minute, func() bool {
		seconds = 0
		for hour := metering.HourOf(time.Now()) - 1; hour <= metering.HourOf(time.Now()); hour++ {
			counts, _, err := p.counts.Counts(context.Background(), "orders", hour)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				if c.Tenant != "t-acme" || c.Plan != "standard" || c.Pool != "main" {
					t.Fatalf("it is counted on %+v", c.Line)
				}
				seconds += c.Values[metering.PartitionSeconds]
			}
		}
		return seconds > 0
	})
	if seconds%(3*60) != 0 {
		t.Errorf("%d partition-seconds of 3 partitions, want whole minutes", seconds)
	}
}
