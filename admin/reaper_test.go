package admin

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"weir/tenancy"
)

// fakePool purges as a pool does, and can be told to fail first.
type fakePool struct {
	mu     sync.Mutex
	fail   int
	purged []string
}

func (p *fakePool) Purge(ctx context.Context, prefix string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail > 0 {
		p.fail--
		return errors.New("broker 3 is away")
	}
	p.purged = append(p.purged, prefix)
	return ctx.Err()
}

func (p *fakePool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.purged)
}

// reaper returns one with short pauses, registered before the directory runs.
func (f *fixture) reaper(pool Purger) *Reaper {
	return NewReaper(ReaperConfig{
		Store: f.store, Directory: f.directory, Pools: map[string]Purger{testPool: pool}, Owner: "gw-1", Log: f.cfg.Log,
		Every: time.Hour, Retry: time.Millisecond,
	})
}

// gone waits until the directory has dropped the instance, or the test's own
// time-out tells where it hangs.
func (f *fixture) gone(dropped <-chan tenancy.InstanceID) tenancy.InstanceID {
	f.t.Helper()
	select {
	case id := <-dropped:
		return id
	case <-time.After(20 * time.Second):
		f.t.Fatalf("not removed within 20s; log:\n%s", f.log)
		return ""
	}
}

// watchDrops reports instances as they are dropped. Before start only.
func (f *fixture) watchDrops() <-chan tenancy.InstanceID {
	dropped := make(chan tenancy.InstanceID, 16)
	f.directory.Watch(func(v *tenancy.View) {
		if v.Instance.State == tenancy.StateDeleted {
			dropped <- v.Instance.ID
		}
	})
	return dropped
}

func (f *fixture) run(r *Reaper) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	f.t.Cleanup(func() { cancel(); wg.Wait() })
}

// A delete over REST ends in 404 and a free name, over failures of the pool,
// and touches nobody else.
func TestReaperFinishesDeletion(t *testing.T) {
	f := newFixture(t)
	pool := &fakePool{fail: 2}
	r, dropped := f.reaper(pool), f.watchDrops()
	f.start().run(r)
	f.create("t-acme", "orders")
	f.create("t-acme", "orders2")
	token := f.token("t-acme", "tenant-admin")
	if a := f.do(token, http.MethodDelete, "/v1/instances/orders", nil); a.status != http.StatusAccepted {
		t.Fatal(a.body)
	}
	if got := f.gone(dropped); got != "orders" {
		t.Fatalf("%s was removed", got)
	}
	for _, prefix := range pool.purged {
		if prefix != "orders." {
			t.Errorf("purged %q", prefix)
		}
	}
	if p := f.do(token, http.MethodGet, "/v1/instances/orders", nil).problem(t); p.Code != "instance-not-found" {
		t.Errorf("%+v", p)
	}
	if p := f.do(token, http.MethodPost, "/v1/instances", `{"id":"orders","name":"other"}`).problem(t); p.Code != "instance-id-taken" {
		t.Errorf("the id was given again: %+v", p)
	}
	if a := f.do(token, http.MethodPost, "/v1/instances", `{"name":"orders"}`); a.status != http.StatusCreated {
		t.Errorf("the name is not free: %s", a.body)
	}
}

// stuckPool never comes to the end of one instance.
type stuckPool struct {
	prefix string
	began  chan struct{}
}

