package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Config of one pool.
type Config struct {
	// Name is what the configuration and the log call the pool. Required.
	Name string
	// Bootstrap are host:port addresses of some brokers, asked whenever no
	// known broker answers. Required.
	Bootstrap []string
	// TLS is nil for plaintext. Each broker's certificate is verified against
	// the host name it was dialed by (or ServerName, if that is set);
	// InsecureSkipVerify is refused.
	TLS *tls.Config
	// SASL is nil for none (franz-go's pkg/sasl/plain, scram).
	SASL sasl.Mechanism
	// PerInstance says that clients' connections are dialed as their instance's own
	// principal (Identity). Needs SASL, with a user that may ALTER the cluster.
	PerInstance bool
	// Dial is net.Dialer.DialContext if nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// DialTimeout is for TCP, TLS and SASL together; 10s if zero.
	DialTimeout time.Duration
	// MetadataMaxAge is how often brokers, versions and features are refreshed; 30s if zero.
	MetadataMaxAge time.Duration
	// Owners is asked before each sample of what instances hold (Holdings) for what
	// then says whose a name is; nil: not known yet. No samples if Owners is nil.
	Owners func() Owner
	// Sampled is told of each sample. It must not block. Optional.
	Sampled func(*Holdings)
	// SampleEvery is the time between two samples; 1m if zero.
	SampleEvery time.Duration
	// Log gets a line when a broker comes, goes, falls silent or recovers. Nothing if nil.
	Log *slog.Logger
}

// Pool is one physical Kafka cluster. Any goroutine.
type Pool struct {
	cfg Config // immutable

	snap   atomic.Pointer[snapshot] // written by the monitor only; nil until metadata is known
	ready  chan struct{}            // closed by the monitor
	health health
	next   atomic.Uint32 // spreads AnyNode over the brokers
	topics *topicIDs
	wake   chan struct{} // cap 1: the monitor should look again

	holdings atomic.Pointer[Holdings] // written by the sampler only
	sample   chan struct{}            // cap 1: a sample is wanted before its time

	running chan struct{} // closed by Run once client is set
	client  *kgo.Client   // immutable after running is closed
	once    sync.Once     // Run is called once

	mu    sync.Mutex    // never held over I/O
	fresh chan struct{} // closed after the next refresh; nil if nobody waits
}

// NewPool checks cfg; Run connects.
func NewPool(cfg Config) (*Pool, error) {
	var errs []error
	if cfg.Name == "" {
		errs = append(errs, errors.New("pool: name is empty"))
	}
	if len(cfg.Bootstrap) == 0 {
		errs = append(errs, fmt.Errorf("pool %q: no bootstrap address", cfg.Name))
	}
	for _, addr := range cfg.Bootstrap {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("pool %q: bootstrap %q is not host:port: %w", cfg.Name, addr, err))
		}
	}
	if cfg.TLS != nil && cfg.TLS.InsecureSkipVerify {
		errs = append(errs, fmt.Errorf("pool %q: tls must verify brokers: give their CA in place of InsecureSkipVerify", cfg.Name))
	}
	if cfg.PerInstance && cfg.SASL == nil {
		errs = append(errs, fmt.Errorf("pool %q: a principal per instance needs sasl", cfg.Name))
	}
	if cfg.DialTimeout < 0 || cfg.MetadataMaxAge < 0 || cfg.SampleEvery < 0 {
		errs = append(errs, fmt.Errorf("pool %q: a negative duration", cfg.Name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, 10*time.Second)
	cfg.MetadataMaxAge = cmp.Or(cfg.MetadataMaxAge, 30*time.Second)
	cfg.SampleEvery = cmp.Or(cfg.SampleEvery, sampleEvery)
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Log = cfg.Log.With("pool", cfg.Name)
	return &Pool{
		cfg:     cfg,
		ready:   make(chan struct{}),
		wake:    make(chan struct{}, 1),
		sample:  make(chan struct{}, 1),
		running: make(chan struct{}),
		topics:  newTopicIDs(maxTopicIDs, maxUnknownIDs),
	}, nil
}

// Run keeps brokers, versions and health fresh until ctx ends, and then
// returns nil. A pool that does not answer is never an error: Run keeps
// trying. It is called once.
func (p *Pool) Run(ctx context.Context) error {
	err := fmt.Errorf("pool %q: Run was called before", p.cfg.Name)
	p.once.Do(func() { err = p.run(ctx) })
	return err
}

func (p *Pool) run(ctx context.Context) error {
	client, err := p.newClient(kgo.RequestRetries(0))
	if err != nil {
		return fmt.Errorf("pool %q: %w", p.cfg.Name, err)
	}
	defer client.Close()
	p.client = client
	close(p.running)

	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.resolveTopics(ctx) })
	if p.cfg.Owners != nil {
		wg.Go(func() { p.sampleHoldings(ctx) })
	}
	newMonitor(p).run(ctx)
	return nil
}

// Ready is closed once brokers and versions are known.
func (p *Pool) Ready() <-chan struct{} { return p.ready }

// Name of the pool.
func (p *Pool) Name() string { return p.cfg.Name }

// PerInstance reports whether clients' connections are their instance's own principal's.
func (p *Pool) PerInstance() bool { return p.cfg.PerInstance }

// refreshed asks the monitor to question the brokers again (at most once per
// minRefreshInterval) and returns a channel that is closed when one of them
// has answered after this call.
func (p *Pool) refreshed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = make(chan struct{})
	}
	p.poke()
	return p.fresh
}

// takeFresh hands the waiters of refreshed over to the monitor; nil if there are none.
func (p *Pool) takeFresh() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.fresh
	p.fresh = nil
	return fresh
}

func (p *Pool) refreshWanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fresh != nil
}

func (p *Pool) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
