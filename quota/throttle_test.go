package quota

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const throttledInstance tenancy.InstanceID = "orders"

// throttleGateway is a limiter of an instance with a limit, on a Redis or, nil, alone.
func throttleGateway(t *testing.T, m *miniredis.Miniredis, reg prometheus.Registerer) *Limiter {
	t.Helper()
	cfg := Config{
		Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			return &tenancy.View{Instance: tenancy.Instance{ID: id}}, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1024}}, true
		},
		Log: slog.New(slog.DiscardHandler), Registry: reg,
	}
	if m != nil {
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1, DialerRetries: 1})
		t.Cleanup(func() { rdb.Close() })
		cfg.Throttles = NewThrottleStore(rdb, "gw")
	}
	return New(cfg)
}

// throttleStart is the beginning of an hour, and of a minute.
func throttleStart() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func keyFor(user, client string) throttleKey {
	return throttleKey{limit: tenancy.LimitProduceBytes, kind: Throttled, user: user, client: client}
}

// tell notes that somebody was told to wait from a moment on.
func (l *Limiter) tell(key throttleKey, at time.Time, wait time.Duration) {
	l.throttles.note(throttledInstance, key, throttleEvent{at: at, from: at, to: at.Add(wait)}, nil)
}

func TestThrottlesSayWhoAndWhy(t *testing.T) {
	l := throttleGateway(t, nil, nil)
	s := l.Scope(throttledInstance, "etl", "spark-7")
	defer s.Close()
	if all, err := l.Throttles(t.Context(), throttledInstance, time.Now().Add(-time.Hour)); err != nil || len(all) != 0 || len(l.throttles.logs) != 0 {
		t.Fatalf("before anything: %v %v", all, err)
	}
	s.Spend(Requests, 1_000_000) // not bounded
	first := s.Spend(ProduceBytes, 1<<20)
	s.Told(first, first.Throttle)
	s.Told(s.Spend(ProduceBytes, 1).Max(s.Spend(Requests, 1)), first.Throttle)
	s.Told(Decision{}, time.Second) // nothing demanded it
	s.Spend(ProduceBytes, 1)        // nobody was told
	l.Refused(throttledInstance, tenancy.LimitTopics, "etl", "")
	all, err := l.Throttles(t.Context(), throttledInstance, time.Now().Add(-time.Hour))
	if err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	got := all[0]
	if got.Told < first.Throttle || got.Told >= 2*first.Throttle || got.Since.IsZero() || got.Last.Before(got.First) {
		t.Errorf("told %s, each %s; since %s, first %s, last %s", got.Told, first.Throttle, got.Since, got.First, got.Last)
	}
	want := Throttle{
		Limit: tenancy.LimitProduceBytes, Kind: Throttled, User: "etl", Client: "spark-7", Count: 2,
		Told: got.Told, First: got.First, Last: got.Last, Since: got.Since,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r := all[1]; r.Limit != tenancy.LimitTopics || r.Kind != Refused || r.User != "etl" || r.Count != 1 || r.Waited() != 0 {
		t.Errorf("%+v", r)
	}
}

func TestConnectionsWaitOnceAtATime(t *testing.T) {
	at := throttleStart()
	w := &waits{}
	for _, c := range []struct {
		from, to, want time.Duration
	}{
		{0, 5 * time.Second, 5 * time.Second},
		{time.Second, 3 * time.Second, 0},
		{time.Second, 6 * time.Second, time.Second},
		{8 * time.Second, 9 * time.Second, time.Second},
		{8 * time.Second, 8 * time.Second, 0},
	} {
		if got := w.beyond(throttleEvent{from: at.Add(c.from), to: at.Add(c.to)}); got != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if got := (*waits)(nil).beyond(throttleEvent{from: at, to: at.Add(time.Second)}); got != time.Second {
		t.Errorf("of no connection: %s", got)
	}
}

func TestThrottlesThatGoOn(t *testing.T) {
	start := throttleStart()
	for _, c := range []struct {
		name  string
		at    []time.Duration
		now   time.Duration
		since time.Duration // below 0: it has ended
	}{
		{"just now", []time.Duration{0}, 2 * time.Second, 0},
		{"ended", []time.Duration{0}, 12 * time.Second, -1},
		{"over minutes", []time.Duration{0, 9 * time.Second, 18 * time.Second, 27 * time.Second, 36 * time.Second, 45 * time.Second, 54 * time.Second, 63 * time.Second, 72 * time.Second}, 80 * time.Second, 0},
		{"after a pause", []time.Duration{0, 20 * time.Second, 25 * time.Second}, 30 * time.Second, 20 * time.Second},
		{"after a pause over minutes", []time.Duration{0, 59 * time.Second, 65 * time.Second}, 66 * time.Second, 59 * time.Second},
		{"after an hour", []time.Duration{0, time.Hour}, time.Hour, time.Hour},
	} {
		l := throttleGateway(t, nil, nil)
		for _, at := range c.at {
			l.tell(keyFor("etl", ""), start.Add(at), time.Second)
		}
		all, err := l.throttlesAt(t.Context(), throttledInstance, start, start.Add(c.now))
		if err != nil || len(all) != 1 || all[0].Count != int64(len(c.at)) {
			t.Fatalf("%s: %+v %v", c.name, all, err)
		}
		want := time.Time{}
		if c.since >= 0 {
			want = start.Add(c.since)
		}
		if !all[0].Since.Equal(want) {
			t.Errorf("%s: since %s, want %s", c.name, all[0].Since, want)
		}
	}
}

func TestThrottlesAreBounded(t *testing.T) {
	l := throttleGateway(t, nil, nil)
	b, now := l.throttles, throttleStart()
	for minute := range 3 * 60 {
		at := now.Add(time.Duration(minute) * time.Minute)
		for n := range 200 {
			l.tell(keyFor("etl", fmt.Sprint("client-", minute, "-", n)), at, time.Second)
			l.throttles.note(throttledInstance, throttleKey{limit: tenancy.LimitTopics, kind: Refused, client: fmt.Sprint(n)}, throttleEvent{at: at, from: at, to: at}, nil)
		}
		b.forget(at)
	}
	now = now.Add(3*time.Hour - time.Minute)
	log := b.logs[throttledInstance]
	rows := 0
	for _, tables := range []map[int64]*throttleTable{log.minutes, log.hours} {
		for _, table := range tables {
			rows += len(table.rows)
			if len(table.rows) != maxThrottleRows+2 { // two limits
				t.Errorf("a table has %d rows", len(table.rows))
			}
		}
	}
	if rows != b.rows || len(log.minutes) > 62 || len(log.hours) != 3 {
		t.Errorf("%d rows, counted %d; %d minutes, %d hours", rows, b.rows, len(log.minutes), len(log.hours))
	}
	all, err := l.throttlesAt(t.Context(), throttledInstance, now.Add(-time.Hour), now)
	if err != nil {
		t.Fatal(err)
	}
	count, other := int64(0), int64(0)
	for _, a := range all {
		count += a.Count
		if a.Other && a.User == "" && a.Client == "" {
			other += a.Count
		}
	}
	if count != 61*400 || other != 61*(400-maxThrottleRows) {
		t.Errorf("%d counted, %d of others", count, other)
	}
	b.forget(now.Add(26 * time.Hour))
	if len(b.logs) != 0 || len(b.dirty) != 0 || b.rows != 0 {
		t.Errorf("a day later: %d logs, %d dirty, %d rows", len(b.logs), len(b.dirty), b.rows)
	}
}

// The rows of all instances together are bounded too.
func TestThrottleBookIsBounded(t *testing.T) {
	l := throttleGateway(t, nil, nil)
	at := throttleStart()
	l.throttles.rows = maxBookRows
	for n := range 100 {
		l.tell(keyFor("etl", fmt.Sprint(n)), at, time.Second)
	}
	if got := len(l.throttles.logs[throttledInstance].minutes[at.Unix()].rows); got != 1 {
		t.Errorf("%d rows", got)
	}
}

// The book of an instance that is not throttled any more is given back by the clock alone.
func TestThrottlesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := throttleGateway(t, nil, nil)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = l.RunThrottles(ctx) }()
		l.tell(keyFor("etl", ""), time.Now(), time.Second)
		<-time.After(time.Hour)
		if all, err := l.Throttles(ctx, throttledInstance, time.Now().Add(-time.Hour)); err != nil || len(all) != 1 {
			t.Errorf("an hour later: %+v %v", all, err)
		}
		<-time.After(26 * time.Hour)
		synctest.Wait()
		l.throttles.mu.Lock()
		defer l.throttles.mu.Unlock()
		if len(l.throttles.logs) != 0 || l.throttles.rows != 0 {
			t.Errorf("a day later: %d logs", len(l.throttles.logs))
		}
	})
}

func TestThrottleMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	l := throttleGateway(t, nil, reg)
	if got := gathered(t, reg); len(got) != 6+6+12 || got["weir_quota_refused_total groups"] != 0 {
		t.Errorf("from the start: %v", got)
	}
	l.tell(keyFor("etl", ""), throttleStart(), 1500*time.Millisecond)
	l.tell(keyFor("etl", ""), throttleStart(), 500*time.Millisecond)
	l.Refused(throttledInstance, tenancy.LimitGroups, "", "")
	l.Refused(throttledInstance, "nonsense", "", "")
	got := gathered(t, reg)
	for name, want := range map[string]float64{
		"weir_throttles_total produce_bytes_per_second": 2, "weir_throttled_seconds_total produce_bytes_per_second": 2,
		"weir_quota_refused_total groups": 1, "weir_quota_refused_total topics": 0, "weir_throttles_total requests_per_second": 0,
	} {
		if is, ok := got[name]; is != want || !ok {
			t.Errorf("%s is %v, want %v", name, is, want)
		}
	}
}

// gathered are the counters by name and limit.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "limit" {
					all[f.GetName()+" "+label.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	return all
}

func TestKeptNames(t *testing.T) {
	long := strings.Repeat("é", 200)
	for in, want := range map[string]string{
		"": "", "etl": "etl", "spark 7": "spark 7", "a\nb\x1b[31m": "a?b?[31m", "\xff\xfe": "?", long: long[:254], "ü": "ü",
	} {
		if got := keptName(in); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
}

// BenchmarkThrottled is what the slow path costs, of a connection that is throttled anew.
func BenchmarkThrottled(b *testing.B) {
	l := New(Config{Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) { return nil, nil, false }})
	key, at := keyFor("etl", "spark-7"), throttleStart()
	b.ReportAllocs()
	for b.Loop() {
		l.throttles.note(throttledInstance, key, throttleEvent{at: at, from: at, to: at.Add(time.Second)}, &waits{})
	}
}
