package metering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"weir/tenancy"
)

var testHour = HourOf(time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC))

type testStore struct {
	*Store
	redis *miniredis.Miniredis
	at    time.Time // is the Store's now
}

func newTestStore(t *testing.T) *testStore {
	t.Helper()
	return newStoreOn(t, miniredis.RunT(t))
}

func newStoreOn(t *testing.T, m *miniredis.Miniredis) *testStore {
	t.Helper()
	s := &testStore{redis: m, at: testHour.Begin().Add(20 * time.Minute)}
	s.Store = storeAt(t, m.Addr())
	s.now = func() time.Time { return s.at }
	return s
}

func storeAt(t testing.TB, addr string) *Store {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialTimeout: time.Second, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	t.Cleanup(func() { rdb.Close() })
	return NewStore(StoreConfig{Redis: rdb})
}

// testCount is of the instance orders, on one plan, by gateway g's first counter.
func testCount(gateway string, seq, bytes int64) Count {
	c := Count{
		Line:   Line{Hour: testHour, Instance: "orders", Tenant: "acme", Plan: "standard", Pool: "eu1"},
		Source: Source{Gateway: gateway, Epoch: 1_700_000_000_000_000, Part: 1}, Seq: seq,
	}
	c.Values[ProduceBytes], c.Values[TransactionalRecords] = bytes, bytes/10
	return c
}

func pushAll(t testing.TB, s *Store, counts ...Count) (lost bool) {
	t.Helper()
	done, lost, err := s.Push(context.Background(), counts)
	if err != nil || len(done) != len(counts) {
		t.Fatalf("pushed %d of %d: %v", len(done), len(counts), err)
	}
	return lost
}

func countsOf(t testing.TB, s *Store, id tenancy.InstanceID, h Hour) []Count {
	t.Helper()
	all, damaged, err := s.Counts(context.Background(), id, h)
	if err != nil || damaged != nil {
		t.Fatal(damaged, err)
	}
	slices.SortFunc(all, func(a, b Count) int { return cmpText(a.field(), b.field()) })
	return all
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func drawCount(t *rapid.T) Count {
	c := Count{
		Line: Line{
			Hour:     testHour + Hour(rapid.IntRange(-2, 0).Draw(t, "hour")),
			Instance: rapid.SampledFrom([]tenancy.InstanceID{"orders", "bills"}).Draw(t, "instance"),
			Tenant:   "acme", Plan: rapid.SampledFrom([]string{"standard", "big"}).Draw(t, "plan"), Pool: "eu1",
			Part: rapid.SampledFrom([]string{"", "user", "user=a b/c", "topic=t.1"}).Draw(t, "part"),
		},
		Source: Source{
			Gateway: rapid.SampledFrom([]string{"gw-1", "gw.2"}).Draw(t, "gateway"),
			Epoch:   rapid.Int64Range(1, 2).Draw(t, "epoch"), Part: rapid.Int64Range(1, 2).Draw(t, "counter"),
		},
		Seq: rapid.Int64Range(1, 5).Draw(t, "seq"), Final: rapid.Bool().Draw(t, "final"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "meters") {
		c.Values[rapid.IntRange(0, Meters-1).Draw(t, "meter")] = rapid.Int64Range(0, 1<<62).Draw(t, "value")
	}
	return c
}

func TestCountCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCount(t)
		c.Seq = rapid.Int64Range(1, maxSeq).Draw(t, "sequence")
		got, err := parseCount(c.Instance, c.Hour, c.field(), c.value())
		if err != nil || got != c {
			t.Fatalf("%q %q reads as %+v, %v; want %+v", c.field(), c.value(), got, err, c)
		}
	})
}

func TestCountsThatAreNone(t *testing.T) {
	const field, value = "gw/1/1 standard", "1 0 acme eu1 5"
	for _, bad := range []struct{ field, value string }{
		{"", value},
		{"gw/1/1", value},
		{"gw/1 standard", value},
		{"/1/1 standard", value},
		{"gw/x/1 standard", value},
		{"gw/1/-1 standard", value},
		{"gw/1/01 standard", value},
		{"gw/1/1/1 standard", value},
		{field, ""},
		{field, "1 2 acme eu1 5"},
		{field, "1 0 acme 5"},
		{field, "1 0 acme eu1 "},
		{field, "1 0 acme eu1 -5"},
		{field, "1 0 acme eu1 5,"},
		{field, "1 0 acme eu1 9223372036854775808"},
		{field, "+1 0 acme eu1 5"},
		{field, value + " 6"},
		{field, "1 0 acme eu1 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"},
	} {
		if c, err := parseCount("orders", testHour, bad.field, bad.value); err == nil {
			t.Errorf("%q %q reads as %+v, want an error", bad.field, bad.value, c)
		}
	}
	if _, err := parseCount("orders", testHour, field, value); err != nil {
		t.Error(err)
	}
}

