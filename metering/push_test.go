package metering

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// testPusher is a gateway: a pusher with a book, on a Redis of several.
type testPusher struct {
	*Pusher
	book  *fakeBook
	store *testStore
	lines *strings.Builder
	reg   *prometheus.Registry
}

func newTestPusher(t *testing.T, m *miniredis.Miniredis, gateway string, healers ...func(context.Context) error) *testPusher {
	t.Helper()
	s := newStoreOn(t, m)
	p := &testPusher{book: newFakeBook(gateway, &s.at), store: s, lines: &strings.Builder{}, reg: prometheus.NewRegistry()}
	p.Pusher = NewPusher(PusherConfig{
		Book: p.book, Store: s.Store, Gateway: gateway, Epoch: testCount("", 0, 0).Epoch, Healers: healers,
		Log: slog.New(slog.NewTextHandler(p.lines, nil)), Registry: p.reg, Now: func() time.Time { return s.at },
	})
	return p
}

func (p *testPusher) tick(t testing.TB, d time.Duration) {
	t.Helper()
	p.store.at = p.store.at.Add(d)
	p.round(context.Background())
}

// same fails unless Redis has what the books have.
func same(t interface {
	Helper()
	Errorf(string, ...any)
}, s *Store, books ...*fakeBook,
) {
	t.Helper()
	for _, b := range books {
		for _, want := range b.counts {
			all, _, err := s.Counts(context.Background(), want.Instance, want.Hour)
			if err != nil || !slices.Contains(all, *want) {
				t.Errorf("redis has %+v, %v; want also %+v", all, err, *want)
			}
		}
	}
}

func (p *testPusher) heals(t testing.TB, reason string) float64 {
	t.Helper()
	families, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "weir_usage_heals_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no counter of heals for %s", reason)
	return 0
}

func TestPusherBringsWhatChanged(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	for i := range 3 {
		p.book.add("orders", int64(i))
		p.book.add("bills", 7)
		p.tick(t, pushEvery)
		same(t, p.store.Store, p.book)
	}
	if n := p.heals(t, healStart); n != 1 {
		t.Errorf("everything was pushed %v times at the start, want once", n)
	}
	if n := p.heals(t, healLost); n != 0 {
		t.Errorf("Redis lost nothing, and was healed %v times for it", n)
	}
	if len(p.book.Take(10)) != 0 {
		t.Error("the book was not told that its counts are in Redis")
	}
}

func TestRedisThatLosesUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(p *testPusher)
		idle bool // nobody uses anything afterwards
	}{
		{name: "everything", lose: func(p *testPusher) { p.store.redis.FlushAll() }},
		{name: "everything, and nobody uses it", lose: func(p *testPusher) { p.store.redis.FlushAll() }, idle: true},
		{name: "one hour of one instance", lose: func(p *testPusher) { p.store.redis.Del(countsKey("orders", testHour)) }},
		{name: "one count", lose: func(p *testPusher) {
			c := p.book.add("orders", 0)
			p.store.redis.HDel(countsKey("orders", testHour), c.field())
		}},
		{name: "an old dump", lose: func(p *testPusher) {
			c := *p.book.add("orders", 0)
			c.Seq, c.Values = 1, Values{}
			p.store.redis.HSet(countsKey("orders", testHour), c.field(), c.value())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			healed := 0
			p := newTestPusher(t, miniredis.RunT(t), "a", func(context.Context) error { healed++; return nil })
			for range 3 {
				p.book.add("orders", 5)
				p.book.add("bills", 7)
				p.tick(t, pushEvery)
			}
			tt.lose(p)
			if !tt.idle {
				p.book.add("orders", 1)
			}
			p.tick(t, pushEvery)
			same(t, p.store.Store, p.book)
			if n := p.heals(t, healLost); n != 1 || healed != 2 {
				t.Errorf("healed %v times, others %d times; want 1 after the loss, and others at the start too", n, healed)
			}
			p.tick(t, pushEvery)
			if n := p.heals(t, healLost); n != 1 {
				t.Errorf("it was healed again and again: %v times", n)
			}
		})
	}
}

// A master that is new, or is one again, may lack what was pushed; one that only did
// not answer for a while does not.
func TestMastersThatChange(t *testing.T) {
	for _, tt := range []struct {
		name string
		seen []string // each the masters that answered; with a "?", not all did
		want bool
	}{
		{"the same", []string{"a b", "a b"}, false},
		{"none that tells", []string{"", ""}, false},
		{"another", []string{"a b", "a c"}, true},
		{"started anew", []string{"a", "?", "b"}, true},
		{"one is silent", []string{"a b", "a ?", "a b"}, false},
		{"all are silent", []string{"a b", "?", "a b"}, false},
		{"one is silent, then another", []string{"a b", "a ?", "a c"}, true},
		{"there and back", []string{"a", "b", "!", "a"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestPusher(t, miniredis.RunT(t), "a").Pusher
			p.want = ""
			for _, seen := range tt.seen {
				if seen == "!" { // healed meanwhile
					p.want = ""
					continue
				}
				ids, silent := strings.CutSuffix(seen, "?")
				p.seeMasters(strings.Fields(ids), !silent && seen != "")
			}
			if got := p.want == healMaster; got != tt.want {
				t.Errorf("masters %q ask for a heal: %v, want %v", tt.seen, got, tt.want)
			}
		})
	}
}

