package quota

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// fleet is gateways that share a Lender, in virtual time.
type fleet struct {
	*Memory
	t        *testing.T
	limiters []*Limiter

	mu    sync.Mutex
	away  bool
	view  tenancy.View
	plan  tenancy.Limits
	calls int
	log   *slog.Logger

	born time.Time
	stop func()
	done []int64 // units by tenth of a second since born
}

func (f *fleet) Settle(ctx context.Context, r *Round) error {
	f.mu.Lock()
	f.calls++
	away := f.away
	f.mu.Unlock()
	if away {
		return errors.New("redis is away")
	}
	return f.Memory.Settle(ctx, r)
}

func (f *fleet) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *fleet) instance(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.view
	v.Instance.ID = id
	return &v, f.plan, true
}

// change puts other limits in force everywhere.
func (f *fleet) change(plan tenancy.Limits, quotas ...tenancy.Quota) {
	f.mu.Lock()
	f.plan, f.view.Quotas = plan, quotas
	f.mu.Unlock()
	for _, l := range f.limiters {
		l.PlansChanged()
	}
}

// inFleet runs a test with n gateways, in a bubble.
func inFleet(t *testing.T, n int, plan tenancy.Limits, test func(*testing.T, *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{Memory: NewMemory(time.Now), t: t, plan: plan, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range n {
			l := New(Config{Instance: f.instance, Log: f.log, Lender: f, Gateway: string(rune('a' + i))})
			f.limiters = append(f.limiters, l)
			running.Go(func() {
				if err := l.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		}
		test(t, f)
		cancel()
		running.Wait()
	})
}

// work spends n units after the other on a gateway, waiting as it is told to, until
// ctx ends; it returns how many units that were.
func work(ctx context.Context, s *Scope, d Dimension, n int64) (done int64) {
	defer s.Close()
	for ctx.Err() == nil {
		if _, err := s.Await(ctx, d, n, 10*time.Second); errors.Is(err, ErrHeld) {
			continue
		} else if err != nil {
			break
		}
		wait := s.Spend(d, n).Throttle
		done += n
		select {
		case <-time.After(max(wait, time.Millisecond)):
		case <-ctx.Done():
		}
	}
	return done
}

// load is what `clients` clients on each gateway of a list get done in a time.
func (f *fleet) load(d Dimension, n int64, clients int, lasts time.Duration, gateways ...int) (sum int64) {
	ctx, cancel := context.WithTimeout(f.t.Context(), lasts)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, g := range gateways {
		for range clients {
			s := f.limiters[g].Scope("i-1", "u", "c")
			all.Go(func() {
				done := work(ctx, s, d, n)
				mu.Lock()
				defer mu.Unlock()
				sum += done
			})
		}
	}
	all.Wait()
	return sum
}

// begin ends the load that was there and begins another: clients on each gateway of
// a list that produce pieces of n bytes.
func (f *fleet) begin(n int64, clients int, gateways ...int) {
	if f.stop != nil {
		f.stop()
	} else {
		f.born = time.Now()
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	var all sync.WaitGroup
	for _, g := range gateways {
		for range clients {
			s := f.limiters[g].Scope("i-1", "u", "c")
			all.Go(func() { f.produce(ctx, s, n) })
		}
	}
	f.stop = func() { cancel(); all.Wait() }
}

func (f *fleet) produce(ctx context.Context, s *Scope, n int64) {
	defer s.Close()
	for ctx.Err() == nil {
		if _, err := s.Await(ctx, ProduceBytes, n, 10*time.Second); err != nil {
			return
		}
		wait := s.Spend(ProduceBytes, n).Throttle
		f.mu.Lock()
		at := int(time.Since(f.born) / (100 * time.Millisecond))
		f.done = append(f.done, make([]int64, max(at+1-len(f.done), 0))...)
		f.done[at] += n
		f.mu.Unlock()
		select {
		case <-time.After(max(wait, time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// windows is the most and the least, a second, that was done in any 10 s after warm.
func (f *fleet) windows(warm time.Duration) (most, least float64) {
	least = math.MaxFloat64
	for i := int(warm / (100 * time.Millisecond)); i+100 < len(f.done); i++ {
		sum := int64(0)
		for _, n := range f.done[i : i+100] {
			sum += n
		}
		most, least = max(most, float64(sum)/10), min(least, float64(sum)/10)
	}
	return most, least
}

func TestQuotaHoldsOverTheFleet(t *testing.T) {
	const rate, seconds = 10 << 20, 20
	for _, test := range []struct {
		name     string
		piece    int64
		clients  int
		gateways []int
	}{
		{"one of three", 50_000, 20, []int{0}},
		{"all three", 50_000, 20, []int{0, 1, 2}},
		{"all three, pieces of a tenth of a second", 1 << 20, 20, []int{0, 1, 2}},
		{"all three, pieces of a second", 10 << 20, 2, []int{0, 1, 2}}, // more would be held for longer than work may
	} {
		t.Run(test.name, func(t *testing.T) {
			plan := tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}
			inFleet(t, 3, plan, func(t *testing.T, f *fleet) {
				f.load(ProduceBytes, test.piece, test.clients, 5*time.Second, test.gateways...) // warm
				done := f.load(ProduceBytes, test.piece, test.clients, seconds*time.Second, test.gateways...)
				most := int64(rate*seconds*1.05) + test.piece*int64(len(test.gateways))
				if least := int64(rate*seconds*0.95) - test.piece*int64(len(test.gateways)); done > most || done < least {
					t.Errorf("%.2f of the quota was used, want 0.95 to 1.05 and a piece for each gateway", float64(done)/(rate*seconds))
				}
				t.Logf("%.3f of the quota", float64(done)/(rate*seconds))
			})
		})
	}
}
