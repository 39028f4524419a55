package proxy

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// effect is how long something took to be in force, over repetitions.
type effect []time.Duration

func (e effect) at(share float64) time.Duration {
	slices.Sort(e)
	return e[min(len(e)-1, int(share*float64(len(e))))]
}

// load produces through clients until stop is called, which returns how many
// records were written and how many failed.
func (r *rig) load(clients ...*kgo.Client) (stop func() (written, failed int64)) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var written, failed atomic.Int64
	var wg sync.WaitGroup
	for _, cl := range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				// Not ctx: the last record shall end by itself.
				if err := cl.ProduceSync(context.WithoutCancel(ctx), kgo.StringRecord("x")).FirstErr(); err != nil {
					failed.Add(1)
					r.t.Errorf("under load: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		wg.Wait()
		return written.Load(), failed.Load()
	}
}

func (r *rig) producer(id, host string) *kgo.Client {
	return r.client(id, kgo.SeedBrokers(net.JoinHostPort(host, r.port())), kgo.DialTLSConfig(nil), r.resolving(), kgo.RecordRetries(0),
		kgo.SASL(plain.Auth{User: "u", Pass: password}.AsMechanism()), kgo.DefaultProduceTopic("load"))
}

// A host name is set, replaced and removed 20 times under load: its sessions are
// closed at once, and nobody else notices.
func TestHostRemovedUnderLoad(t *testing.T) {
	const repetitions, sessions = 20, 5
	r := newRig(t, sealing)
	r.setHost("a", "second.example")
	r.setHost("b", "bus.example")
	others := []*kgo.Client{
		r.producer("a", "i-a.kafka.localhost"), r.producer("a", "second.example"), r.producer("b", "bus.example"), r.producer("b", "i-b.kafka.localhost"),
	}
	for _, cl := range others { // the topics are there, and so are the connections
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("first")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	stop := r.load(others...)
	var closed, replaced effect
	for range repetitions {
		r.setHost("a", ownHost)
		var conns []net.Conn
		for range sessions {
			c := r.dial(0, ownHost)
			if err := login(c, "u"); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		began := time.Now()
		serial := r.setHost("a", ownHost)
		if got := r.shown(0, ownHost); got != serial {
			t.Errorf("%s is shown after the replacement, want %s", got, serial)
		}
		replaced = append(replaced, time.Since(began))
		if err := ask(conns[0]); err != nil {
			t.Errorf("the replacement ended a session: %v", err)
		}

		var wg sync.WaitGroup
		var mu sync.Mutex
		began = time.Now()
		for _, c := range conns {
			wg.Go(func() {
				closedWithout(t, c)
				mu.Lock()
				defer mu.Unlock()
				closed = append(closed, time.Since(began))
			})
		}
		r.deleteHost("a", ownHost)
		wg.Wait()
	}
	written, failed := stop()
	t.Logf("%d removals: session closed after p50 %s p99 %s max %s; replacement seen after p50 %s max %s; the others: %d records, %d errors",
		repetitions, closed.at(.5), closed.at(.99), closed.at(1), replaced.at(.5), replaced.at(1), written, failed)
	if written == 0 {
		t.Error("there was no load")
	}
	// The look that each session is given every 2 s would find it too, after 1 s in the middle.
	if half := closed.at(.5); half > 500*time.Millisecond {
		t.Errorf("half of the sessions are closed after %s: nobody was told", half)
	}
}
