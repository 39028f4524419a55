package quota

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/tenancy"
)

// However many connections wait, who has waited for long enough goes on credit only
// until ten seconds' worth is owed: 300 that send 10 MB at once, at a limit of 10 MB/s,
// would have had ten times the limit.
func TestCreditHasAnEnd(t *testing.T) {
	const rate, piece, seconds = 10 << 20, 10 << 20, 60
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}, func(t *testing.T, f *fleet) {
		done := f.load(ProduceBytes, piece, 300, seconds*time.Second, 0)
		if most := int64(seconds+mostOwed+2) * rate; done > most || done < seconds*rate*9/10 {
			t.Errorf("%d MiB in %d s at 10 MiB/s, %d at the most", done>>20, seconds, most>>20)
		}
	})
}

// In a queue that is longer than clients wait, who is at the old end has given up.
func TestWorkIsDoneForWhoStillWaits(t *testing.T) {
	const rate, clients, seconds = 1 << 20, 100, 300
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}, func(t *testing.T, f *fleet) {
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
		defer cancel()
		var good, late atomic.Int64
		var all sync.WaitGroup
		for i := range clients {
			s := f.limiters[0].Scope("i-1", "u", "c")
			all.Go(func() {
				defer s.Close()
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				for ctx.Err() == nil {
					held, err := s.Await(ctx, ProduceBytes, rate, 10*time.Second)
					switch {
					case err != nil:
						continue
					case held > 30*time.Second:
						late.Add(1)
					default:
						good.Add(1)
					}
					s.Spend(ProduceBytes, rate)
				}
			})
		}
		all.Wait()
		if good.Load() < seconds*9/10 || late.Load() > 0 {
			t.Errorf("in %d s %d pieces of a second's worth were admitted in time, %d when their clients had given up", seconds, good.Load(), late.Load())
		}
	})
}
