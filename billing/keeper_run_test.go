package billing

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnlyWhoHasTheLease: what fails is tried again, and who has no lease does nothing.
func TestOnlyWhoHasTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held atomic.Bool
		var did, left atomic.Int64
		k := NewKeeper(KeeperConfig{
			Biller: NewBiller(Config{}),
			Lease: func(_ context.Context, what string, ttl time.Duration) (bool, error) {
				if what != "something" || ttl <= time.Minute {
					t.Errorf("lease of %s for %s", what, ttl)
				}
				return held.Load(), nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- k.every(ctx, "something", time.Minute, func(context.Context) error {
				did.Add(1)
				return errors.New("not this time")
			}, func() { left.Add(1) })
		}()
		<-time.After(3*time.Minute + time.Second) // virtual
		synctest.Wait()
		if did.Load() != 0 || left.Load() != 4 {
			t.Errorf("without the lease done %d times, left to others %d times, want 4", did.Load(), left.Load())
		}
		held.Store(true)
		<-time.After(3 * time.Minute)
		synctest.Wait()
		if did.Load() != 3 || left.Load() != 4 {
			t.Errorf("done %d times in three minutes, want 3", did.Load())
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
