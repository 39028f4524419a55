package metering

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

const (
	// sealEvery is how often a gateway looks whether there is something to seal.
	sealEvery = 5 * time.Second
	// sealLease is after how long another gateway takes over from one that died.
	sealLease = 30 * time.Second
	// sealSettle is how long a new holder of the lease waits before it seals: time for
	// others to say that Redis has lost what they know to have been sealed.
	sealSettle = 3 * sealEvery
	// healWait is how long a Redis that does not know how far it was sealed is given
	// to get back what archives have, before anything is sealed in it.
	healWait = time.Minute
	// lateWait is how long late counts are let come before they are sealed: a gateway
	// that comes back brings many.
	lateWait = time.Minute
	// sealPage is how many instances are sealed between two renewals of the lease, and
	// sealWorkers how many of them at once.
	sealPage    = 500
	sealWorkers = 8
)

// sealSource is where counts come from; *Store provides it.
type sealSource interface {
	Counts(ctx context.Context, id tenancy.InstanceID, hour Hour) (counts []Count, damaged []error, err error)
	Instances(ctx context.Context, hour Hour) iter.Seq2[tenancy.InstanceID, error]
	Fleet(ctx context.Context, hour Hour) (map[string]string, error)
	Late(ctx context.Context) iter.Seq2[Late, error]
	LateDone(ctx context.Context, marks ...Late) error
	mark(ctx context.Context, marks []lateHour) error
}

// SealerConfig of a Sealer.
type SealerConfig struct {
	Records *RecordStore
	// Store has the counts.
	Store *Store
	// Archive keeps what this gateway seals on its disk; nil: nothing.
	Archive *Archive
	// Gateway names this process among the live ones.
	Gateway  string
	Now      func() time.Time      // time.Now if nil
	Log      *slog.Logger          // nothing if nil
	Registry prometheus.Registerer // nowhere if nil

	// After is when an hour is sealed, in tests; SealAfter if zero. So are the waits.
	After, HealWait, LateWait, Settle, Every time.Duration
}

// Sealer seals hours when they are over, on whichever gateway holds the lease, and puts
// back into Redis what it lost and this gateway's archive has. Two that seal at once,
// because a lease has ended unnoticed, do no harm: a chain has one end, and only who
// has read it can append to it.
type Sealer struct {
	cfg     SealerConfig
	counts  sealSource
	metrics *sealMetrics

	// Of the one goroutine of Run.
	token     int64 // 0: the lease is another's
	heldSince time.Time
	seen      Hour // the newest that was ever seen to be sealed
	asked     progress
	failed    map[Hour][]tenancy.InstanceID // instances that could not be sealed, of hours otherwise done
	done      map[Hour]bool                 // sealed, behind one in which some failed
	late      map[Late]time.Time            // when a mark was first seen
	alarmed   map[Hour]bool
	trouble   string // what was last logged
	healed    bool   // the archive's newest days were compared with Redis once
	wanted    chan struct{}

	holds atomic.Bool
}

// Holds reports whether this gateway was the one that seals a moment ago. Any goroutine.
func (s *Sealer) Holds() bool { return s.holds.Load() }

// NewSealer returns one that does nothing until Run.
func NewSealer(cfg SealerConfig) *Sealer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.After = cmp.Or(cfg.After, SealAfter)
	cfg.HealWait, cfg.LateWait = cmp.Or(cfg.HealWait, healWait), cmp.Or(cfg.LateWait, lateWait)
	cfg.Settle, cfg.Every = cmp.Or(cfg.Settle, sealSettle), cmp.Or(cfg.Every, sealEvery)
	return &Sealer{
		cfg: cfg, counts: cfg.Store, metrics: newSealMetrics(cfg.Registry),
		failed: map[Hour][]tenancy.InstanceID{}, done: map[Hour]bool{}, late: map[Late]time.Time{}, alarmed: map[Hour]bool{},
		wanted: make(chan struct{}, 1),
	}
}

// Run seals until ctx ends, and then returns nil: a Redis that is away is no error.
func (s *Sealer) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.Every)
	defer ticker.Stop()
	for {
		s.Round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Heal asks for what the archive has of the last days to be compared with Redis soon:
// after a failover, or whenever it has lost something else. Any goroutine.
func (s *Sealer) Heal() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// Round does what is to be done now: what Run does every few seconds.
func (s *Sealer) Round(ctx context.Context) {
	err := s.round(ctx)
	if ctx.Err() != nil {
		return
	}
	s.watch(err)
}

func (s *Sealer) round(ctx context.Context) error {
	asked, err := s.cfg.Records.progressNow(ctx)
	if err != nil {
		return err
	}
	s.asked = asked
	if err := s.healIfLost(ctx); err != nil {
		return err
	}
	if held, err := s.hold(ctx); !held || err != nil {
		return err
	}
	now := s.cfg.Now()
	if s.asked.healing > 0 || now.Sub(s.heldSince) < s.cfg.Settle {
		return nil
	}
	if !s.asked.known {
		return s.begin(ctx, now)
	}
	if err := s.sealDue(ctx, now); err != nil {
		return err
	}
	return s.sealLate(ctx)
}

// hold takes or renews the lease.
func (s *Sealer) hold(ctx context.Context) (bool, error) {
	token, err := s.cfg.Records.tryLease(ctx, s.cfg.Gateway, sealLease)
	s.holds.Store(token != 0 && err == nil)
	if err != nil {
		return false, err
	}
	if token != s.token {
		s.token, s.heldSince = token, s.cfg.Now()
		clear(s.failed) // others may have gone on with them
		clear(s.done)
	}
	return token != 0, nil
}

// begin decides where sealing begins in a Redis that does not know, when archives have
// had the time to say it.
func (s *Sealer) begin(ctx context.Context, now time.Time) error {
	if now.Sub(s.asked.since) < s.cfg.HealWait {
		return nil
	}
	first, err := s.cfg.Records.firstHour(ctx, HourOf(now))
	if err != nil {
		return err
	}
	_, err = s.cfg.Records.advance(ctx, s.token, first-1)
	return err
}

// due is the newest hour that is to be sealed by now.
func (s *Sealer) due(now time.Time) Hour { return HourOf(now.Add(-s.cfg.After)) - 1 }

// sealDue seals all hours that are to be sealed, the oldest first. One in which
// single instances fail does not hold up those after it, but how far everything is
// sealed stays before it.
func (s *Sealer) sealDue(ctx context.Context, now time.Time) error {
	whole := true
	var failure error
	for h := s.asked.hour + 1; h <= s.due(now); h++ {
		var err error
		if !s.done[h] {
			err = s.sealHour(ctx, h)
		}
		if err != nil && len(s.failed[h]) == 0 {
			return err // Redis is away, rather
		}
		whole = whole && err == nil
		if err != nil {
			failure = err
			continue
		}
		if s.done[h] = true; !whole {
			continue
		}
		if ok, err := s.cfg.Records.advance(ctx, s.token, h); !ok || err != nil {
			return err
		}
		delete(s.done, h)
		s.asked.hour, s.seen = h, max(s.seen, h)
	}
	return failure
}
