package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"weir/admin/api"
	"weir/metering"
	"weir/tenancy"
)

// fakeChains have one of each.
type fakeChains struct {
	chain    metering.Chain
	compared *metering.Comparison
	err      error
	asked    tenancy.InstanceID
}

func (f *fakeChains) Verify(_ context.Context, id tenancy.InstanceID) (metering.Chain, error) {
	f.asked = id
	return f.chain, f.err
}

func (f *fakeChains) Comparison(context.Context, tenancy.InstanceID) (metering.Comparison, bool, error) {
	if f.compared == nil {
		return metering.Comparison{}, false, f.err
	}
	return *f.compared, true, f.err
}

func TestUsageChain(t *testing.T) {
	f := newFixture(t)
	chains := &fakeChains{chain: metering.Chain{First: 1, Last: 7, Records: 7, Hash: [32]byte{0xab}}}
	f.cfg.Chains = chains
	f.start()
	id := f.create("t-acme", "orders").ID
	get := func() (c api.UsageChain) {
		t.Helper()
		a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/usage/chain", nil)
		if err := json.Unmarshal([]byte(a.body), &c); err != nil || a.status != http.StatusOK {
			t.Fatalf("status %d: %v", a.status, err)
		}
		return c
	}
	if c := get(); !c.Intact || c.Instance != id || string(chains.asked) != id || c.Last != 7 || c.Hash[:4] != "ab00" || c.Broken != nil || c.Compared != nil {
		t.Errorf("%+v", c)
	}
	at := time.Date(2026, 11, 23, 8, 20, 0, 5, time.UTC)
	chains.chain.Broken = &metering.BrokenLink{Number: 5, Hour: metering.HourOf(at), Why: "is missing"}
	chains.compared = &metering.Comparison{At: at, MeteredLeast: 3, MeteredMost: 4, Appended: 2, Difference: -1, Since: at.Add(-time.Hour)}
	c := get()
	if c.Intact || c.Broken.Number != 5 || !c.Broken.Hour.Equal(at.Truncate(time.Hour)) || c.Broken.Reason != "is missing" {
		t.Errorf("%+v", c.Broken)
	}
	if c.Compared == nil || c.Compared.Difference != -1 || c.Compared.Since == nil {
		t.Errorf("%+v", c.Compared)
	}
	if p := f.do(f.token("t-other", "viewer"), http.MethodGet, "/v1/instances/"+id+"/usage/chain", nil).problem(t); p.Status != http.StatusNotFound {
		t.Errorf("another tenant is told %+v", p)
	}
	chains.err = errors.New("redis is away")
	if p := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/usage/chain", nil).problem(t); p.Code != "store-unavailable" {
		t.Errorf("%+v", p)
	}
}
