package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/metering"
)

// flushGrace is how long a stop waits for Redis to take the last counts. What it does
// not take is in the spool, for the next start in the folder.
const flushGrace = 5 * time.Second

// counting makes the book that sessions count in, and what keeps it and brings it to
// Redis. sealer may have records that Redis has lost.
func (p *process) counting(a assembly, id string, registry prometheus.Registerer, sealer *metering.Sealer) (*metering.Book, error) {
	book, err := metering.NewBook(metering.Config{Gateway: id, Dir: a.metering.dir, Log: a.log, Registry: registry})
	if err != nil {
		return nil, err
	}
	gateway, epoch := book.Start()
	pusher := metering.NewPusher(metering.PusherConfig{
		Book: book, Store: p.counts, Gateway: gateway, Epoch: epoch, Log: a.log, Registry: registry,
		Healers: []func(context.Context) error{func(context.Context) error { sealer.Heal(); return nil }},
	})
	p.holding(a, book)
	p.last = append(p.last, component{"usage", func(ctx context.Context) error {
		pushing, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		counting, stopCounting := context.WithCancel(context.WithoutCancel(ctx))
		defer stopCounting()
		var held, pushes sync.WaitGroup
		defer held.Wait()
		held.Go(func() {
			p.held.Run(ctx) //nolint:errcheck // it ends without one
			stopCounting()
		})
		pushes.Go(func() { pusher.Run(pushing) }) //nolint:errcheck // it ends without one
		// Until all sessions have ended: whatever they use in between is counted.
		err := book.Run(counting)
		stop()
		pushes.Wait()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
		pusher.Flush(grace) //nolint:errcheck // it has told, and nothing is lost
		return err
	}})
	return book, nil
}