// The script against the rule: of one source the newest stands. Redis forgets at times, or
// goes back to what it had; that shows as soon as something of it is pushed.
func TestPushAgainstItsRule(t *testing.T) {
	s := newTestStore(t)
	rapid.Check(t, func(t *rapid.T) {
		s.redis.FlushAll()
		s.Forget()
		type place struct {
			id    tenancy.InstanceID
			hour  Hour
			field string
		}
		model, told := map[place]Count{}, map[place]int64{}
		for range rapid.IntRange(1, 20).Draw(t, "pushes") {
			if rapid.IntRange(0, 4).Draw(t, "rollback") == 0 { // one field goes back, or away
				for at, c := range model {
					if c.Seq > 1 {
						c.Seq--
						s.redis.HSet(countsKey(at.id, at.hour), at.field, c.value())
						model[at] = c
					} else {
						s.redis.HDel(countsKey(at.id, at.hour), at.field)
						delete(model, at)
					}
					break
				}
			}
			counts := rapid.SliceOfN(rapid.Custom(drawCount), 1, 5).Draw(t, "counts")
			wantLost := false
			for _, c := range counts {
				at := place{c.Instance, c.Hour, c.field()}
				had := model[at].Seq
				wantLost = wantLost || had < told[at]
				if had <= c.Seq { // of the same sequence it is the same, or what is there is damaged
					model[at] = c
				}
				told[at] = max(had, c.Seq)
			}
			done, lost, err := s.Push(context.Background(), counts)
			if err != nil || len(done) != len(counts) || lost != wantLost {
				t.Fatalf("push says %d done, lost %v, %v; want %d, %v", len(done), lost, err, len(counts), wantLost)
			}
		}
		for at, want := range model {
			if got, err := parseCount(at.id, at.hour, at.field, s.redis.HGet(countsKey(at.id, at.hour), at.field)); err != nil || got != want {
				t.Fatalf("redis has %+v, %v; want %+v", got, err, want)
			}
		}
	})
}

func TestCountsAndInstances(t *testing.T) {
	s := newTestStore(t)
	one, two := testCount("a", 1, 10), testCount("b", 1, 20)
	other := testCount("a", 1, 5)
	other.Instance = "bills"
	pushAll(t, s.Store, one, two, other)
	if diff := cmp.Diff([]Count{one, two}, countsOf(t, s.Store, "orders", testHour)); diff != "" {
		t.Error(diff)
	}
	if got := countsOf(t, s.Store, "orders", testHour+1); len(got) != 0 {
		t.Errorf("the next hour has %v, want nothing", got)
	}
	var ids []string
	for id, err := range s.Instances(t.Context(), testHour) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(id))
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"bills", "orders"}) {
		t.Errorf("instances are %v", ids)
	}
	for _, key := range s.redis.Keys() {
		if ttl := s.redis.TTL(key); ttl < 8*24*time.Hour {
			t.Errorf("%s ends in %v, want 8 days", key, ttl)
		}
	}
	s.redis.HSet(countsKey("orders", testHour), "junk", "x")
	counts, damaged, err := s.Counts(t.Context(), "orders", testHour)
	if err != nil || len(counts) != 2 || len(damaged) != 1 {
		t.Errorf("%v, %v, %v: want the damaged field told, and the others", counts, damaged, err)
	}
	for _, more := range []string{strings.Repeat(",1", Meters), " z1"} {
		ahead := one
		ahead.Seq = 9
		newer := ahead.value() + more
		s.redis.HSet(countsKey("orders", testHour), one.field(), newer)
		if _, _, err := s.Counts(t.Context(), "orders", testHour); !errors.Is(err, errNewer) {
			t.Errorf("%v, want what a newer gateway counted to be no damage", err)
		}
		older := one
		older.Seq, older.Values[Requests] = 1, 77
		pushAll(t, s.Store, older)
		if got := s.redis.HGet(countsKey("orders", testHour), one.field()); got != newer {
			t.Errorf("%q has become %q", newer, got)
		}
	}
}