func (p stuckPool) Purge(ctx context.Context, prefix string) error {
	if prefix != p.prefix {
		return nil
	}
	p.began <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// A deletion that does not come to an end holds up no other, in the same pool neither.
func TestReaperGoesOnBesideASlowDeletion(t *testing.T) {
	f := newFixture(t)
	pool := stuckPool{prefix: "stuck.", began: make(chan struct{}, 1)}
	r, dropped := f.reaper(pool), f.watchDrops()
	f.start().run(r)
	f.create("t-acme", "stuck")
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	f.do(token, http.MethodDelete, "/v1/instances/stuck", nil)
	<-pool.began
	f.do(token, http.MethodDelete, "/v1/instances/orders", nil)
	if got := f.gone(dropped); got != "orders" {
		t.Errorf("%s was removed", got)
	}
}

// What a gateway left behind when it died is found at the start of another one,
// without any change to announce it.
func TestReaperResumes(t *testing.T) {
	f := newFixture(t)
	_, _, err := f.store.CreateInstance(t.Context(), tenancy.Instance{
		ID: "orders", Name: "orders", Tenant: "t-acme", Plan: "standard", Pool: testPool,
		State: tenancy.StateDeleting, ClusterID: "AAAAAAAAAAAAAAAAAAAAAA", CreatedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := &fakePool{}
	r, dropped := f.reaper(pool), f.watchDrops()
	f.start().run(r)
	f.gone(dropped)
	if pool.count() != 1 {
		t.Errorf("purged %d times, want once", pool.count())
	}
}

// While another gateway holds the lease, this one keeps its hands off.
func TestReaperRespectsLease(t *testing.T) {
	f := newFixture(t)
	pool := &fakePool{}
	r := f.reaper(pool)
	f.start()
	f.create("t-acme", "orders")
	if ok, err := f.store.TryLease(t.Context(), "orders", reapLease, "gw-2", time.Minute.Milliseconds()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	f.do(f.token("", "operator"), http.MethodDelete, "/v1/instances/orders", nil)
	if !r.sweep(t.Context()) {
		t.Error("somebody else's lease was taken for a failure")
	}
	if pool.count() != 0 {
		t.Error("purged what another gateway is purging")
	}
	f.redis.FastForward(2 * time.Minute) // gw-2 died
	if !r.sweep(t.Context()) || pool.count() == 0 {
		t.Error("not taken over")
	}
}

// A pool that this gateway does not know is somebody else's, or a mistake to be
// seen in the log; nothing is marked as gone.
func TestReaperWithoutThePool(t *testing.T) {
	f := newFixture(t)
	r := NewReaper(ReaperConfig{Store: f.store, Directory: f.directory, Owner: "gw-1", Log: f.cfg.Log})
	f.start()
	f.create("t-acme", "orders")
	f.do(f.token("", "operator"), http.MethodDelete, "/v1/instances/orders", nil)
	if r.sweep(t.Context()) {
		t.Error("taken for done")
	}
	if i, err := f.store.Instance(t.Context(), "orders"); err != nil || i.State != tenancy.StateDeleting {
		t.Errorf("%+v %v", i, err)
	}
}

// Sessions on another gateway that has not heard of it yet would create topics
// again: nothing is purged before every live gateway has applied the change.
func TestReaperWaitsForEveryGateway(t *testing.T) {
	f := newFixture(t)
	pool := &fakePool{}
	r := f.reaper(pool)
	marked := make(chan struct{}, 1)
	f.directory.Watch(func(v *tenancy.View) {
		if v.Instance.State == tenancy.StateDeleting {
			select {
			case marked <- struct{}{}:
			default:
			}
		}
	})
	f.start()
	f.create("t-acme", "orders")
	release := f.stuckGateway("gw-2")

	_, _, err := f.store.UpdateInstance(t.Context(), "orders", func(i *tenancy.Instance) error {
		i.State = tenancy.StateDeleting
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-marked
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r.sweep(short) || pool.count() != 0 {
		t.Error("purged while gw-2 still serves the instance")
	}
	release()
	if !r.sweep(t.Context()) || pool.count() == 0 {
		t.Errorf("not purged after gw-2 has applied it; log:\n%s", f.log)
	}
}

// stuckGateway is a live gateway that does not come to the end of a deletion
// until it is released.
func (f *fixture) stuckGateway(id string) (release func()) {
	f.t.Helper()
	held := make(chan struct{})
	other := tenancy.NewDirectory(tenancy.DirectoryConfig{Store: f.store, Gateway: id, Log: f.cfg.Log})
	other.Watch(func(v *tenancy.View) {
		if v.Instance.State == tenancy.StateDeleting {
			<-held
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = other.Run(ctx) })
	release = sync.OnceFunc(func() { close(held) })
	f.t.Cleanup(func() { release(); cancel(); wg.Wait() })
	<-other.Ready()
	return release
}
