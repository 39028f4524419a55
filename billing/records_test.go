package billing

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"weir/metering"
	"weir/tenancy"
)

// sealed is a Redis in which hours are sealed as gateways do it.
type sealed struct {
	t       *testing.T
	redis   *miniredis.Miniredis
	at      time.Time
	store   *metering.Store
	records *metering.RecordStore
	sealer  *metering.Sealer
	rdb     *redis.Client
	seq     int64
}

func newSealed(t *testing.T, from string) *sealed {
	t.Helper()
	s := &sealed{t: t, redis: miniredis.RunT(t), at: at(t, from)}
	s.rdb = redis.NewClient(&redis.Options{Addr: s.redis.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = s.rdb.Close() })
	s.redis.SetTime(s.at)
	s.store = metering.NewStore(metering.StoreConfig{Redis: s.rdb, Now: s.now})
	s.records = metering.NewRecordStore(metering.RecordStoreConfig{Redis: s.rdb, Store: s.store, Now: s.now})
	s.sealer = metering.NewSealer(metering.SealerConfig{
		Records: s.records, Store: s.store, Gateway: "gw-1", Now: s.now, HealWait: time.Second, LateWait: time.Second, Settle: time.Second,
	})
	return s
}

func (s *sealed) now() time.Time { return s.at }

// to lets the sealer work up to a moment.
func (s *sealed) to(when string) {
	s.t.Helper()
	for end := at(s.t, when); ; {
		s.redis.SetTime(s.at)
		s.sealer.Round(s.t.Context())
		if !s.at.Before(end) {
			return
		}
		s.at = s.at.Add(min(7*time.Minute, end.Sub(s.at)))
	}
}

// count says what one start of a gateway has counted of an hour so far.
func (s *sealed) count(in tenancy.InstanceID, tenant tenancy.TenantID, hour string, n, epoch int64) {
	s.t.Helper()
	h, err := metering.ParseHour(hour)
	if err != nil {
		s.t.Fatal(err)
	}
	s.seq++
	done, _, err := s.store.Push(s.t.Context(), []metering.Count{{
		Line:   metering.Line{Hour: h, Instance: in, Tenant: tenant, Plan: "standard", Pool: "eu1"},
		Source: metering.Source{Gateway: "gw-1", Epoch: epoch, Part: 1}, Seq: s.seq, Values: requests(n),
	}})
	if err != nil || len(done) != 1 {
		s.t.Fatal(done, err)
	}
}

// TestSealedRecords: billing and metering agree about order, numbers and what is late.
func TestSealedRecords(t *testing.T) {
	s := newSealed(t, "2026-11-30T22:00:00Z")
	b := NewBiller(Config{
		Records: s.records, Now: s.now,
		Store: NewStore(s.rdb, map[string]Prices{"standard": {Currency: "EUR", Meters: []MeterPrices{{Meter: "requests", Unit: "1", Price: "0.01"}}}}),
	})
	k := NewKeeper(KeeperConfig{Biller: b, Instances: &fakeInstances{}})
	mustSet(t, k, Budget{Currency: "EUR", Mode: ModeSoft, Amount: "100"})
	s.to("2026-11-30T22:10:00Z")
	s.count("orders", "t-acme", "2026-11-30T22", 100, 1)
	s.count("bills", "t-acme", "2026-11-30T22", 10, 1)
	s.count("else", "t-other", "2026-11-30T22", 9999, 1)
	if _, is, err := k.Balance(t.Context(), "t-acme"); err != nil || Money(is.Spent) != "1.10" {
		t.Errorf("while the hour is open: %+v %v, want 1.10", is, err)
	}
	s.to("2026-11-30T23:30:00Z")
	s.count("orders", "t-acme", "2026-11-30T23", 50, 1)
	if _, is, err := k.Balance(t.Context(), "t-acme"); err != nil || Money(is.Spent) != "1.60" {
		t.Errorf("one hour sealed, one open: %+v %v, want 1.60", is, err)
	}
	s.count("orders", "t-acme", "2026-11-30T22", 7, 2) // a dead start's, found late
	s.to("2026-12-01T03:00:00Z")

	november := monthOf(t, "2026-11")
	all, err := b.Finalize(t.Context(), "t-acme", november)
	if err != nil || len(all) != 1 || all[0].Total != "1.67" {
		t.Fatalf("%+v %v, want 1.67", all, err)
	}
	s.count("bills", "t-acme", "2026-11-30T23", 30, 2) // after the statement
	s.to("2026-12-01T06:00:00Z")
	s.count("orders", "t-acme", "2026-12-01T06", 1, 3)
	s.to("2026-12-01T09:00:00Z")
	got := show(charges(t, &b.Charger, Query{Tenant: "t-acme", From: at(t, "2026-11-30"), To: at(t, "2026-12-01T08:00:00Z")}))
	const want = `11-30 bills requests 0: 10 × 0.01 = 0.10
12-01 bills requests 0: 30 × 0.01 = 0.30 of 2026-11
11-30 orders requests 0: 157 × 0.01 = 1.57
12-01 orders requests 0: 1 × 0.01 = 0.01
`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if _, is, err := k.Balance(t.Context(), "t-acme"); err != nil || Money(is.Spent) != "0.31" {
		t.Errorf("in December: %+v %v, want 0.31", is, err)
	}
}