// An idle instance's counts on a node of which nobody pushes anything.
func TestEveryHourEverythingIsPushed(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	p.book.add("orders", 5)
	p.tick(t, pushEvery)
	p.store.redis.Del(countsKey("orders", testHour))
	p.store.at = testHour.End().Add(hourlyFrom + hourlyFor)
	p.tick(t, 0)
	same(t, p.store.Store, p.book)
	p.tick(t, pushEvery)
	if n := p.heals(t, healHourly); n != 1 {
		t.Errorf("everything was pushed %v times in an hour, want once", n)
	}
}

func TestRedisAway(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	p.book.add("orders", 5)
	p.tick(t, pushEvery)
	p.store.redis.SetError("LOADING Redis is loading the dataset in memory")
	for range 6 {
		p.book.add("orders", 5)
		p.tick(t, 30*time.Second)
	}
	if lag := p.Lag(); lag < 150*time.Second || lag > 200*time.Second {
		t.Errorf("the lag is %v after 3 minutes", lag)
	}
	if n := strings.Count(p.lines.String(), "usage does not reach Redis"); n != 1 || !strings.Contains(p.lines.String(), "fix=") {
		t.Errorf("it was told %d times, want once, with a fix:\n%s", n, p.lines)
	}
	p.store.redis.SetError("")
	p.tick(t, pushEvery)
	same(t, p.store.Store, p.book)
	if p.Lag() != 0 || !strings.Contains(p.lines.String(), "reaches Redis again") {
		t.Errorf("the lag is %v after Redis came back; told:\n%s", p.Lag(), p.lines)
	}
	if n := p.heals(t, healReconnect); n != 1 {
		t.Errorf("everything was pushed %v times after Redis came back, want once", n)
	}
}

func TestDamagedSpoolKeepsNobodyBack(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	p.book.damaged = errors.New("line 3 is damaged")
	p.book.add("orders", 5)
	p.tick(t, 0)
	same(t, p.store.Store, p.book)
	if !strings.Contains(p.lines.String(), "line 3 is damaged") {
		t.Errorf("nobody was told:\n%s", p.lines)
	}
}

func TestFleetKnowsWhatIsFinal(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	fleet := func(want string) {
		t.Helper()
		all, err := p.store.Fleet(t.Context(), testHour)
		if err != nil {
			t.Fatal(err)
		}
		if got := all[testCount("a", 0, 0).start()]; got != want || len(all) > 1 {
			t.Errorf("the fleet is %v, want a to be %q", all, want)
		}
	}
	p.book.add("orders", 5)
	p.tick(t, pushEvery)
	fleet(FleetOpen)
	p.book.finish()
	p.store.redis.Del(countsKey("orders", testHour))
	p.store.redis.Set(countsKey("orders", testHour), "not a hash") // that alone cannot be pushed
	p.tick(t, pushEvery)
	fleet(FleetOpen)
	p.store.redis.Del(countsKey("orders", testHour))
	p.store.redis.SetError("READONLY You can't write against a read only replica.")
	p.tick(t, pushEvery)
	p.store.redis.SetError("")
	fleet(FleetOpen)
	p.tick(t, pushEvery)
	fleet(FleetFinal)
	same(t, p.store.Store, p.book)
	if len(p.book.Served()) != 0 {
		t.Error("the book was not told that the hour is known to be final")
	}
	p.store.redis.FlushAll()
	p.store.at = testHour.End()
	p.book.add("orders", 1)
	p.tick(t, pushEvery)
	fleet(FleetFinal)
	if err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFlushSaysThatNothingIsLost(t *testing.T) {
	p := newTestPusher(t, miniredis.RunT(t), "a")
	p.book.add("orders", 5)
	p.store.redis.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	if err := p.Flush(t.Context()); err == nil || !strings.Contains(p.lines.String(), "nothing is lost") {
		t.Errorf("flush says %v, and tells:\n%s", err, p.lines)
	}
}

func BenchmarkPush(b *testing.B) {
	m := miniredis.RunT(b)
	benchmarkPush(b, m.Addr())
}

func benchmarkPush(b *testing.B, addr string) {
	b.Helper()
	s := storeAt(b, addr)
	counts := make([]Count, 10_000)
	for i := range counts {
		counts[i] = testCount("a", 1, int64(i))
		counts[i].Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
	}
	for b.Loop() {
		for i := range counts {
			counts[i].Seq++
		}
		pushAll(b, s, counts...)
	}
	b.ReportMetric(float64(b.N)*float64(len(counts))/b.Elapsed().Seconds(), "counts/s")
}