func TestManyInstances(t *testing.T) {
	s := newTestStore(t)
	var all []Count
	for i := range 3*scanned + 7 {
		c := testCount("a", 1, 1)
		c.Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
		all = append(all, c)
	}
	if pushAll(t, s.Store, all...) {
		t.Error("the first push says that Redis has lost data")
	}
	n := 0
	for _, err := range s.Instances(t.Context(), testHour) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d instances, want %d", n, len(all))
	}
	s.redis.Del(instancesKey(testHour))
	all[0].Seq++
	if !pushAll(t, s.Store, all[0]) {
		t.Error("the set of instances was lost, and it was not noticed")
	}
}

func TestPushAfterTheHourWasSealedIsMarked(t *testing.T) {
	s := newTestStore(t)
	marks := func() (all []Late) {
		for l, err := range s.Late(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
		return all
	}
	pushAll(t, s.Store, testCount("a", 1, 10))
	s.at = testHour.End().Add(SealAfter - lateMargin - time.Second)
	pushAll(t, s.Store, testCount("a", 2, 20))
	if got := marks(); len(got) != 0 {
		t.Errorf("what came in time is marked: %v", got)
	}
	s.at = s.at.Add(time.Second)
	pushAll(t, s.Store, testCount("a", 2, 20))
	if got := marks(); len(got) != 0 {
		t.Errorf("what changed nothing is marked: %v", got)
	}
	pushAll(t, s.Store, testCount("a", 3, 30))
	first := marks()
	if len(first) != 1 || first[0].Hour != testHour || first[0].Instance != "orders" {
		t.Fatalf("marks are %v, want the hour of orders", first)
	}
	pushAll(t, s.Store, testCount("a", 4, 40))
	if err := s.LateDone(t.Context(), first...); err != nil {
		t.Fatal(err)
	}
	second := marks()
	if len(second) != 1 {
		t.Fatal("a mark that was made anew went with the old one")
	}
	if err := s.LateDone(t.Context(), second...); err != nil {
		t.Fatal(err)
	}
	if got := marks(); len(got) != 0 {
		t.Errorf("marks that were dealt with are there: %v", got)
	}
}

// Marks that Redis lost before anybody dealt with them are made anew, but not for ever.
func TestLostMarksAreMadeAnew(t *testing.T) {
	s := newTestStore(t)
	marked := func() bool {
		t.Helper()
		if err := s.mark(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		return s.redis.Exists(keyLate)
	}
	s.at = testHour.End().Add(SealAfter)
	s.redis.SetError("LOADING")
	if _, _, err := s.Push(t.Context(), []Count{testCount("a", 1, 10)}); err == nil {
		t.Fatal("a push that failed has no error")
	}
	s.redis.SetError("")
	pushAll(t, s.Store, testCount("a", 1, 10))
	if !marked() {
		t.Fatal("late usage is not marked")
	}
	s.redis.Del(keyLate)
	if s.remark(false); marked() {
		t.Error("marks were made anew though Redis has lost nothing")
	}
	if s.remark(true); !marked() {
		t.Error("lost marks were not made anew")
	}
	s.redis.Del(keyLate)
	s.at = s.at.Add(40 * time.Minute)
	s.remark(true)
	marked()
	s.redis.Del(keyLate)
	s.at = s.at.Add(40 * time.Minute)
	if s.remark(true); marked() {
		t.Error("marks of long ago were made anew")
	}
}

func TestClaimMinute(t *testing.T) {
	a := newTestStore(t)
	b := newStoreOn(t, a.redis)
	claim := func(s *testStore, gateway string, minute, wantLast int64, wantOK bool) {
		t.Helper()
		if last, ok, err := s.ClaimMinute(t.Context(), gateway, "eu1", minute); err != nil || last != wantLast || ok != wantOK {
			t.Errorf("%s claims %d: %d, %v, %v; want %d, %v", gateway, minute, last, ok, err, wantLast, wantOK)
		}
	}
	claim(a, "a", 100, 0, true)
	claim(a, "a", 100, 0, true) // its answer was lost
	claim(b, "b", 100, 100, false)
	claim(b, "b", 99, 100, false)
	claim(b, "b", 103, 100, true)
	claim(a, "a", 103, 103, false)
	a.redis.FlushAll()
	claim(a, "a", 103, 103, false) // it has seen that
	claim(a, "a", 104, 103, true)
	claim(b, "b", 104, 104, false)
}
