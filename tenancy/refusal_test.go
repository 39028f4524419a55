package tenancy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func refusal(id InstanceID, reason string, at time.Time) Refusal {
	return Refusal{
		Instance: id, First: at, Last: at.Add(time.Second), Count: 3, Gateway: "gw-1",
		Address: netip.MustParsePrefix("192.0.2.7/32"), Endpoint: "0.0.0.0:9092", Host: "orders.kafka.example.com",
		Mechanism: "PLAIN", User: "alice", Reason: reason,
	}
}

func reasons(page []Refusal) []string {
	out := []string{}
	for _, r := range page {
		out = append(out, r.Reason)
	}
	return out
}

func TestRefusals(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	old := refusal("orders", "old", now.Add(-2*time.Hour))
	m.SetTime(now.Add(-2 * time.Hour)) // of Redis, which ids count by
	if err := s.AddRefusals(t.Context(), []Refusal{old}, now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	m.SetTime(now)
	var add []Refusal
	for i := range 5 {
		add = append(add, refusal("orders", fmt.Sprint(i), now))
	}
	several := Refusal{First: now, Last: now, Count: 1, Reason: "of nobody"}
	if err := s.AddRefusals(t.Context(), append(add, refusal("other", "foreign", now), several), now); err != nil {
		t.Fatal(err)
	}

	page, next, err := s.Refusals(t.Context(), "orders", time.Time{}, "", 2)
	if diff := cmp.Diff([]string{"4", "3"}, reasons(page)); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if diff := cmp.Diff(add[4], page[0], cmpopts.IgnoreFields(Refusal{}, "ID"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	var rest []Refusal
	for next != "" {
		if page, next, err = s.Refusals(t.Context(), "orders", time.Time{}, next, 2); err != nil {
			t.Fatal(err)
		}
		rest = append(rest, page...)
	}
	if diff := cmp.Diff([]string{"2", "1", "0", "old"}, reasons(rest)); diff != "" {
		t.Error(diff)
	}
	if page, _, _ = s.Refusals(t.Context(), "orders", now.Add(-time.Hour), "", 0); len(page) != 5 {
		t.Errorf("of the last hour: %v", reasons(page))
	}
	if page, _, _ = s.Refusals(t.Context(), "", time.Time{}, "", 0); len(page) != 1 || page[0].Reason != "of nobody" || page[0].Address.IsValid() {
		t.Errorf("of no instance: %v", page)
	}
	for _, after := range []string{"x", "1-", "(1-1", "+", "1-1 ", "99999999999999999999999-1"} {
		_, _, err = s.Refusals(t.Context(), "orders", time.Time{}, after, 0)
		wantErr(t, after, err, ErrCursor)
	}
}

// What is older than a day goes with the next write, what is beyond the length
// with any, and all of it when nothing is written any more.
func TestRefusalsAreForgotten(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	write := func(at time.Time, n int) {
		t.Helper()
		m.SetTime(at)
		for range n {
			if err := s.AddRefusals(t.Context(), []Refusal{refusal("orders", "r", at)}, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	length := func() int64 { return rdb.XLen(t.Context(), "weir:{orders}:refused").Val() }
	write(now.Add(-25*time.Hour), 10)
	write(now, 1)
	if length() != 1 {
		t.Errorf("%d entries, want the newest", length())
	}
	write(now, refusalsLen+100)
	if n := length(); n > refusalsLen+100 {
		t.Errorf("%d entries", n)
	}
	if ttl := rdb.TTL(t.Context(), "weir:{orders}:refused").Val(); ttl != refusalsTTL {
		t.Errorf("it is kept for %s", ttl)
	}
	if err := s.AddRefusals(t.Context(), make([]Refusal, MaxRefusals+1), now); err == nil {
		t.Error("too many were taken")
	}
}

func TestRefusalsEndWithTheInstance(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	if err := s.AddRefusals(t.Context(), []Refusal{refusal("orders", "r", time.Now())}, time.Now()); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, s, "orders", setState(StateDeleted))
	if page, _, err := s.Refusals(t.Context(), "orders", time.Time{}, "", 0); len(page) != 0 || err != nil {
		t.Error(page, err)
	}
}
