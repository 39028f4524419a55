package quota

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func TestPlacesAreNeverMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now, limit := places{}, int64(1), rapid.Int64Range(1, 300).Draw(t, "limit")
		used, seq := map[string]int64{}, int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "asks") {
			now += rapid.Int64Range(0, 1e6).Draw(t, "us")
			gateway := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "gateway")
			seq++
			used[gateway] = rapid.Int64Range(0, p[gateway].granted).Draw(t, "used")
			wanted := rapid.Int64Range(0, 50).Draw(t, "wanted")
			got := p.ask(now, gateway, 1, seq, PlaceAsk{Limit: limit, Used: used[gateway], Wanted: wanted})
			sum := int64(0)
			for _, has := range p {
				sum += has.granted
			}
			if sum > limit {
				t.Fatalf("%d places are given of %d", sum, limit)
			}
			if short := used[gateway] + wanted - got.Granted; short > 0 && sum < limit {
				t.Fatalf("%d connections have no place, and %d of %d are free", short, limit-sum, limit)
			}
		}
	})
}

// connectAll opens n connections on a gateway at the same time.
func connectAll(t *testing.T, l *Limiter, n int) (releases []func(), refused int64) {
	t.Helper()
	var mu sync.Mutex
	var no atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			release, err := l.Connect(t.Context(), "i-1")
			switch {
			case errors.Is(err, ErrConnections):
				no.Add(1)
			case err != nil:
				t.Error(err)
			default:
				mu.Lock()
				defer mu.Unlock()
				releases = append(releases, release)
			}
		})
	}
	all.Wait()
	return releases, no.Load()
}

func TestConnectionsOfTheFleet(t *testing.T) {
	plan := tenancy.Limits{tenancy.LimitConnections: {Value: 100}}
	inFleet(t, 3, plan, func(t *testing.T, f *fleet) {
		a, no := connectAll(t, f.limiters[0], 60)
		b, no2 := connectAll(t, f.limiters[1], 60)
		if len(a) != 60 || no != 0 || len(b) != 40 || no2 != 20 {
			t.Fatalf("of 100 places: %d and %d taken, %d and %d refused; want 60, 40, 0, 20", len(a), len(b), no, no2)
		}
		if _, err := f.limiters[2].Connect(t.Context(), "i-1"); !errors.Is(err, ErrConnections) {
			t.Errorf("connection 101: %v", err)
		}
		use, err := f.limiters[2].Usage(t.Context(), "i-1")
		if err != nil || use[tenancy.LimitConnections].Used != 100 {
			t.Errorf("use is %+v, %v", use[tenancy.LimitConnections], err)
		}
		for _, release := range a[:30] {
			release()
			release() // twice is once
		}
		time.Sleep(3 * time.Second)
		if c, no := connectAll(t, f.limiters[2], 40); len(c) != 30 || no != 10 {
			t.Errorf("after 30 have ended: %d of 40 got a place, %d not", len(c), no)
		}
	})
}

func TestConnectionsWithRedisAway(t *testing.T) {
	plan := tenancy.Limits{tenancy.LimitConnections: {Value: 10}}
	inFleet(t, 2, plan, func(t *testing.T, f *fleet) {
		connectAll(t, f.limiters[0], 4)
		b, _ := connectAll(t, f.limiters[1], 1)
		f.setAway(true)
		time.Sleep(5 * time.Second)
		more, no := connectAll(t, f.limiters[1], 10)
		if len(more) != 5 || no != 5 {
			t.Errorf("10 places, 4 elsewhere and 1 here: %d more taken, %d refused; want 5, 5", len(more), no)
		}
		f.setAway(false)
		time.Sleep(5 * time.Second)
		if _, err := f.limiters[0].Connect(t.Context(), "i-1"); !errors.Is(err, ErrConnections) {
			t.Errorf("what was taken while Redis was away is not known elsewhere: %v", err)
		}
		for _, release := range append(b, more...) {
			release()
		}
	})
}

func TestDeadGatewayFreesItsPlaces(t *testing.T) {
	plan := tenancy.Limits{tenancy.LimitConnections: {Value: 10}}
	inFleet(t, 1, plan, func(t *testing.T, f *fleet) {
		ctx, kill := context.WithCancel(t.Context())
		dead := New(Config{Instance: f.instance, Log: f.log, Lender: &untilDead{Lender: f, ctx: ctx}, Gateway: "dead"})
		ended := make(chan error)
		go func() { ended <- dead.Run(ctx) }()
		connectAll(t, dead, 10)
		if _, err := f.limiters[0].Connect(t.Context(), "i-1"); !errors.Is(err, ErrConnections) {
			t.Fatalf("connection 11: %v", err)
		}
		kill()
		<-ended
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if a, no := connectAll(t, f.limiters[0], 10); len(a) != 10 {
			t.Errorf("4 s after the other gateway died %d of its 10 places can be had, %d not", len(a), no)
		}
	})
}

// untilDead is a Lender that a gateway can no longer reach once it is dead.
type untilDead struct {
	Lender
	ctx context.Context
}

func (u *untilDead) Settle(ctx context.Context, r *Round) error {
	if u.ctx.Err() != nil {
		return u.ctx.Err()
	}
	return u.Lender.Settle(ctx, r)
}
