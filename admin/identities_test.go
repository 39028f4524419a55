package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/admin/api"
	"weir/tenancy"
	"weir/upstream"
)

// walledPool is a pool that wants a principal for each instance.
type walledPool struct {
	mu      sync.Mutex
	gateway bool                          // as if switched back to one principal for all
	fail    error                         // of every call, but CanKeepIdentities
	cannot  error                         // of CanKeepIdentities
	users   map[string]*upstream.Identity // as last kept
	grants  map[string][]upstream.Grant   // by user
	kept    int                           // calls of KeepIdentity
	strays  map[string]bool               // users that nobody made here
	onKeep  func()                        // in each KeepIdentity, once
}

func newWalledPool() *walledPool {
	return &walledPool{users: map[string]*upstream.Identity{}, grants: map[string][]upstream.Grant{}, strays: map[string]bool{}}
}

func (p *walledPool) Ready() <-chan struct{} { c := make(chan struct{}); close(c); return c }

func (p *walledPool) PerInstance() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.gateway
}

func (p *walledPool) CanKeepIdentities(context.Context) error { return p.cannot }

func (p *walledPool) KeepIdentity(_ context.Context, as *upstream.Identity, grants []upstream.Grant) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept++
	if p.fail != nil {
		return false, p.fail
	}
	p.users[as.User], p.grants[as.User] = as, grants
	if p.onKeep != nil {
		p.onKeep()
		p.onKeep = nil
	}
	return true, nil
}

func (p *walledPool) RemoveIdentity(_ context.Context, user string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	delete(p.users, user)
	delete(p.grants, user)
	return nil
}

func (p *walledPool) Identities(context.Context, string) (upstream.Standing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := upstream.Standing{Users: maps.Clone(p.strays), Grants: map[string]map[upstream.Grant]bool{}}
	for user := range p.users {
		s.Users[user], s.Grants[user] = true, map[upstream.Grant]bool{}
		for _, g := range p.grants[user] {
			s.Grants[user][g] = true
		}
	}
	return s, p.fail
}

// of is what the pool has of an instance.
func (p *walledPool) of(id string) (grants []upstream.Grant, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants["weir-"+id], p.users["weir-"+id] != nil
}

func (p *walledPool) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// walled gives the fixture's pool a wall. Before start only.
func (f *fixture) walled(every, rest time.Duration) (*Identities, *walledPool) {
	f.t.Helper()
	sealer, err := tenancy.NewSealer([]byte(strings.Repeat("s", 32)))
	if err != nil {
		f.t.Fatal(err)
	}
	pool := newWalledPool()
	k := NewIdentities(IdentitiesConfig{
		Store: f.store, Directory: f.directory, Pools: map[string]IdentityPool{testPool: pool}, Sealer: sealer,
		Owner: "gw-1", Log: f.cfg.Log, Every: every, Rest: rest,
	})
	f.cfg.Identities = k
	return k, pool
}

func (f *fixture) keep(k *Identities) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = k.Run(ctx) })
	f.t.Cleanup(func() { cancel(); wg.Wait() })
}

// await waits for what is to come true by itself.
func (f *fixture) await(what string, cond func() bool) {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("not within 20s: %s; log:\n%s", what, f.log)
		}
	}
}

func grant(resource kmsg.ACLResourceType, name string, prefixed bool, op kmsg.ACLOperation) upstream.Grant {
	return upstream.Grant{Resource: resource, Name: name, Prefixed: prefixed, Operation: op}
}

