package metering

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

// sealedDays seals some hours of orders, one of them corrected two days later, with a
// breakdown, and returns the numbers' hours.
func sealedDays(t *testing.T, s *testSeal, sealer *Sealer) {
	t.Helper()
	s.rounds(t.Context(), 2*time.Minute, sealer)
	for h := testHour; h < testHour+60; h += 12 {
		c := testCount("a", 1, 10)
		c.Hour = h
		part := c
		part.Line.Part = "user=bob"
		s.to(h.Begin().Add(time.Minute))
		pushAll(t, s.Store, c, part)
		s.to((h + 12).Begin())
		s.rounds(t.Context(), time.Minute, sealer)
	}
	late := testCount("b", 1, 5)
	pushAll(t, s.Store, late)
	s.rounds(t.Context(), 3*time.Minute, sealer)
}

func TestChainHolds(t *testing.T) {
	s := newTestSeal(t)
	sealedDays(t, s, s.sealer(t, "gw-1", ""))
	c := s.intact(t, "orders")
	if c.Records != 11 || c.First != 1 || c.Last != 11 {
		t.Errorf("the chain is %+v, want 11 records", c)
	}
	if c := s.intact(t, "nobody"); c.Records != 0 {
		t.Errorf("of nobody: %+v", c)
	}
}

// Whatever is done to a record in Redis shows, and where.
func TestChainThatWasChanged(t *testing.T) {
	day := func(n int) string { return dayKey("orders", testHour+Hour(24*n)) }
	read := func(t *testing.T, s *testSeal, key string, number int) Record {
		r, err := DecodeRecord([]byte(s.redis.HGet(key, strconv.Itoa(number))))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, s *testSeal)
		want string // the first broken link begins so
	}{
		"a value was changed": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(1), 3)
			r.Values[ProduceBytes]--
			s.redis.HSet(day(1), "3", string(r.Encode()))
		}, "record 4: "},
		"the last one was changed": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(0), 11)
			r.Values[ProduceBytes]--
			s.redis.HSet(day(0), "11", string(r.Encode()))
		}, "record 11: "},
		"the first one was changed": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(0), 1)
			r.Complete = !r.Complete
			s.redis.HSet(day(0), "1", string(r.Encode()))
		}, "record 2: "},
		"bytes were changed": {func(t *testing.T, s *testSeal) {
			s.redis.HSet(day(1), "3", s.redis.HGet(day(1), "3")+"x")
		}, "record 3: "},
		"one was removed":       {func(t *testing.T, s *testSeal) { s.redis.HDel(day(1), "5") }, "record 5: is missing"},
		"of the breakdown":      {func(t *testing.T, s *testSeal) { s.redis.HDel(day(1)+":parts", "6") }, "record 6: is missing"},
		"the first was removed": {func(t *testing.T, s *testSeal) { s.redis.HDel(day(0), "1") }, "record 1: is missing"},
		"the last was removed":  {func(t *testing.T, s *testSeal) { s.redis.HDel(day(0), "11") }, "record 11: is missing"},
		"a day was removed":     {func(t *testing.T, s *testSeal) { s.redis.Del(day(0)) }, "record 1: is missing"},
		"two were swapped": {func(t *testing.T, s *testSeal) {
			a, b := s.redis.HGet(day(1), "3"), s.redis.HGet(day(1), "5")
			s.redis.HSet(day(1), "3", b, "5", a)
		}, "record 3: "},
		"swapped with their numbers": {func(t *testing.T, s *testSeal) {
			a, b := read(t, s, day(1), 3), read(t, s, day(1), 5)
			a.Number, b.Number = 5, 3
			s.redis.HSet(day(1), "3", string(b.Encode()), "5", string(a.Encode()))
		}, "record 3: "},
		"one was added": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(0), 11)
			r.Number, r.Prev = 12, r.Hash()
			s.redis.HSet(day(0), "12", string(r.Encode()))
		}, "record 12: "},
		"one was written again elsewhere": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(1), 3)
			r.Hour += 24
			s.redis.HSet(day(2), "3", string(r.Encode()))
		}, "record 3: "},
		"one of another instance": {func(t *testing.T, s *testSeal) {
			r := read(t, s, day(1), 3)
			r.Instance = "payments"
			s.redis.HSet(day(1), "3", string(r.Encode()))
		}, "record 3: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSeal(t)
			sealedDays(t, s, s.sealer(t, "gw-1", ""))
			c.do(t, s)
			chain, err := s.records.Verify(t.Context(), "orders")
			if err != nil || chain.Broken == nil || !strings.HasPrefix(chain.Broken.String(), c.want) {
				t.Errorf("found %v, %v; want %s", chain.Broken, err, c.want)
			}
		})
	}
}

