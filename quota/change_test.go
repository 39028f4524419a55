package quota

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

func TestChangeIsInForceForTheNextSpend(t *testing.T) {
	plan := tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1000}}
	inFleet(t, 1, plan, func(t *testing.T, f *fleet) {
		l := f.limiters[0]
		s := l.Scope("i-1", "u", "c")
		defer s.Close()
		s.Spend(ProduceBytes, 2000)
		synctest.Wait()
		before := s.Spend(ProduceBytes, 0).Throttle
		if before < 1500*time.Millisecond || before > 2500*time.Millisecond {
			t.Fatalf("2000 of 1000 a second throttle for %v, want some 2 s", before)
		}
		for _, value := range []float64{1e6, 1024, 1e6, 1000} { // back and forth
			f.change(tenancy.Limits{tenancy.LimitProduceBytes: {Value: value}})
			if after := s.Spend(ProduceBytes, 0).Throttle; after < before-300*time.Millisecond || after > before+time.Millisecond {
				t.Errorf("with a limit of %v the debt takes %v, want %v as before", value, after, before)
			}
			if at, bounded := s.AtOnce(ProduceBytes); !bounded || at != int64(value) {
				t.Errorf("with a limit of %v, %v at once are well", value, at)
			}
		}
		f.change(nil)
		if got := s.Spend(ProduceBytes, 1e6); got.Throttle != 0 {
			t.Errorf("without a limit the client is throttled: %+v", got)
		}
		f.change(plan)
		if got := s.Spend(ProduceBytes, 0); got.Throttle == 0 {
			t.Error("the debt is forgotten by removing a limit and putting it back")
		}
	})
}

func TestLeaseShrinksWithTheLimit(t *testing.T) {
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1e6}}, func(t *testing.T, f *fleet) {
		f.load(ProduceBytes, 1000, 5, 3*time.Second, 0)
		s := f.limiters[0].Scope("i-1", "u", "c")
		defer s.Close()
		b := s.now.Load().buckets[ProduceBytes][0]
		b.credit.Add(300_000*scale - b.left())
		for _, value := range []float64{1e4, 1e6, 1e4} {
			f.change(tenancy.Limits{tenancy.LimitProduceBytes: {Value: value}})
		}
		if got := b.left(); got > 3000*scale {
			t.Errorf("of 300 kB lent at 1 MB/s, %d kB are left at 10 kB/s, want 3", got/scale/1000)
		}
	})
}

func TestHeldWorkIsJudgedAnew(t *testing.T) {
	for _, test := range []struct {
		name   string
		change tenancy.Limits
	}{
		{"so high that nothing has to be paid in advance", tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1e9}}},
		{"removed", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1000}}, func(t *testing.T, f *fleet) {
				s := f.limiters[0].Scope("i-1", "u", "c")
				defer s.Close()
				f.setAway(true) // so that nothing comes but by the change
				b := s.now.Load().buckets[ProduceBytes][0]
				b.credit.Add(100 * scale)
				b.room.Store(0)
				var held time.Duration
				var waits sync.WaitGroup
				waits.Go(func() { held, _ = s.Await(context.Background(), ProduceBytes, 10_000, time.Hour) })
				time.Sleep(500 * time.Millisecond)
				f.change(test.change)
				waits.Wait()
				if held != 500*time.Millisecond {
					t.Errorf("held for %v, want 500ms, until the limit changed", held)
				}
			})
		})
	}
}

func TestWaitersGoInOrderAndAsFarAsTokensGo(t *testing.T) {
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 10_000}}, func(t *testing.T, f *fleet) {
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		begin := time.Now()
		first := f.limiters[0].Scope("i-1", "u", "c")
		defer first.Close()
		first.Spend(ProduceBytes, 10_000)
		for i := range 10 {
			s := f.limiters[0].Scope("i-1", "u", fmt.Sprint(i))
			all.Go(func() {
				defer s.Close()
				if _, err := s.Await(t.Context(), ProduceBytes, 10_000, time.Minute); err != nil {
					t.Error(err)
				}
				s.Spend(ProduceBytes, 10_000)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		all.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("those who waited went in the order %v", order)
		}
		if took := time.Since(begin); took < 8*time.Second {
			t.Errorf("100 kB at 10 kB/s went in %v", took)
		}
	})
}

func TestAwaitEnds(t *testing.T) {
	inFleet(t, 1, tenancy.Limits{tenancy.LimitRequests: {Value: 1}}, func(t *testing.T, f *fleet) {
		s := f.limiters[0].Scope("i-1", "u", "c")
		defer s.Close()
		s.Spend(Requests, 9)
		if held, err := s.Await(t.Context(), Requests, 1, 3*time.Second); held != 3*time.Second || err != nil {
			t.Errorf("held %v, %v; want 3 s at the most", held, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if held, err := s.Await(ctx, Requests, 1, 3*time.Second); held != time.Second || err == nil {
			t.Errorf("held %v, %v; want 1 s and the context's error", held, err)
		}
		if n := s.now.Load().buckets[Requests][0].waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// A quiet client is not throttled because its gateway has to ask first.
func TestQuietClientsAreNotThrottled(t *testing.T) {
	for _, every := range []time.Duration{20 * time.Millisecond, 700 * time.Millisecond, 10 * time.Second} {
		inFleet(t, 3, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 10e6}}, func(t *testing.T, f *fleet) {
			s := f.limiters[0].Scope("i-1", "u", "c")
			defer s.Close()
			for i := range 100 {
				n := int64(10_000)
				if every > 100*time.Millisecond {
					n = 500_000
				}
				if held, _ := s.Await(t.Context(), ProduceBytes, n, time.Second); held > 0 {
					t.Fatalf("every %v: piece %d was held for %v", every, i, held)
				}
				if d := s.Spend(ProduceBytes, n); d.Throttle > 0 {
					t.Fatalf("every %v: piece %d was throttled for %v", every, i, d.Throttle)
				}
				time.Sleep(every)
			}
		})
	}
}
