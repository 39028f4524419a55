package quota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// ErrConnections is an instance that has as many connections as it may.
var ErrConnections = errors.New("too many connections")

// Config of a Limiter.
type Config struct {
	// Instance is an instance's present view and its plan's limits. Any goroutine.
	Instance func(tenancy.InstanceID) (v *tenancy.View, plan tenancy.Limits, ok bool)
	Log      *slog.Logger
	Registry prometheus.Registerer // optional
	// Throttles keeps who was throttled, for all gateways; nil: this one alone knows.
	Throttles *ThrottleStore
	// Lender is what all gateways lease from; nil: this process is the only one.
	Lender  Lender
	Gateway string // this process among all that share the Lender
}

// Limiter holds every instance to its limits. Any goroutine may use it.
type Limiter struct {
	cfg       Config
	lender    Lender
	throttles *throttleBook
	hards     sync.Map // InstanceID → *Hard
	metrics   *metrics
	rounds    rounds
	gateways  atomic.Int64  // of the fleet, by the newest answer
	frozen    atomic.Bool   // nobody answers
	kick      chan struct{} // has an element once somebody hurries

	mu       sync.Mutex
	accounts map[tenancy.InstanceID]*account

	// hurry's; its own lock, for Spend takes it.
	hurrying sync.Mutex
	hurries  []*bucket
	placing  []*account
}

// New returns a limiter; Run fills its buckets.
func New(cfg Config) *Limiter {
	l := &Limiter{
		cfg: cfg, lender: cfg.Lender, throttles: newThrottleBook(newThrottleMetrics(cfg.Registry), cfg.Throttles != nil), metrics: newMetrics(cfg.Registry),
		kick: make(chan struct{}, 1), accounts: map[tenancy.InstanceID]*account{},
	}
	if l.lender == nil {
		l.lender = NewMemory(time.Now)
	}
	if l.cfg.Log == nil {
		l.cfg.Log = slog.New(slog.DiscardHandler)
	}
	l.rounds = rounds{limiter: l, epoch: time.Now().UnixMilli()}
	return l
}

// Scope returns what the requests of a user and client id are charged to. user is
// the name within the instance; client "" if the client says none. The caller
// closes it.
func (l *Limiter) Scope(id tenancy.InstanceID, user, client string) *Scope {
	s := &Scope{user: user, client: client}
	l.with(id, func(a *account) { a.join(s) })
	return s
}

// Connect counts a connection of an instance: release must be called when it ends.
// It may wait for Redis, 500 ms at the most. ErrConnections if the instance may have
// no more.
func (l *Limiter) Connect(ctx context.Context, id tenancy.InstanceID) (release func(), err error) {
	var a *account
	l.with(id, func(is *account) { a = is; a.connecting++ })
	if err := a.connect(ctx); err != nil {
		return nil, err
	}
	return sync.OnceFunc(a.disconnect), nil
}

// Changed puts an instance's new limits in force, on scopes that are held too. A
// tenancy.Directory watcher: it does not block.
func (l *Limiter) Changed(v *tenancy.View) {
	l.hardChanged(v)
	l.mu.Lock()
	a := l.accounts[v.Instance.ID]
	l.mu.Unlock()
	if a != nil {
		a.resolve()
	}
}

// PlansChanged puts new limits of plans in force, of all instances.
func (l *Limiter) PlansChanged() {
	l.hardPlansChanged()
	l.each((*account).resolve)
}

// Usage is what all gateways together use of an instance's rates and connections:
// now, and at the most in the last 24 hours. What has no limit is not counted.
func (l *Limiter) Usage(ctx context.Context, id tenancy.InstanceID) (map[tenancy.LimitName]Use, error) {
	return l.lender.Use(ctx, id)
}

// with calls fn with the account of an instance, locked. What goes on in one account,
// which may have many scopes, keeps nobody from another.
func (l *Limiter) with(id tenancy.InstanceID, fn func(*account)) {
	for {
		a := l.account(id)
		a.mu.Lock()
		if !a.gone {
			defer a.mu.Unlock()
			if !a.known {
				a.read()
			}
			fn(a)
			return
		}
		a.mu.Unlock()
		l.remove(a) // who forgot it is about to
	}
}

// account is an instance's account, a new one if there is none.
func (l *Limiter) account(id tenancy.InstanceID) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[id]
	if a == nil {
		a = newAccount(l, id)
		l.accounts[id] = a
		if len(l.accounts) == 1 {
			l.wakeRun() // to say that this gateway lives
		}
	}
	return a
}

// forget drops an account that nobody uses: nothing in it differs from a new one.
func (l *Limiter) forget(a *account) {
	a.mu.Lock()
	a.gone = a.gone || a.unused()
	gone := a.gone
	a.mu.Unlock()
	if gone {
		l.remove(a)
	}
}

func (l *Limiter) remove(a *account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accounts[a.id] == a {
		delete(l.accounts, a.id)
	}
}

func (l *Limiter) each(fn func(*account)) {
	l.mu.Lock()
	all := make([]*account, 0, len(l.accounts))
	for _, a := range l.accounts {
		all = append(all, a)
	}
	l.mu.Unlock()
	for _, a := range all {
		fn(a)
	}
}

// limits reports whether there is anybody to be held to something.
func (l *Limiter) limits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accounts) > 0
}