func TestGrantsOf(t *testing.T) {
	prefixed := []upstream.Grant{
		grant(kmsg.ACLResourceTypeTopic, "orders.", true, kmsg.ACLOperationAll),
		grant(kmsg.ACLResourceTypeGroup, "orders.", true, kmsg.ACLOperationAll),
		grant(kmsg.ACLResourceTypeTransactionalId, "orders.", true, kmsg.ACLOperationAll),
	}
	for name, c := range map[string]struct {
		alias tenancy.Alias
		more  []upstream.Grant
	}{
		"own topic": {tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "t", Physical: "legacy"}, []upstream.Grant{grant(kmsg.ACLResourceTypeTopic, "legacy", false, kmsg.ACLOperationAll)}},
		"own group": {tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "g", Physical: "old-g"}, []upstream.Grant{grant(kmsg.ACLResourceTypeGroup, "old-g", false, kmsg.ACLOperationAll)}},
		"own txn":   {tenancy.Alias{Kind: tenancy.KindTxn, Virtual: "x", Physical: "old-x"}, []upstream.Grant{grant(kmsg.ACLResourceTypeTransactionalId, "old-x", false, kmsg.ACLOperationAll)}},
		"shared topic": {tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "s", Physical: "shared", ReadOnly: true}, []upstream.Grant{
			grant(kmsg.ACLResourceTypeTopic, "shared", false, kmsg.ACLOperationRead),
			grant(kmsg.ACLResourceTypeTopic, "shared", false, kmsg.ACLOperationDescribe),
			grant(kmsg.ACLResourceTypeTopic, "shared", false, kmsg.ACLOperationDescribeConfigs),
		}},
		"a group that Kafka would take for all": {tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "all", Physical: "*"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := grantsOf("orders", []tenancy.Alias{c.alias}), append(slices.Clone(prefixed), c.more...); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// An instance that was created can be used; it takes its principal with it.
func TestIdentityOfAnInstance(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Hour)
	r := NewReaper(ReaperConfig{
		Store: f.store, Directory: f.directory, Pools: map[string]Purger{testPool: &fakePool{}}, Identities: k,
		Owner: "gw-1", Log: f.cfg.Log, Every: time.Hour, Retry: time.Millisecond,
	})
	dropped := f.watchDrops()
	f.start().run(r)
	operator := f.token("", "operator")
	if made := f.create("t-acme", "orders"); made.ReadyOn.Gateways != 1 {
		t.Errorf("ready on %+v", made.ReadyOn)
	}
	if grants, there := pool.of("orders"); !there || len(grants) != 3 {
		t.Fatalf("create answered before the pool knows: %v", grants)
	}
	if v, _ := f.directory.View("orders"); v.Access.Identity == nil {
		t.Error("create answered before the gateway knows")
	}

	f.pool.holdTopics("legacy")
	if a := f.do(operator, http.MethodPost, "/v1/instances/orders/aliases", `{"aliases":[{"kind":"topic","name":"old","physical":"legacy"}]}`); a.status != http.StatusCreated {
		t.Fatal(a.body)
	}
	if grants, _ := pool.of("orders"); len(grants) != 4 {
		t.Errorf("with an alias: %v", grants)
	}
	if a := f.do(operator, http.MethodDelete, "/v1/instances/orders/aliases/topic/old", nil); a.status != http.StatusNoContent {
		t.Fatal(a.body)
	}
	if grants, _ := pool.of("orders"); len(grants) != 3 {
		t.Errorf("without it: %v", grants)
	}

	if a := f.do(operator, http.MethodDelete, "/v1/instances/orders", nil); a.status != http.StatusAccepted {
		t.Fatal(a.body)
	}
	f.gone(dropped)
	if grants, there := pool.of("orders"); there || len(grants) > 0 {
		t.Errorf("left in the pool: %v", grants)
	}
	if strings.Contains(f.log.String(), "not set") {
		t.Errorf("log: %s", f.log)
	}
}

// A pool that lets the gateway make no users gets no instances, and is not made any.
func TestIdentityCannot(t *testing.T) {
	f := newFixture(t)
	_, pool := f.walled(time.Hour, time.Hour)
	f.start()
	pool.cannot = errors.New("the gateway's user needs ALTER")
	p := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances", `{"id":"orders","tenant":"t-acme"}`).problem(t)
	if p.Code != "pool-unavailable" || strings.Contains(p.Detail, "ALTER") || !p.Retryable {
		t.Errorf("%+v", p)
	}
	if _, err := f.store.Instance(t.Context(), "orders"); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("it was made all the same: %v", err)
	}
}

// If the pool fails after the instance was written, the answer says that it does
// not work yet, and the gateway goes on until it does.
func TestIdentityLater(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Millisecond)
	f.start().keep(k)
	pool.set(func() { pool.fail = errors.New("broker 3 is away") })
	if made := f.create("t-acme", "orders"); made.ReadyOn.Gateways != 0 || made.ReadyOn.Of != 1 {
		t.Errorf("ready on %+v", made.ReadyOn)
	}
	f.await("some tries", func() bool { pool.mu.Lock(); defer pool.mu.Unlock(); return pool.kept > 3 })
	pool.set(func() { pool.fail = nil })
	f.await("the principal is there", func() bool { _, there := pool.of("orders"); return there })
}

// What instances lack when a gateway starts is made, what was lost is put back,
// what is nobody's is said and left.
func TestIdentitySurvey(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(10*time.Millisecond, time.Millisecond)
	pool.gateway = true // the instances are older than the wall
	f.start()
	f.create("t-acme", "orders")
	f.create("t-acme", "bills")
	if _, there := pool.of("orders"); there {
		t.Fatal("made where none is wanted")
	}
	pool.gateway = false
	pool.strays["weir-gone"] = true
	f.keep(k)
	both := func() bool {
		a, _ := pool.of("orders")
		b, _ := pool.of("bills")
		return len(a) == 3 && len(b) == 3
	}
	f.await("both have one", both)
	for what, lose := range map[string]func(){
		"an acl":   func() { pool.grants["weir-orders"] = pool.grants["weir-orders"][:2] },
		"the user": func() { delete(pool.users, "weir-bills"); delete(pool.grants, "weir-bills") },
		"more acls than it should have": func() {
			pool.grants["weir-bills"] = append(pool.grants["weir-bills"], grant(kmsg.ACLResourceTypeTopic, "orders.", true, kmsg.ACLOperationAll))
		},
	} {
		pool.set(lose)
		f.await("repaired: "+what, both)
	}
	f.await("the orphan is reported", func() bool { return strings.Contains(f.log.String(), "User:weir-gone") })
	if strings.Contains(f.log.String(), "of no instance\",\"pool\":\"pool-a\",\"principal\":\"User:weir-orders") {
		t.Error("a principal of an instance is called an orphan")
	}
}

