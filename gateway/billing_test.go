package gateway

import (
	"net/http"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"weir/quota"
	"weir/tenancy"
)

// TestBudgetsAreInForceElsewhere: what follows from a budget that one gateway is told of
// holds on another when the answer is out, for clients that are there already.
func TestBudgetsAreInForceElsewhere(t *testing.T) {
	redis, kafka := miniredis.RunT(t), kfake.MustCluster(kfake.NumBrokers(1))
	t.Cleanup(kafka.Close)
	_, near, _ := composed(t, redis.Addr(), kafka.ListenAddrs()[0])
	token := operatorToken(t)
	far, _, _ := composed(t, redis.Addr(), kafka.ListenAddrs()[0])
	ask := func(method, path, body string) {
		t.Helper()
		if status, answer := request(t.Context(), method, near+path, token, []byte(body)); status >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	ask(http.MethodPost, "/v1/instances", `{"id":"orders","admin_user":{"name":"alice","password":"correct horse"}}`)
	scope := far.quota.Scope("orders", "alice", "etl")
	defer scope.Close()
	check := func(when string, bounded, serves bool) {
		t.Helper()
		for _, d := range []quota.Dimension{quota.ProduceBytes, quota.FetchBytes} {
			if n, is := scope.AtOnce(d); is != bounded || is && n != tenancy.ThrottledBytes {
				t.Errorf("%s: %s is bounded %t to %d", when, d.Limit(), is, n)
			}
		}
		if v, ok := far.directory.View("orders"); !ok || v.Instance.Serves() != serves {
			t.Errorf("%s: serves is not %t", when, serves)
		}
	}
	check("without a budget", false, true)
	ask(http.MethodPut, "/v1/tenants/t-acme/budget", `{"mode":"prepaid","currency":"EUR","action":"throttle"}`)
	check("nothing is paid", true, true)
	ask(http.MethodPut, "/v1/tenants/t-acme/budget", `{"mode":"prepaid","currency":"EUR","action":"stop"}`)
	check("nothing is paid", false, false)
	ask(http.MethodPost, "/v1/tenants/t-acme/balance", `{"id":"pay-1","currency":"EUR","amount":"1"}`)
	check("paid", false, true)
}
