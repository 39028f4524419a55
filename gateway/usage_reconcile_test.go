package gateway

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
	"weir/metering"
	"weir/tenancy"
)

// What is compared with an instance's counts are its own topics and nobody else's; not
// where others may write to what it writes to, and not while its pool is away.
func TestLogsOfInstances(t *testing.T) {
	m, kafka := miniredis.RunT(t), kfake.MustCluster(kfake.NumBrokers(3), kfake.SeedTopics(3, "orders.t", "orders.u", "bills.t", "orders", "nobody.t", "shared"))
	t.Cleanup(kafka.Close)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer rdb.Close()
	store := tenancy.NewStore(rdb)
	for i, id := range []tenancy.InstanceID{"orders", "bills", "idle"} {
		in := tenancy.Instance{
			ID: id, Name: string(id), Tenant: "t-acme", Plan: "standard", Pool: "main", State: tenancy.StateActive,
			ClusterID: "AAAAAAAAAAAAAAAAAAAAA" + strconv.Itoa(i), CreatedAt: time.Now(),
		}
		if _, _, err := store.CreateInstance(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.PutAliases(t.Context(), "bills", tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "s", Physical: "shared"}); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for topic, n := range map[string]int{"orders.t": 7, "bills.t": 2, "nobody.t": 5, "orders": 3} {
		for range n {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, _, _ := composed(t, m.Addr(), kafka.ListenAddrs()[0])
	l := logs{p.directory, p.pools, discardLog()}
	ids := l.instances()
	slices.Sort(ids)
	if !slices.Equal(ids, []tenancy.InstanceID{"bills", "idle", "orders"}) {
		t.Errorf("instances are %v", ids)
	}
	var all map[tenancy.InstanceID]metering.Logs
	parts.Await(t, "the pool answers", time.Minute, func() bool {
		all, err = l.ends(t.Context())
		known := err == nil && len(all["orders"].Topics) == 2
		for _, e := range all["orders"].Topics {
			known = known && e.Known
		}
		return known
	})
	for _, e := range all["orders"].Topics {
		if want := map[string]int64{"orders.t": 7, "orders.u": 0}[e.Name]; !e.Known || e.Records != want || e.ID == [16]byte{} {
			t.Errorf("%+v, want %d records", e, want)
		}
	}
	if all["orders"].Skip != "" || all["bills"].Skip == "" || len(all["idle"].Topics) != 0 {
		t.Errorf("%+v", all)
	}
	kafka.Close()
	if all, err = l.ends(t.Context()); err != nil || len(all["orders"].Topics) != 1 || all["orders"].Topics[0].Known {
		t.Errorf("without the pool: %+v, %v; want that nothing is known", all, err)
	}
}
