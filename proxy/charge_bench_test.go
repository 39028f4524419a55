package proxy

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/proxy/rewrite"
	"weir/proxy/wire"
	"weir/quota"
	"weir/tenancy"
)

// chargedConn is a connection of an instance with limits, as far as charging needs it.
func chargedConn(tb testing.TB, limits tenancy.Limits) *conn {
	tb.Helper()
	v := &tenancy.View{Instance: tenancy.Instance{ID: "i-a"}, Limits: limits}
	limiter := quota.New(quota.Config{Log: slog.New(slog.DiscardHandler), Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
		return v, nil, true
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	tb.Cleanup(func() { cancel(); wg.Wait() })
	wg.Go(func() { _ = limiter.Run(ctx) })
	return &conn{srv: &Server{cfg: Config{Quota: limiter}}, ctx: ctx, cancel: cancel, sess: &rewrite.Session{}, side: &side{}, principal: auth.Principal{Instance: "i-a", User: "u"}}
}

// exchangeOnce charges a request and its answer.
func exchangeOnce(tb testing.TB, c *conn, begin []byte, body [][]byte) {
	if err := c.charge(begin, 1000); err != nil {
		tb.Fatal(err)
	}
	p := pending{key: int16(kmsg.Produce), version: 9, tab: c.purse.tab}
	c.mapped(&p)
	c.charged(&p, 60, c.throttle(&p, body, 60))
}

func allLimits(value float64) tenancy.Limits {
	all := tenancy.Limits{}
	for _, name := range tenancy.LimitNames() {
		all[name] = tenancy.Limit{Value: value}
	}
	return all
}

func chargedRequest() (begin []byte, body [][]byte) {
	h := wire.RequestHeader{Key: int16(kmsg.Produce), Version: 9, ClientID: []byte("rdkafka")}
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(9)
	return wire.AppendRequest(nil, h, 100)[4:], [][]byte{resp.AppendTo(nil)}
}

// What charging adds to an exchange that is admitted.
func BenchmarkCharge(b *testing.B) {
	some := allLimits(1e6)
	some[tenancy.LimitProduceBytes] = tenancy.Limit{Value: 1 << 49}
	some[tenancy.LimitRequests] = tenancy.Limit{Value: 1e9}
	all := tenancy.Limits{}
	maps.Copy(all, some)
	delete(some, tenancy.LimitRequestTime)
	for name, limits := range map[string]tenancy.Limits{"no limits": nil, "limits": some, "limits, and of time": all} {
		b.Run(name, func(b *testing.B) {
			c := chargedConn(b, limits)
			begin, body := chargedRequest()
			c.purse.begun = time.Now()
			c.lastRead.Store(c.purse.begun.Add(time.Hour).UnixNano()) // no time passes until the request is mapped
			b.ReportAllocs()
			for b.Loop() {
				exchangeOnce(b, c, begin, body)
			}
			if c.mutedUntil.Load() != 0 {
				b.Error("not admitted")
			}
		})
	}
}

func TestChargeDoesNotAllocate(t *testing.T) {
	c := chargedConn(t, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1 << 49, Burst: 1 << 49}, tenancy.LimitRequests: {Value: 1e9, Burst: 1e9}})
	begin, body := chargedRequest()
	if n := testing.AllocsPerRun(1000, func() { exchangeOnce(t, c, begin, body) }); n != 0 {
		t.Errorf("%v allocations for an exchange", n)
	}
}
