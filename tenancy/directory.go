package tenancy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// View is all that a gateway knows of one instance at one moment. Immutable.
type View struct {
	Instance Instance
	Space    Namespace
	Users    map[string]User // by name
	ACLs     *ACLs           // never nil
	Limits   Limits          // the instance's own, over its plan's
	Quotas   []Quota         // sub-quotas within the instance
	Access   *Access         // never nil
}

// Directory is the gateway's in-memory, versioned snapshot of all instances,
// loaded once and kept current by the store's change stream.
//
// It forgets an instance only when it reads its tombstone, never because Redis
// has no record of it: a Redis that comes back empty changes nothing here. It
// adopts whatever Redis does say, also what is older than what it has: otherwise
// it would miss every change after a dump was restored.
type Directory struct {
	cfg   DirectoryConfig
	ready chan struct{}

	views sync.Map // InstanceID -> *View; written by Run only
	hosts hostIndex
	names nameIndex
	plans atomic.Pointer[PlanLimits] // written by Run only
	// applied is the revision up to which everything is here; -1 while that is not known.
	applied atomic.Int64

	watchers     []func(*View) // before Run only
	planWatchers []func()
}

// DirectoryConfig configures NewDirectory.
type DirectoryConfig struct {
	Store   *Store
	Gateway string // this process's id, under which it reports what it has applied; unique among live processes
	Log     *slog.Logger
	// Sweep is how often every instance is compared with Redis, in case a change
	// was made but never announced. Optional; 15 s if zero. The comparison is
	// spread over this time and costs Redis one HGET an instance: 7,000 a second
	// for 100,000 instances.
	Sweep time.Duration
	// Recheck is how long after the announcement of a write that was not
	// followed by the change an instance is read again. Optional; 3 s if zero.
	Recheck time.Duration
}

// NewDirectory returns an empty directory; Run fills it.
func NewDirectory(cfg DirectoryConfig) *Directory {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Sweep = cmp.Or(cfg.Sweep, 15*time.Second)
	cfg.Recheck = cmp.Or(cfg.Recheck, 3*time.Second)
	d := &Directory{cfg: cfg, ready: make(chan struct{}), hosts: hostIndex{log: cfg.Log}}
	d.applied.Store(-1)
	return d
}

// Await waits until this gateway has applied rev, or ctx ends. WaitApplied may not wait
// for it: one that Redis did not hear of for 6 s does not count as live.
func (d *Directory) Await(ctx context.Context, rev Revision) error {
	for d.applied.Load() < int64(rev) {
		if !pause(ctx, appliedPoll) {
			return fmt.Errorf("revision %d is not in force on this gateway: %w", rev, ctx.Err())
		}
	}
	return nil
}

// Ready is closed once the first snapshot is loaded and the store knows that
// this gateway follows: from then on WaitApplied waits for it.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// View returns the instance's present view. Lock-free, without allocation; any
// goroutine. Deleted instances are not found.
func (d *Directory) View(id InstanceID) (*View, bool) {
	v, ok := d.views.Load(id)
	if !ok {
		return nil, false
	}
	return v.(*View), true
}

// Each calls fn for every instance that is not deleted until fn returns false.
// In no order; what changes meanwhile may be seen before or after.
func (d *Directory) Each(fn func(*View) bool) {
	d.views.Range(func(_, v any) bool { return fn(v.(*View)) })
}

// Watch calls fn after every change that has come into force, the first load
// included, one at a time, with the instance's new view (State Deleted when it is
// gone). fn must not block: it holds up all changes. Register before Run.
func (d *Directory) Watch(fn func(*View)) { d.watchers = append(d.watchers, fn) }

// Run loads the snapshot and follows changes until ctx ends, then returns nil.
// Redis being away is never an error: the snapshot stays as it is and Run keeps
// trying. Call it once.
func (d *Directory) Run(ctx context.Context) error {
	newFollower(d).run(ctx)
	return nil
}

// keep lets a new view share what has not changed with the former one.
func (d *Directory) keep(v *View) {
	was, ok := d.View(v.Instance.ID)
	if !ok {
		return
	}
	if slices.Equal(was.ACLs.All, v.ACLs.All) {
		v.ACLs = was.ACLs
	}
	if was.Access.digest == v.Access.digest {
		v.Access = was.Access
	}
}

// publish puts a view in force and tells the watchers.
func (d *Directory) publish(v *View) {
	var had []Host
	var name string
	if was, ok := d.View(v.Instance.ID); ok {
		had, name = was.Access.Hosts, was.Instance.Name
	}
	if v.Instance.State == StateDeleted {
		d.views.Delete(v.Instance.ID)
		d.hosts.change(v.Instance.ID, had, nil)
		d.names.change(v.Instance.ID, name, "")
	} else {
		d.views.Store(v.Instance.ID, v)
		d.hosts.change(v.Instance.ID, had, v.Access.Hosts)
		d.names.change(v.Instance.ID, name, v.Instance.Name)
	}
	for _, fn := range d.watchers {
		fn(v)
	}
}
