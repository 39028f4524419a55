package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
	"weir/quota"
	"weir/tenancy"
)

// composed starts a gateway on a Redis and brokers, and returns its parts.
func composed(t *testing.T, redis, broker string) (p *process, adminURL, kafkaAt string) {
	t.Helper()
	port := parts.FreePorts(t, 5)
	cfg, err := load(t, fmt.Sprintf(serveYAML, redis, broker, port, port+1, port+4, time.Duration(0))+
		"plans: [{name: standard, limits: {requests_per_second: 1000}}, {name: free}]\n")
	if err != nil {
		t.Fatal(err)
	}
	a, err := cfg.assemble(discardLog(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = compose(t.Context(), *a); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	now := make(chan struct{})
	go func() { done <- p.run(ctx, now) }()
	t.Cleanup(func() {
		stop()
		close(now)
		if err := <-done; err != nil {
			t.Error(err)
		}
		a.rdb.Close()
	})
	select {
	case <-p.warm:
	case <-time.After(20 * time.Second):
		t.Fatal("never warm")
	}
	return p, fmt.Sprintf("http://127.0.0.1:%d", port+4), fmt.Sprintf("127.0.0.1:%d", port)
}

// TestQuotasAreInForceElsewhere: a limit that one gateway is told of holds on another,
// for requests of clients that are there already, when the answer is out.
func TestQuotasAreInForceElsewhere(t *testing.T) {
	redis, kafka := miniredis.RunT(t), kfake.MustCluster(kfake.NumBrokers(3))
	t.Cleanup(kafka.Close)
	_, near, nearKafka := composed(t, redis.Addr(), kafka.ListenAddrs()[0])
	token := operatorToken(t)
	far, _, _ := composed(t, redis.Addr(), kafka.ListenAddrs()[0])
	ask := func(method, path, body string) {
		t.Helper()
		if status, answer := request(t.Context(), method, near+path, token, []byte(body)); status >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	ask(http.MethodPost, "/v1/instances", `{"id":"orders","admin_user":{"name":"alice","password":"correct horse"}}`)
	scope := far.quota.Scope("orders", "alice", "etl") // a client's, on the other gateway
	defer scope.Close()
	atOnce := func(d quota.Dimension) int64 {
		n, bounded := scope.AtOnce(d)
		if !bounded {
			return 0
		}
		return n
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(nearKafka), kgo.SASL(scram.Auth{User: "alice@orders", Pass: "correct horse"}.AsSha256Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	alter := func(value float64) func() {
		return func() {
			t.Helper()
			user := "alice"
			res, err := kadm.NewClient(cl).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
				Entity: kadm.ClientQuotaEntity{{Type: "user", Name: &user}},
				Ops:    []kadm.AlterClientQuotaOp{{Key: tenancy.QuotaProducerBytes, Value: value}},
			}})
			if err != nil || len(res) != 1 || res[0].Err != nil {
				t.Fatalf("%v %+v", err, res)
			}
		}
	}
	rest := func(method, path, body string) func() {
		return func() {
			t.Helper()
			ask(method, path, body)
		}
	}
	const quotas, set = "/v1/instances/orders/quotas", `{"limits":{"produce_bytes_per_second":{"limit":%d}}}`
	var took []time.Duration
	for _, tc := range []struct {
		name string
		do   func()
		d    quota.Dimension
		want int64
	}{
		{"plan's file", func() {}, quota.Requests, 1000},
		{"plan", rest(http.MethodPatch, "/v1/plans/standard", `{"limits":{"requests_per_second":{"limit":500}}}`), quota.Requests, 500},
		{"plan back", rest(http.MethodPatch, "/v1/plans/standard", `{"limits":{"requests_per_second":null}}`), quota.Requests, 1000},
		{"instance", rest(http.MethodPatch, quotas, fmt.Sprintf(set, 1<<20)), quota.ProduceBytes, 1 << 20},
		{"user", rest(http.MethodPut, quotas+"/users/alice", fmt.Sprintf(set, 1<<18)), quota.ProduceBytes, 1 << 18},
		{"Kafka's protocol", alter(1 << 17), quota.ProduceBytes, 1 << 17},
		{"user gone", rest(http.MethodDelete, quotas+"/users/alice", ""), quota.ProduceBytes, 1 << 20},
		{"instance's plan", rest(http.MethodPatch, "/v1/instances/orders", `{"plan":"free"}`), quota.Requests, 0},
	} {
		begin, tick := time.Now(), time.NewTicker(time.Millisecond)
		tc.do()
		// The answer says that it is in force everywhere; Kafka's does not wait for that.
		for atOnce(tc.d) != tc.want && tc.name == "Kafka's protocol" && time.Since(begin) < 2*time.Second {
			<-tick.C
		}
		tick.Stop()
		if tc.name != "plan's file" {
			took = append(took, time.Since(begin))
		}
		if got := atOnce(tc.d); got != tc.want {
			t.Errorf("%s: %d on the other gateway, want %d", tc.name, got, tc.want)
		}
	}
	slices.Sort(took)
	t.Logf("asked until in force on the other gateway: p50 %s, most %s, of %d", took[len(took)/2], took[len(took)-1], len(took))
}
