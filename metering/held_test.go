package metering

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// testHolder is one gateway that samples the pool eu1, where orders holds 3 partitions
// and 1000 bytes.
type testHolder struct {
	*Holding
	partitionSeconds, byteSeconds int64
	lines                         *strings.Builder
	fail                          bool // claims are made, but their answers are lost
	store                         *Store
}

func newTestHolder(t *testing.T, m *miniredis.Miniredis, owner string) *testHolder {
	t.Helper()
	h := &testHolder{store: newStoreOn(t, m).Store, lines: &strings.Builder{}}
	h.Holding = NewHolding(HoldingConfig{
		Minutes: h, Owner: owner, Log: slog.New(slog.NewTextHandler(h.lines, nil)),
		Count: func(of Of, partitionSeconds, byteSeconds int64) {
			if of.Instance != "orders" {
				t.Errorf("it was counted for %+v", of)
			}
			h.partitionSeconds += partitionSeconds
			h.byteSeconds += byteSeconds
		},
	})
	return h
}

func (h *testHolder) ClaimMinute(ctx context.Context, owner, pool string, minute int64) (int64, bool, error) {
	last, ok, err := h.store.ClaimMinute(ctx, owner, pool, minute)
	if h.fail {
		return 0, false, errors.New("i/o timeout")
	}
	return last, ok, err
}

func (h *testHolder) sample(t *testing.T, minute int) {
	t.Helper()
	at := testHour.Begin().Add(time.Duration(minute)*time.Minute + 17*time.Second)
	h.Sampled("eu1", at, []Held{{Of: Of{Instance: "orders"}, Partitions: 3, Bytes: 1000}})
	h.countAll(t.Context())
}

func TestEachMinuteIsCountedOnce(t *testing.T) {
	m := miniredis.RunT(t)
	a, b := newTestHolder(t, m, "a/1"), newTestHolder(t, m, "b/1")
	for minute := range 10 {
		a.sample(t, minute)
		b.sample(t, minute)
		b.sample(t, minute)
		a.sample(t, minute)
	}
	if got := a.partitionSeconds + b.partitionSeconds; got != 10*60*3 {
		t.Errorf("%d partition-seconds in 10 minutes of 3 partitions, want 1800", got)
	}
	if got := a.byteSeconds + b.byteSeconds; got != 10*60*1000 {
		t.Errorf("%d byte-seconds in 10 minutes of 1000 bytes, want 600000", got)
	}
}

func TestMinutesThatNobodySampled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		at     []int // minutes with a sample
		counts int64 // minutes
		told   bool
	}{
		{"the first", []int{7}, 1, false},
		{"each", []int{7, 8, 9}, 3, false},
		{"a gap is carried", []int{7, 12}, 6, false},
		{"a longer one is not, and told", []int{7, 13}, 2, true},
		{"the clock goes back", []int{7, 8, 5, 6, 9}, 3, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestHolder(t, miniredis.RunT(t), "a/1")
			for _, minute := range tt.at {
				a.sample(t, minute)
			}
			if a.partitionSeconds != tt.counts*180 || strings.Contains(a.lines.String(), "nobody knew") != tt.told {
				t.Errorf("%d partition-seconds, want those of %d minutes; told:\n%s", a.partitionSeconds, tt.counts, a.lines)
			}
		})
	}
}

func TestMinuteWhoseClaimWasNotAnswered(t *testing.T) {
	m := miniredis.RunT(t)
	a, b := newTestHolder(t, m, "a/1"), newTestHolder(t, m, "b/1")
	a.sample(t, 1)
	a.fail = true
	a.sample(t, 2)
	b.sample(t, 2)
	a.sample(t, 3) // not asked for yet: minute 2 comes first
	a.fail = false
	a.countAll(t.Context())
	if got := a.partitionSeconds + b.partitionSeconds; got != 3*180 {
		t.Errorf("%d partition-seconds in 3 minutes, want 540", got)
	}
}

func TestHoldingRuns(t *testing.T) {
	counted := make(chan int64, 1)
	h := NewHolding(HoldingConfig{
		Minutes: newTestStore(t), Owner: "a/1",
		Count: func(_ Of, partitionSeconds, _ int64) { counted <- partitionSeconds },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	h.Sampled("eu1", testHour.Begin(), []Held{{Partitions: 2}})
	if got := <-counted; got != 120 {
		t.Errorf("%d partition-seconds, want 120", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
