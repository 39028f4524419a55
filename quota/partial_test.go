package quota

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// partly is a Lender that has no answer for some instances: those of a shard of Redis
// Cluster that is away.
type partly struct {
	*Memory
	away map[tenancy.InstanceID]bool
}

func (p *partly) Settle(ctx context.Context, r *Round) error {
	all := r.Asks
	defer func() { r.Asks = all }()
	r.Asks = nil
	var err error
	for _, ask := range all {
		if p.away[ask.Instance] {
			err = errors.New("shard is away")
		} else {
			r.Asks = append(r.Asks, ask)
		}
	}
	return errors.Join(p.Memory.Settle(ctx, r), err)
}

// What cannot be settled of one instance costs the others nothing.
func TestOneInstanceWithoutAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1e6
		f := &fleet{t: t, plan: tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}}
		l := New(Config{Instance: f.instance, Lender: &partly{NewMemory(time.Now), map[tenancy.InstanceID]bool{"i-away": true}}, Gateway: "a"})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		busy := func(id tenancy.InstanceID, lasts time.Duration) (done int64) {
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			return work(ctx, l.Scope(id, "u", "c"), ProduceBytes, 1000)
		}
		running.Go(func() {
			if part := float64(busy("i-away", time.Minute)) / (60 * rate); part < 0.3 || part > 1.05 {
				t.Errorf("an instance whose leases nobody answers gets %.3f of its limit", part)
			}
		})
		running.Go(func() { busy("i-1", 30*time.Second) })
		time.Sleep(30 * time.Second)
		if part := float64(busy("i-1", 29*time.Second)) / (29 * rate); part < 0.9 || part > 1.05 {
			t.Errorf("an instance whose leases are answered gets %.3f of its limit while another's are not", part)
		}
		time.Sleep(time.Second)
		cancel()
		running.Wait()
	})
}