// An instance whose creator died is not left without.
func TestIdentityOfAnOrphanedCreate(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Millisecond)
	f.start().keep(k)
	pool.set(func() { pool.fail = errors.New("broker 3 is away") })
	_, _, err := f.store.CreateInstance(t.Context(), tenancy.Instance{
		ID: "orders", Name: "orders", Tenant: "t-acme", Plan: "standard", Pool: testPool, State: tenancy.StateActive,
		ClusterID: "AAAAAAAAAAAAAAAAAAAAAA", CreatedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.await("some tries", func() bool { pool.mu.Lock(); defer pool.mu.Unlock(); return pool.kept > 3 })
	pool.set(func() { pool.fail = nil })
	f.await("the principal is there", func() bool { _, there := pool.of("orders"); return there })
}

// What another gateway is at is looked at again when that one is through: it may
// have begun before something was lost.
func TestIdentityOfAnotherGateway(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Millisecond)
	f.start()
	f.create("t-acme", "orders")
	if _, err := f.store.TryLease(t.Context(), "orders", identityLease, "gw-2", 1_000_000); err != nil {
		t.Fatal(err)
	}
	pool.set(func() { delete(pool.users, "weir-orders") })
	k.repair(t.Context(), "orders", true)
	if _, there := pool.of("orders"); there || !k.want["orders"].lost {
		t.Errorf("done %v, noted %v: it is to wait for the other, and look again", there, k.want)
	}
	f.redis.Del("weir:{orders}:lease:" + identityLease)
	f.keep(k)
	f.await("the principal is there", func() bool { _, there := pool.of("orders"); return there })
}

// Somebody who deletes an instance while its principal is being made leaves none behind.
func TestIdentityOfADeletedInstance(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Hour)
	f.start()
	f.create("t-acme", "orders")
	in, err := f.store.Instance(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	pool.onKeep = func() {
		if _, _, err := f.store.UpdateInstance(t.Context(), "orders", func(i *tenancy.Instance) error { i.State = tenancy.StateDeleting; return nil }); err != nil {
			t.Error(err)
		}
	}
	if _, err := k.Ensure(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if _, there := pool.of("orders"); there {
		t.Error("it stays in the pool for ever")
	}
}

// Several gateways that make the same identity at once agree on its password.
func TestIdentityMadeAtOnce(t *testing.T) {
	f := newFixture(t)
	k, pool := f.walled(time.Hour, time.Hour)
	pool.gateway = true
	f.start()
	f.create("t-acme", "orders")
	pool.gateway = false
	in, err := f.store.Instance(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := k.Ensure(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, err := f.store.Identity(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.put(t.Context(), in, stored); err != nil {
		t.Error(err)
	}
}

// Rotation is the operator's, and only where there is something to rotate.
func TestRotateIdentity(t *testing.T) {
	f := newFixture(t)
	_, pool := f.walled(time.Hour, time.Hour)
	f.start()
	f.create("t-acme", "orders")
	before, _ := f.store.Identity(t.Context(), "orders")
	const path = "/v1/instances/orders/identity/rotate"
	a := f.do(f.token("", "operator"), http.MethodPost, path, nil)
	if got := decodeAs[api.RotatedIdentity](t, a); a.status != http.StatusOK || got.Principal != "User:weir-orders" || got.ReadyOn.Gateways != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
	after, _ := f.store.Identity(t.Context(), "orders")
	if slices.Equal(before.Password, after.Password) {
		t.Error("the password did not change")
	}
	if p := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, path, nil).problem(t); p.Code != "not-allowed" {
		t.Errorf("%+v", p)
	}
	pool.set(func() { pool.fail = errors.New("away") })
	if p := f.do(f.token("", "operator"), http.MethodPost, path, nil).problem(t); p.Code != "pool-unavailable" {
		t.Errorf("%+v", p)
	}
	pool.set(func() { pool.gateway = true })
	if p := f.do(f.token("", "operator"), http.MethodPost, path, nil).problem(t); p.Code != "pool-identity-off" {
		t.Errorf("%+v", p)
	}
}
