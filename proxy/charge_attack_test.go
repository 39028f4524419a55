package proxy

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
	"weir/quota"
	"weir/tenancy"
)

// Who says another client id while a fetch is under way pays for the fetch all the same.
func TestAnotherClientIDDoesNotForgetWhatAFetchCosts(t *testing.T) {
	for name, tc := range map[string]struct {
		limits tenancy.Limits
		quotas []tenancy.Quota
	}{
		"instance": {limits: tenancy.Limits{tenancy.LimitFetchBytes: {Value: 10 << 10}}},
		"client id": {quotas: []tenancy.Quota{{
			Entity: tenancy.QuotaEntity{ClientID: new(string)}, Values: map[string]float64{tenancy.QuotaConsumerBytes: 10 << 10},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLimitedRig(t, tc.limits)
			rev, err := r.store.ChangeQuotas(t.Context(), "i-a", tc.quotas, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.inForce(rev)
			c := r.loggedIn("a")
			r.topic("i-a.t")
			for range 4 {
				must[*kmsg.ProduceResponse](t, c, produce("t", 80<<10, 1), 9)
			}
			fetchAsAnother(t, c)
			s := r.srv.cfg.Quota.Scope("i-a", "u", "0")
			defer s.Close()
			if s.Spend(quota.FetchBytes, 0).Throttle == 0 {
				t.Error("an answer of 80 KiB left no debt with a limit of 10 KiB/s, of which a quarter may be used at once")
			}
		})
	}
}

// What keeps a group alive passes whatever is owed, but not any number of it, nor
// megabytes, and not only where requests are limited.
func TestSideBudgetIsNoWayRoundLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		limits tenancy.Limits
		size   int
		want   int
	}{
		"no limits":              {nil, 100, 1000},
		"requests":               {tenancy.Limits{tenancy.LimitRequests: {Value: 10}}, 100, leastAside},
		"time alone":             {tenancy.Limits{tenancy.LimitRequestTime: {Value: 1}}, 100, leastAside},
		"large":                  {tenancy.Limits{tenancy.LimitRequests: {Value: 10}}, 640 << 10, leastAside / 11},
		"larger than the budget": {tenancy.Limits{tenancy.LimitRequests: {Value: 10}}, controlFrame, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v := &tenancy.View{Instance: tenancy.Instance{ID: "i-a"}}
			l := quota.New(quota.Config{Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) { return v, tc.limits, true }})
			var s side
			now, scope, passed := time.Now(), l.Scope("i-a", "u", "c"), 0
			for range 1000 {
				if s.take(now, scope, tc.size) {
					passed++
				}
			}
			if passed != tc.want {
				t.Errorf("%d of 1000 pass at once, want %d", passed, tc.want)
			}
		})
	}
}

func TestHeldTooLongIsAReason(t *testing.T) {
	if reason, _ := reasonOf((&conn{}).readEnded(fmt.Errorf("produce: %w", quota.ErrHeld))); reason != reasonHeld {
		t.Errorf("closed for %q, want %q", reason, reasonHeld)
	}
}

// fetchAsAnother fetches as client id "0", and is "1" before the answer is there.
func fetchAsAnother(t *testing.T, c net.Conn) {
	t.Helper()
	f, other := fetch("t", 50<<20), kmsg.NewPtrListGroupsRequest()
	f.SetVersion(12)
	other.SetVersion(4)
	var all []byte
	for id, req := range []kmsg.Request{f, other} {
		body := req.AppendTo(nil)
		h := wire.RequestHeader{Key: req.Key(), Version: req.GetVersion(), Correlation: int32(id), ClientID: []byte{'0' + byte(id)}}
		all = append(wire.AppendRequest(all, h, len(body)), body...)
	}
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	next := newFrames(c)
	for range 2 {
		if err := next(); err != nil {
			t.Fatal(err)
		}
	}
}
