//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// batchHeader is what a record batch has before its records (v2): with it franz-go's
// numbers become bytes of batches.
const batchHeader = 61

// tally counts what franz-go knows to be acknowledged, and what it has read: it is a
// hook of clients. Its own count of records, by their promises, says when the hooks,
// which run later, are through.
type tally struct {
	bytes, records, batches         atomic.Int64
	readBytes, readRecords, control atomic.Int64
	promised, failed                atomic.Int64
}

// OnProduceBatchWritten is called once for each batch that was acknowledged.
func (c *tally) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	c.bytes.Add(int64(batchHeader + m.CompressedBytes))
	c.records.Add(int64(m.NumRecords))
	c.batches.Add(1)
}

// OnFetchBatchRead is called for each batch, control batches too.
func (c *tally) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	c.readBytes.Add(int64(batchHeader + m.CompressedBytes))
}

// through says that the hooks know of every record that was acknowledged.
func (c *tally) through() bool { return c.records.Load() == c.promised.Load() }

func (c *tally) promise(_ *kgo.Record, err error) {
	if err != nil {
		c.failed.Add(1)
		return
	}
	c.promised.Add(1)
}

// pump produces at a pace until stop, in bursts, and then waits for all outcomes.
type pump struct {
	*tally
	name string
	id   string // of the instance
	cl   *kgo.Client
	// txn: each burst is a transaction, every other one aborted.
	txn bool

	paused  atomic.Bool
	turn    sync.Mutex // held while a burst is sent
	wg      sync.WaitGroup
	stopped context.CancelFunc
}

const (
	burst      = 20
	burstEvery = 100 * time.Millisecond
)

// pump starts a producer to a topic of its own name, which is made. Records have sizes of
// all kinds, half of their text can be compressed.
func (w *world) pump(in instance, name string, opts ...kgo.Opt) *pump {
	w.t.Helper()
	p := &pump{tally: &tally{}, name: name, id: in.id}
	setup := w.client(in)
	w.createTopic(setup, name, 3)
	setup.Close()
	p.cl = w.client(in, append([]kgo.Opt{
		kgo.DefaultProduceTopic(name), kgo.WithHooks(p.tally), kgo.MaxBufferedRecords(1000), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerLinger(10 * time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, opts...)...)
	id, _ := p.cl.OptValue(kgo.TransactionalID).(string)
	p.txn = id != ""
	ctx, stop := context.WithCancel(w.t.Context())
	p.stopped = stop
	p.wg.Go(func() { p.run(ctx, w.t) })
	w.t.Cleanup(func() { stop(); p.wg.Wait() })
	return p
}

func (p *pump) run(ctx context.Context, t *testing.T) {
	tick := time.NewTicker(burstEvery)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		if err := p.next(t.Context(), n); err != nil && t.Context().Err() == nil {
			t.Errorf("%s: %v", p.name, err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	_ = p.cl.Flush(t.Context())
}

// next sends a burst unless paused: whoever has set that and then had the turn knows that
// nothing is sent any more.
func (p *pump) next(ctx context.Context, n int) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.paused.Load() {
		return nil
	}
	return p.burst(ctx, n)
}

func (p *pump) burst(ctx context.Context, n int) error {
	if p.txn {
		if err := p.cl.BeginTransaction(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
	}
	for range burst {
		p.cl.Produce(ctx, kgo.SliceRecord(noise(rand.IntN(2000))), p.promise)
	}
	if !p.txn {
		return nil
	}
	if err := p.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := p.cl.EndTransaction(ctx, kgo.TransactionEndTry(n%2 == 0)); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// noise is n bytes, half of which can be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range n / 2 {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// quiet makes a pump pause, or go on, and waits until it knows the outcome of all that
// it has sent.
func (p *pump) quiet(t *testing.T) {
	t.Helper()
	p.paused.Store(true)
	p.turn.Lock()
	p.turn.Unlock() //nolint:staticcheck // the burst that was being sent is
	settlesQuietly(t, p.name+" knows the outcome of every record", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return p.cl.Flush(ctx) == nil && p.through()
	})
}

// stop ends a pump, and waits as quiet does.
func (p *pump) stop(t *testing.T) {
	t.Helper()
	p.stopped()
	p.wg.Wait()
	p.quiet(t)
	if n := p.failed.Load(); n > 0 {
		t.Errorf("%s: %d records were refused", p.name, n)
	}
}

// settlesQuietly waits until ok, which must be twice in a row.
func settlesQuietly(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(usageLimit)
	for good := 0; good < 2; {
		if ok() {
			good++
		} else {
			good = 0
		}
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", usageLimit, what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// lossy makes connections that end in the middle of whatever they do.
func (w *world) lossy() []kgo.Opt {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12}}
	return []kgo.Opt{kgo.DialTLSConfig(nil), kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, host)
		if err != nil {
			return nil, err
		}
		time.AfterFunc(time.Second+rand.N(2*time.Second), func() { _ = conn.Close() })
		return conn, nil
	})}
}
