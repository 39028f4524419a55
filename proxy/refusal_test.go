package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// heldRefusals keeps refusals in memory.
type heldRefusals struct {
	got []tenancy.Refusal
	err error
}

func (h *heldRefusals) AddRefusals(_ context.Context, refusals []tenancy.Refusal, _ time.Time) error {
	if len(refusals) > tenancy.MaxRefusals {
		return fmt.Errorf("%d at once", len(refusals))
	}
	if h.err == nil {
		h.got = append(h.got, refusals...)
	}
	return h.err
}

func (h *heldRefusals) lines() []string {
	lines := []string{}
	for _, r := range h.got {
		addr := "-"
		if r.Address.IsValid() {
			addr = r.Address.String()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d", r.Instance, addr, r.Reason, r.Count))
	}
	h.got = nil
	return lines
}

// total adds up the counters of one name.
func total(t *testing.T, reg *prometheus.Registry, name string) int64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int64(sum)
}

func oneRefusal(id tenancy.InstanceID, addr, reason string, at time.Time) tenancy.Refusal {
	return tenancy.Refusal{Instance: id, Address: subscriber(netip.MustParseAddr(addr)), Reason: reason, First: at, Last: at, Count: 1}
}

func TestRefusalsGather(t *testing.T) {
	held := &heldRefusals{}
	q := newRefusals(held, "gw", newMetrics(nil))
	start := time.Unix(1_700_000_000, 0)
	for i, r := range []struct{ id, addr, reason string }{
		{"a", "192.0.2.1", "x"},
		{"a", "192.0.2.1", "x"},
		{"a", "192.0.2.1", "y"},
		{"b", "192.0.2.1", "x"},
		{"a", "2001:db8::1", "x"},
		{"a", "2001:db8::ffff", "x"}, // the same subscriber
		{"a", "2001:db8:0:1::1", "x"},
	} {
		q.note(oneRefusal(tenancy.InstanceID(r.id), r.addr, r.reason, start.Add(time.Duration(i)*time.Millisecond)))
	}
	q.flush(t.Context(), start.Add(time.Second), false)
	if r := held.got[0]; r.Gateway != "gw" || !r.First.Equal(start) || !r.Last.Equal(start.Add(time.Millisecond)) {
		t.Errorf("%+v", r)
	}
	want := []string{
		"a 192.0.2.1/32 x 2", "a 192.0.2.1/32 y 1", "b 192.0.2.1/32 x 1", "a 2001:db8::/64 x 2", "a 2001:db8:0:1::/64 x 1",
	}
	if diff := cmp.Diff(want, held.lines()); diff != "" {
		t.Error(diff)
	}
	q.flush(t.Context(), start.Add(time.Minute), false)
	if len(held.got) != 0 || len(q.groups) != 0 || len(q.share) != 0 {
		t.Errorf("what came to rest is still held: %d %d %d", len(held.got), len(q.groups), len(q.share))
	}
}

// A client that goes on trying makes an entry after 1, 2, 4 ... 60 s, and none of its
// tries is lost.
func TestRefusalsThatGoOn(t *testing.T) {
	held := &heldRefusals{}
	q := newRefusals(held, "gw", newMetrics(nil))
	start := time.Unix(1_700_000_000, 0)
	var at []int
	var sum int64
	const seconds = 3600
	for s := 1; s <= seconds; s++ {
		now := start.Add(time.Duration(s) * time.Second)
		q.note(oneRefusal("a", "192.0.2.1", "x", now))
		q.flush(t.Context(), now, s == seconds)
		for _, r := range held.got {
			at, sum = append(at, s), sum+r.Count
		}
		held.got = nil
	}
	if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 124, 184}, at[:9]); diff != "" || len(at) > 70 || sum != seconds {
		t.Errorf("%d entries, %d tries; %s", len(at), sum, diff)
	}
}

// Who makes many of them in one instance's name takes no room from others.
func TestRefusalsAreBounded(t *testing.T) {
	held := &heldRefusals{}
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	q := newRefusals(held, "gw", m)
	now := time.Unix(1_700_000_000, 0)
	addr := func(i int) string { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String() }
	for i := range 10_000 {
		q.note(oneRefusal("attacked", addr(i), "x", now))
	}
	q.note(oneRefusal("other", "192.0.2.1", "y", now))
	q.flush(t.Context(), now, false)
	lines := held.lines()
	if len(lines) != refusalShare+2 {
		t.Fatalf("%d groups: %v", len(lines), lines)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l] = true
	}
	if !seen["other 192.0.2.1/32 y 1"] || !seen[fmt.Sprintf("attacked - other %d", 10_000-refusalShare)] {
		t.Errorf("%v", lines)
	}

	// The same in the name of every instance that there is.
	q = newRefusals(held, "gw", m)
	const instances = 1000
	for i := range instances {
		for j := range 100 {
			q.note(oneRefusal(tenancy.InstanceID(fmt.Sprint("i-", i)), addr(j), "x", now))
		}
	}
	q.flush(t.Context(), now, false)
	var kept int64
	for _, r := range held.got {
		kept += r.Count
	}
	if n := len(held.got); n < refusalGroups || n > tenancy.MaxRefusals {
		t.Errorf("%d groups", n)
	}
	if dropped := total(t, reg, "weir_refusals_dropped_total"); kept+dropped != instances*100 || dropped == 0 {
		t.Errorf("%d kept and %d dropped, of %d", kept, dropped, instances*100)
	}
	if got := total(t, reg, "weir_refusals_total"); got != 10_001+instances*100 {
		t.Errorf("%v counted", got)
	}
}

// With Redis away nothing piles up: what it does not take is counted and gone.
func TestRefusalsWithoutRedis(t *testing.T) {
	held := &heldRefusals{err: errors.New("away")}
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	q := newRefusals(held, "gw", m)
	now := time.Unix(1_700_000_000, 0)
	for range 3 {
		q.note(oneRefusal("a", "192.0.2.1", "x", now))
	}
	q.flush(t.Context(), now, false)
	if got := total(t, reg, "weir_refusals_dropped_total"); got != 3 {
		t.Errorf("%v dropped", got)
	}
	held.err = nil
	q.note(oneRefusal("a", "192.0.2.1", "x", now))
	q.flush(t.Context(), now.Add(time.Minute), false)
	if diff := cmp.Diff([]string{"a 192.0.2.1/32 x 1"}, held.lines()); diff != "" {
		t.Error(diff)
	}
}
