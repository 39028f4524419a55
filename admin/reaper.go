package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/tenancy"
)

const (
	reapLease = "reap"
	// reapLeaseTTL is after how long another gateway takes over from one that died.
	reapLeaseTTL = 30 * time.Second
	// reapParallel is how many instances of one pool one gateway removes at a time.
	reapParallel = 4
	// reapTimeout bounds one attempt; what is left is found by the next.
	reapTimeout = 5 * time.Minute
)

// Purger removes everything in a pool whose name begins with prefix, and returns
// once nothing has come back for a while: requests that were on their way when
// the sessions were closed may still create a topic. It may be interrupted and
// called again; *upstream.Pool provides it.
type Purger interface {
	Purge(ctx context.Context, prefix string) error
}

// ReaperConfig configures NewReaper.
type ReaperConfig struct {
	Store     *tenancy.Store
	Directory *tenancy.Directory
	Pools     map[string]Purger // by name
	// Identities are removed with their instances. Optional.
	Identities *Identities
	// Owner is this process in leases, unique among the live gateways.
	Owner string
	Log   *slog.Logger
	// Every is how often the directory is searched for deletions that no change
	// announced, 30s if zero.
	Every time.Duration
	// Retry is the pause after an attempt that failed, 5s if zero.
	Retry time.Duration
}

// Reaper finishes the deletion of instances: it runs on every gateway, a lease
// in the store gives each instance to one of them. It keeps nothing of its own,
// so that any gateway continues where another one died.
type Reaper struct {
	cfg   ReaperConfig
	wake  chan struct{}            // cap 1: there may be somebody to reap
	slots map[string]chan struct{} // by pool, so that one that hangs holds up nobody else's; immutable

	mu   sync.Mutex
	busy map[tenancy.InstanceID]bool // being reaped, or resting after a failure
}

// NewReaper registers with the directory, which must not run yet; Run works.
func NewReaper(cfg ReaperConfig) *Reaper {
	cfg.Every = cmp.Or(cfg.Every, 30*time.Second)
	cfg.Retry = cmp.Or(cfg.Retry, 5*time.Second)
	r := &Reaper{
		cfg: cfg, wake: make(chan struct{}, 1),
		slots: make(map[string]chan struct{}), busy: make(map[tenancy.InstanceID]bool),
	}
	for pool := range cfg.Pools {
		r.slots[pool] = make(chan struct{}, reapParallel)
	}
	cfg.Directory.Watch(func(v *tenancy.View) {
		if v.Instance.State == tenancy.StateDeleting {
			r.poke()
		}
	})
	return r
}

func (r *Reaper) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run finishes deletions until ctx ends. A failure is logged and tried again.
// It goes on looking while deletions are under way: a slow one holds up no other.
func (r *Reaper) Run(ctx context.Context) error {
	select {
	case <-r.cfg.Directory.Ready():
	case <-ctx.Done():
		return nil
	}
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		sweeps.Go(func() { r.sweep(ctx) })
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// sweep reaps every instance that the directory shows as deleting and that no
// other sweep is at. It returns false if one of them failed: that one is looked
// for again after a rest.
func (r *Reaper) sweep(ctx context.Context) bool {
	var group errgroup.Group
	r.cfg.Directory.Each(func(v *tenancy.View) bool {
		if v.Instance.State == tenancy.StateDeleting && r.take(v.Instance.ID) {
			group.Go(func() error { return r.attempt(ctx, v) })
		}
		return ctx.Err() == nil
	})
	return group.Wait() == nil
}

// attempt reaps one that was taken, and gives it back: after a failure only when
// it has rested. Every attempt writes (see barrier) and so wakes us: obeying at
// once would turn a broken pool into a busy loop.
func (r *Reaper) attempt(ctx context.Context, v *tenancy.View) error {
	id := v.Instance.ID
	err := r.reap(ctx, v)
	if err == nil || ctx.Err() != nil {
		r.giveBack(id)
		return err
	}
	r.cfg.Log.Error("instance not removed yet; trying again", "instance", string(id), "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(r.cfg.Retry):
	}
	r.giveBack(id)
	r.poke()
	return err
}

func (r *Reaper) take(id tenancy.InstanceID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[id] {
		return false
	}
	r.busy[id] = true
	return true
}

func (r *Reaper) giveBack(id tenancy.InstanceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, id)
}

// reap removes one instance's topics, groups and principal and then the instance, while
// this gateway holds the lease.
func (r *Reaper) reap(ctx context.Context, v *tenancy.View) error {
	id := v.Instance.ID
	pool, ok := r.cfg.Pools[v.Instance.Pool]
	if !ok {
		return fmt.Errorf("pool %q is not configured here; add it to the configuration", v.Instance.Pool)
	}
	slot := r.slots[v.Instance.Pool]
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	mine, err := r.lease(ctx, id)
	if err != nil || !mine {
		return err
	}
	var renewals errgroup.Group
	renewals.Go(func() error { return r.renew(ctx, cancel, id) })
	err = r.remove(ctx, pool, v)
	cancel()
	return errors.Join(err, renewals.Wait())
}

func (r *Reaper) remove(ctx context.Context, pool Purger, v *tenancy.View) error {
	if err := r.barrier(ctx, v.Instance.ID); err != nil {
		return err
	}
	if err := pool.Purge(ctx, v.Space.Prefix()); err != nil {
		return err
	}
	if err := r.cfg.Identities.Remove(ctx, v.Instance); err != nil {
		return err
	}
	_, _, err := r.cfg.Store.UpdateInstance(ctx, v.Instance.ID, func(i *tenancy.Instance) error {
		i.State = tenancy.StateDeleted
		return nil
	})
	if err == nil {
		r.cfg.Log.Info("instance removed", "instance", string(v.Instance.ID))
	}
	return err
}

// barrier returns once every live gateway has closed the instance's sessions: a
// client that is still connected to a slow gateway would create again what is
// purged. It writes the instance unchanged, because the revision of that write
// comes after the one that said "deleting".
func (r *Reaper) barrier(ctx context.Context, id tenancy.InstanceID) error {
	_, rev, err := r.cfg.Store.UpdateInstance(ctx, id, func(*tenancy.Instance) error { return nil })
	if err != nil {
		return err
	}
	ready, of, err := r.cfg.Store.WaitApplied(ctx, rev)
	if err == nil && ready < of {
		err = context.DeadlineExceeded
	}
	if err != nil {
		return fmt.Errorf("waiting for %d of %d gateways to close its sessions: %w", of-ready, of, err)
	}
	return nil
}

func (r *Reaper) lease(ctx context.Context, id tenancy.InstanceID) (bool, error) {
	return r.cfg.Store.TryLease(ctx, id, reapLease, r.cfg.Owner, reapLeaseTTL.Milliseconds())
}

// renew keeps the lease until ctx ends, and stops the work if it is lost.
func (r *Reaper) renew(ctx context.Context, stop func(), id tenancy.InstanceID) error {
	tick := time.NewTicker(reapLeaseTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		mine, err := r.lease(ctx, id)
		if err == nil && !mine {
			err = errors.New("another gateway took it")
		}
		if err != nil && ctx.Err() == nil {
			stop()
			return fmt.Errorf("keeping the lease: %w", err)
		}
	}
}
