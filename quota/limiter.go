package quota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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
}

// Limiter holds every instance to its limits. Any goroutine may use it.
type Limiter struct {
	cfg       Config
	throttles *throttleBook
	hards     sync.Map // InstanceID → *Hard

	mu       sync.Mutex
	accounts map[tenancy.InstanceID]*account
}

// New returns a limiter; Run fills its buckets.
func New(cfg Config) *Limiter {
	return &Limiter{
		cfg: cfg, throttles: newThrottleBook(newThrottleMetrics(cfg.Registry), cfg.Throttles != nil),
		accounts: map[tenancy.InstanceID]*account{},
	}
}

// Run fills buckets until ctx ends, then returns nil. Call it once.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(refillEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := time.Now()
			l.each(func(a *account) { a.refill(now.Sub(last)) })
			last = now
		}
	}
}

// Scope returns what the requests of a user and client id are charged to. user is
// the name within the instance; client "" if the client says none. The caller
// closes it.
func (l *Limiter) Scope(id tenancy.InstanceID, user, client string) *Scope {
	return l.account(id).scope(user, client)
}

// Connect counts a connection of an instance: release must be called when it ends.
// ErrConnections if the instance may have no more.
func (l *Limiter) Connect(ctx context.Context, id tenancy.InstanceID) (release func(), err error) {
	return l.account(id).connect(ctx)
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

func (l *Limiter) account(id tenancy.InstanceID) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[id]
	if a == nil {
		a = newAccount(l, id)
		l.accounts[id] = a
	}
	return a
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
