package metering

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// pushEvery is how old a count in Redis may be.
	pushEvery = 2 * time.Second
	// takenAtOnce bounds the memory of a round.
	takenAtOnce = 5 * pushedAtOnce
	// lagAlarm is how long Redis may lack counts before somebody is told
	// (operations.md E), and lagRepeat how often that is said again.
	lagAlarm  = 2 * time.Minute
	lagRepeat = 10 * time.Minute
)

// PusherConfig says what goes where.
type PusherConfig struct {
	Book    Ledger
	Store   *Store
	Gateway string // this process, and its start, as the Book's
	Epoch   int64
	// Healers put back what else they know of that Redis has lost (sealed records).
	Healers  []func(context.Context) error
	Log      *slog.Logger // nothing if nil
	Registry prometheus.Registerer
	Now      func() time.Time // time.Now if nil
}

// Pusher brings the Book's counts to Redis, again and again until they are there, and
// once more when Redis has lost some. While Redis is away they wait in the Book.
type Pusher struct {
	cfg     PusherConfig
	metrics pushMetrics

	// Run's own.
	want    string              // why Redis is to be healed; "": it need not be
	away    bool                // the last round failed
	ids     map[string]bool     // run ids of the masters that are
	healed  time.Time           // when everything was pushed last
	fresh   time.Time           // when what had changed was pushed last
	told    map[Served]bool     // what the fleet was told in healSpan; false: it is to be told again
	claimed map[claim]time.Time // since when Redis has it
	rounds  int
	alarmed time.Time // when the lag was told last; zero: there is none

	mu     sync.Mutex
	behind time.Time // since when Redis lacks counts; zero: it has all
}

// NewPusher returns one that Run starts.
func NewPusher(cfg PusherConfig) *Pusher {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pusher{
		cfg: cfg, want: healStart, ids: map[string]bool{}, fresh: cfg.Now(),
		told: map[Served]bool{}, claimed: map[claim]time.Time{},
	}
	p.metrics = newPushMetrics(cfg.Registry, func() float64 { return p.Lag().Seconds() })
	return p
}

// Run pushes until ctx ends. What was counted since the last round is left for Flush.
func (p *Pusher) Run(ctx context.Context) error {
	tick := time.NewTicker(pushEvery)
	defer tick.Stop()
	for {
		p.round(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Flush pushes what is left at a clean stop, after Run has ended and the Book has made
// everything final, asks once more about its own doubts, and answers others'. With an
// error, the file that the counters are in keeps it: the next start settles it.
func (p *Pusher) Flush(ctx context.Context) error {
	err := p.push(ctx)
	if e := p.settle(ctx, true); e != nil {
		p.cfg.Log.Warn("usage: what other gateways doubt was not answered at the stop", "error", e,
			"fix", "start a gateway in the same metering.dir within minutes, or repetitions may be billed twice")
	} else if err == nil {
		err = p.push(ctx) // what was taken back
	}
	if err != nil {
		p.cfg.Log.Error("usage was not pushed to Redis at the stop", "error", err,
			"fix", "nothing is lost: start a gateway in the same metering.dir, and it will be pushed")
		return err
	}
	return nil
}

// Lag is the age of the oldest count that Redis does not have. Any goroutine.
func (p *Pusher) Lag() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind.IsZero() {
		return 0
	}
	return max(p.cfg.Now().Sub(p.behind), 0)
}

// round is one of Run's.
func (p *Pusher) round(ctx context.Context) {
	p.rounds++
	p.lookAtMasters(ctx)
	// Others' answers do not wait for a node of a Cluster that is away.
	err := errors.Join(p.push(ctx), p.settle(ctx, p.rounds%claimEvery == 0))
	if err == nil && p.away {
		p.wantHeal(healReconnect)
	}
	if err == nil {
		err = p.heal(ctx)
	}
	if ctx.Err() != nil {
		return // it was stopped, nothing has failed
	}
	p.away = err != nil
	if err != nil {
		p.cfg.Log.Debug("usage: a round of pushes failed", "error", err)
	}
	p.alarm(err)
}

// push brings what has changed to Redis, and then says which hours are final.
func (p *Pusher) push(ctx context.Context) error {
	began := p.cfg.Now()
	served := p.cfg.Book.Served() // before Take: what is final here will be there
	err := p.pushChanged(ctx)
	p.mu.Lock()
	switch {
	case err == nil:
		p.behind, p.fresh = time.Time{}, began
	case p.behind.IsZero():
		p.behind = p.fresh
	}
	p.mu.Unlock()
	return errors.Join(err, p.tell(ctx, served, err == nil))
}

// pushChanged goes once around: on a gateway with many busy instances something has always changed again.
func (p *Pusher) pushChanged(ctx context.Context) error {
	seen := map[Source]bool{}
	for {
		counts := p.cfg.Book.Take(takenAtOnce)
		if len(counts) == 0 {
			return nil
		}
		done, lost, err := p.cfg.Store.Push(ctx, counts)
		p.cfg.Book.Pushed(done)
		p.metrics.pushed.Add(float64(len(done)))
		if lost {
			p.wantHeal(healLost)
		}
		if err != nil || len(counts) < takenAtOnce {
			return err
		}
		for i := range counts {
			if seen[counts[i].Source] {
				return nil
			}
			seen[counts[i].Source] = true
		}
	}
}

// alarm tells when counts have been waiting for long, and when they do no more.
func (p *Pusher) alarm(err error) {
	lag, now := p.Lag(), p.cfg.Now()
	switch {
	case lag > lagAlarm && (p.alarmed.IsZero() || now.Sub(p.alarmed) >= lagRepeat):
		p.alarmed = now
		p.cfg.Log.Error("usage does not reach Redis", "lag", lag.Round(time.Second), "error", err,
			"fix", "see why Redis does not answer or refuses writes (memory, AOF, replicas); until then usage is kept in metering.dir, and nothing is lost")
	case lag == 0 && !p.alarmed.IsZero():
		p.alarmed = time.Time{}
		p.cfg.Log.Info("usage reaches Redis again")
	}
}

type pushMetrics struct {
	pushed prometheus.Counter
	heals  *prometheus.CounterVec
}

func newPushMetrics(reg prometheus.Registerer, lag func() float64) pushMetrics {
	m := pushMetrics{
		pushed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_usage_pushed_total", Help: "Counts of usage that were written to Redis, or were there already.",
		}),
		heals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_usage_heals_total",
			Help: "How often all counts of the last 48 hours were pushed again: start, lost (Redis knew less than before), master (another one, or started anew), reconnect, hourly.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{healStart, healLost, healMaster, healReconnect, healHourly} {
		m.heals.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.pushed, m.heals, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_usage_flush_lag_seconds", Help: "Age of the oldest count of usage that is not in Redis.",
		}, lag))
	}
	return m
}
