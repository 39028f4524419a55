package export

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"weir/billing"
	"weir/metering"
	"weir/tenancy"
)

// Records are what usage is exported from.
type Records interface {
	metering.Records
	// SealedThrough is the newest hour up to which all are sealed; not ok if none ever was.
	SealedThrough(ctx context.Context) (h metering.Hour, ok bool, err error)
}

// Charges makes charges of records; *billing.Charger does. Any goroutine.
type Charges interface {
	Charges(ctx context.Context, q billing.Query) iter.Seq2[billing.Charge, error]
}

// Config of an Exporter.
type Config struct {
	Records Records
	Charges Charges // nil: nothing has prices
	// Retention is how long records are kept.
	Retention time.Duration
	// Issuer is who writes the invoices, in FOCUS files; "Weir" if empty.
	Issuer string
	Now    func() time.Time // time.Now if nil
}

const (
	// maxRunning is how many files are made at the same time, and maxOwn how many for
	// one tenant.
	maxRunning = 4
	maxOwn     = 2
	// maxTenants of them are for tenants: however slowly theirs are read, one is left for
	// who writes the invoices.
	maxTenants = maxRunning - 1
	// maxKnown is how many files' sums are remembered.
	maxKnown = 10_000
)

// ErrBusy says that as many files are being made as may be.
var ErrBusy = errors.New("as many exports are running as may")

// Exporter makes the files of exports. Any goroutine.
type Exporter struct {
	cfg Config

	mu      sync.Mutex
	running map[tenancy.TenantID]int // by who asked
	all     int                      // of them
	known   map[string]Made          // by ETag
}

// New returns one that makes nothing yet.
func New(cfg Config) *Exporter {
	cfg.Issuer = cmp.Or(cfg.Issuer, "Weir")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Exporter{cfg: cfg, running: map[tenancy.TenantID]int{}, known: map[string]Made{}}
}

// settle is how long after a correction's moment it is taken for written: an export as
// of a moment that has just been would miss what a sealer is about to write.
const settle = time.Minute

// Plan fills in the moment that an export is as of if that is left open, and checks the
// rest. What is wrong is a *Mistake.
func (x *Exporter) Plan(ctx context.Context, s Spec) (Spec, error) {
	sealed, err := Sealed(ctx, x.cfg.Records)
	if err != nil {
		return s, err
	}
	now := x.cfg.Now()
	if s.AsOf.IsZero() {
		s.AsOf = now.Add(-settle)
		if first := sealedAt(s.To); s.AsOf.Before(first) {
			s.AsOf = first
		}
	}
	s.AsOf = s.AsOf.UTC().Truncate(time.Second)
	if s.Format == FOCUS && x.cfg.Charges == nil {
		return s, mistake("format", "there are no prices, so nothing is charged")
	}
	return s, s.check(now, sealed, x.cfg.Retention)
}

// Period says what is wrong with a period of which open hours may be a part: it must
// have begun, and may end later than now. A *Mistake; nil if nothing is.
func (x *Exporter) Period(from, to metering.Hour) error {
	now := x.cfg.Now()
	if from.Begin().After(now) {
		return mistake("from", "%s is in the future; it is %s", from, now.UTC().Format(time.RFC3339))
	}
	return checkPeriod(from, to, now, x.cfg.Retention)
}

// Sealed is the first hour that is not sealed for everybody yet; 0 if none ever was.
func Sealed(ctx context.Context, r Records) (metering.Hour, error) {
	h, ok, err := r.SealedThrough(ctx)
	if err != nil || !ok {
		return 0, err
	}
	return h + 1, nil
}

// Begin takes one of the places of running exports for who asks, a tenant or the
// operator (""); end gives it back.
func (x *Exporter) Begin(who tenancy.TenantID) (end func(), err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	operators := x.running[""]
	if x.all >= maxRunning || x.running[who] >= maxOwn || who != "" && x.all-operators >= maxTenants {
		return nil, ErrBusy
	}
	x.all++
	x.running[who]++
	return sync.OnceFunc(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.all--
		if x.running[who]--; x.running[who] == 0 {
			delete(x.running, who)
		}
	}), nil
}

// remember keeps what is known of a file; when there is no room, some other is forgotten.
func (x *Exporter) remember(f File, m Made) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= maxKnown {
		for etag := range x.known {
			delete(x.known, etag)
			break
		}
	}
	x.known[f.ETag] = m
}

func (x *Exporter) recall(f File) (Made, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	m, ok := x.known[f.ETag]
	return m, ok
}