// After the retention the first days end by themselves, their corrections and those of
// older days do not; the rest of the chain holds.
func TestChainAfterTheRetention(t *testing.T) {
	s := newTestSeal(t)
	s.records.retention = 35 * 24 * time.Hour
	sealer := s.sealer(t, "gw-1", "")
	s.rounds(t.Context(), 2*time.Minute, sealer)
	for day := range 90 {
		h := testHour + Hour(24*day)
		c := testCount("a", 1, 10)
		c.Hour = h
		late := testCount("b", 1, 5) // of a fortnight ago
		late.Hour = max(testHour, h-14*24)
		s.to(h.Begin().Add(time.Minute))
		pushAll(t, s.Store, c)
		if err := s.mark(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		pushAll(t, s.Store, late)
		s.to(h.End().Add(time.Hour))
		s.redis.FastForward(24 * time.Hour)
		s.rounds(t.Context(), 2*time.Minute, sealer)
		s.intact(t, "orders")
	}
	if c := s.intact(t, "orders"); c.First < 50 || c.Records < 35*2-15 {
		t.Errorf("the chain is %+v", c)
	}
	if s.redis.Exists(dayKey("orders", testHour)) {
		t.Error("the first day is still there")
	}
}

func TestRecordsInOrder(t *testing.T) {
	s := newTestSeal(t)
	s.to(time.Date(2026, 11, 30, 20, 15, 0, 0, time.UTC))
	sealer := s.sealer(t, "gw-1", "")
	s.rounds(t.Context(), 2*time.Minute, sealer)
	first := HourOf(s.at)
	n := 0
	for h := first; h < first+8; h++ { // over the end of the month
		s.to(h.Begin().Add(time.Minute))
		for i := range 30 {
			c := testCount("a", 1, int64(i+1))
			c.Hour, c.Tenant = h, tenancy.TenantID(fmt.Sprintf("t%d", i%3))
			c.Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
			if i%7 == 0 && h%2 == 0 {
				continue
			}
			n++
			part := c
			part.Line.Part = "user"
			pushAll(t, s.Store, c, part)
		}
		s.to(h.End().Add(SealAfter))
		s.rounds(t.Context(), 40*time.Second, sealer)
	}
	all := s.all(t, Query{Parts: true})
	if len(all) != 2*n {
		t.Fatalf("there are %d records, want %d", len(all), 2*n)
	}
	for i := range all[1:] {
		if all[i].compare(all[i+1]) >= 0 {
			t.Fatalf("%s comes before %s", all[i].ID(), all[i+1].ID())
		}
	}
	matches := func(q Query) (want int) {
		for _, r := range all {
			if (q.Tenant == "" || q.Tenant == r.Tenant) && (q.Instance == "" || q.Instance == r.Instance) && r.Hour >= q.From &&
				(q.To == 0 || r.Hour < q.To) && (q.Parts || r.Part == "") && (q.AsOf.IsZero() || !r.Sealed.After(q.AsOf)) &&
				(r.Tenant > q.FromTenant || r.Tenant == q.FromTenant && r.Instance >= q.FromInstance) {
				want++
			}
		}
		return want
	}
	for _, q := range []Query{
		{},
		{Tenant: "t1"},
		{Tenant: "t"},
		{Tenant: "t9"},
		{Instance: "i-2"},
		{Instance: "i-2", Tenant: "t2"},
		{Instance: "i-2", Tenant: "t1"},
		{From: first + 2, To: first + 5},
		{From: first + 5, Tenant: "t0", Parts: true},
		{To: first},
		{AsOf: (first + 3).End()},
		{FromTenant: "t1"},
		{FromTenant: "t1", FromInstance: "i-4", Parts: true},
		{FromTenant: "t1", FromInstance: "i-5"}, // which is another's
		{FromTenant: "t3"},
		{Tenant: "t1", FromTenant: "t1", FromInstance: "i-19"},
		{Tenant: "t2", FromTenant: "t1", FromInstance: "i-4"},
	} {
		if got := s.all(t, q); len(got) != matches(q) {
			t.Errorf("%+v: %d records, want %d", q, len(got), matches(q))
		}
	}
}

func TestOpenHours(t *testing.T) {
	s := newTestSeal(t)
	sealer := s.sealer(t, "gw-1", "")
	s.rounds(t.Context(), 2*time.Minute, sealer)
	open := func(q Query) (all []Record) {
		t.Helper()
		q.To = HourOf(s.at) + 1
		for r, err := range s.records.Open(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	a, b, c := testCount("a", 1, 10), testCount("b", 3, 7), testCount("a", 1, 1)
	c.Instance, c.Tenant = "z", "acme0"
	pushAll(t, s.Store, a, b, c)
	all := open(Query{})
	if len(all) != 2 || all[0].Values[ProduceBytes] != 17 || all[0].Number != 0 || !all[0].Sealed.IsZero() || all[1].Tenant != "acme0" {
		t.Fatalf("%+v", all)
	}
	if all := open(Query{Tenant: "acme0"}); len(all) != 1 || all[0].Instance != "z" {
		t.Errorf("of one tenant: %+v", all)
	}
	if all := open(Query{FromTenant: c.Tenant, FromInstance: c.Instance}); len(all) != 1 || all[0].Instance != "z" {
		t.Errorf("from an instance on: %+v", all)
	}
	if all := open(Query{FromTenant: c.Tenant, FromInstance: "zz"}); len(all) != 0 {
		t.Errorf("behind the last: %+v", all)
	}
	if all := open(Query{Instance: "orders"}); len(all) != 1 || all[0].Values[ProduceBytes] != 17 {
		t.Errorf("of one instance: %+v", all)
	}
	if all := open(Query{AsOf: s.at}); len(all) != 0 {
		t.Errorf("as of now: %+v", all)
	}
	s.to(testHour.End().Add(SealAfter))
	more := testCount("a", 1, 100)
	more.Hour++
	pushAll(t, s.Store, more)
	if all := open(Query{}); len(all) != 3 {
		t.Errorf("before it is sealed: %+v", all)
	}
	s.rounds(t.Context(), time.Minute, sealer)
	if all := open(Query{}); len(all) != 1 || all[0].Values[ProduceBytes] != 100 {
		t.Errorf("after it is sealed: %+v", all)
	}
}
