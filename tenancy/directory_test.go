package tenancy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFollow(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	mustCreate(t, s, someInstance("gone"))
	mustUpdate(t, s, "gone", setState(StateDeleted))
	g := run(t, s, "gw-1").waitReady()

	applied := func(rev Revision, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if ready, of, err := s.WaitApplied(t.Context(), rev); ready != 1 || of != 1 || err != nil {
			t.Fatalf("in force on %d of %d, %v; want 1 of 1", ready, of, err)
		}
	}
	v, ok := g.View("orders")
	if !ok || v.Users["alice"].Name != "alice" || v.Space.Prefix() != "orders." {
		t.Fatalf("after the first load: %+v, %t", v, ok)
	}
	_, rev := mustCreate(t, s, someInstance("bills"))
	applied(rev, nil)
	_, rev, err := s.PutUser(t.Context(), "orders", User{Name: "bob"})
	applied(rev, err)
	rev, err = s.DeleteUser(t.Context(), "orders", "alice")
	applied(rev, err)
	_, rev = mustUpdate(t, s, "orders", setState(StateSuspended))
	applied(rev, nil)
	_, rev = mustUpdate(t, s, "orders", setState(StateSuspended)) // no news
	applied(rev, nil)
	_, rev = mustUpdate(t, s, "bills", setState(StateDeleted))
	applied(rev, nil)

	if _, ok := g.View("bills"); ok {
		t.Error("a deleted instance is found")
	}
	if v.Users["alice"].Name != "alice" || v.Instance.State != StateActive {
		t.Error("a view changed after it was handed out")
	}
	if v, _ := g.View("orders"); len(v.Users) != 1 || v.Users["bob"].Name != "bob" || v.Instance.State != StateSuspended {
		t.Errorf("in the end: %+v", v)
	}
	want := []string{
		"orders active v1 1", "bills active v1 0", "orders active v1 2", "orders active v1 1",
		"orders suspended v2 1", "bills deleted v2 0",
	}
	if diff := cmp.Diff(want, g.events()); diff != "" {
		t.Errorf("watched (-want +got):\n%s", diff)
	}
}

func TestManyInstances(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	const n = 2*maxPage + 7 // three pages
	for i := range n {
		in := someInstance(InstanceID(fmt.Sprintf("i-%d", i)))
		if err := s.writeInstance(t.Context(), in, 0, 0); err != nil {
			t.Fatal(err)
		}
		m.ZAdd(keyIndex, 0, string(in.ID))
	}
	g := run(t, s, "gw-1").waitReady()
	count := 0
	g.Each(func(*View) bool { count++; return true })
	if count != n {
		t.Errorf("loaded %d of %d instances", count, n)
	}
	count = 0
	g.Each(func(*View) bool { count++; return count < 3 })
	if count != 3 {
		t.Errorf("Each went on to %d after fn had returned false at 3", count)
	}
	id := InstanceID("i-5")
	if allocs := testing.AllocsPerRun(100, func() { g.View(id); g.View("nobody") }); allocs != 0 {
		t.Errorf("View allocates %v times, want 0", allocs)
	}
}

// Redis is away and comes back with all it had: nothing is missed.
func TestRedisRestart(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1").waitReady()
	m.Close()
	g.log.waitFor(t, "redis is away", 1)
	if _, ok := g.View("orders"); !ok {
		t.Error("an instance was forgotten while redis is away")
	}
	restart(t, m)
	mustUpdate(t, s, "orders", setState(StateSuspended)) // before the directory is back, as it may be
	g.untilVersion("orders", 2)
	g.log.waitFor(t, "redis is back", 1)
	_, rev := mustUpdate(t, s, "orders", setState(StateActive))
	waitInForce(t, s, rev, 1)
	g.untilVersion("orders", 3)
}

func TestStartsWithoutRedis(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	m.Close()
	g := run(t, s, "gw-1")
	g.log.waitFor(t, "redis is away", 1)
	select {
	case <-g.Ready():
		t.Error("ready without ever having read anything")
	default:
	}
	restart(t, m)
	g.waitReady()
	if _, ok := g.View("orders"); !ok {
		t.Error("ready without the snapshot")
	}
}

// Redis comes back empty: the snapshot stays in force, and life goes on with the
// revisions of a new counter.
func TestRedisFlushed(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	for i := range 20 {
		mustCreate(t, s, someInstance(InstanceID(fmt.Sprintf("i-%d", i))))
	}
	g := run(t, s, "gw-1").waitReady()
	m.FlushAll()
	_, rev := mustCreate(t, s, someInstance("after"))
	if rev != 1 {
		t.Fatalf("revision after the flush is %d, want 1", rev)
	}
	waitInForce(t, s, rev, 1)
	if _, ok := g.View("after"); !ok {
		t.Error("WaitApplied took a revision of the former life for the new one")
	}
	if _, ok := g.View("i-7"); !ok {
		t.Error("an instance was dropped because redis had lost it")
	}
	g.log.waitFor(t, "lost=20 instances=21", 1)
	if n := g.log.count("redis has lost instances"); n != 1 {
		t.Errorf("warned %d times, want once a reload", n)
	}
}

// A gateway notices an emptied Redis by itself, without any change.
func TestRedisFlushedQuietly(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1").waitReady()
	m.FlushAll()
	g.log.waitFor(t, "lost=1", 1) // with the next heartbeat
}

// An older dump is restored: what it says is adopted, also where it is older,
// and an instance that it does not know stays.
func TestOlderDumpRestored(t *testing.T) {
	t.Parallel()
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	restore := dump(t, rdb)
	mustUpdate(t, s, "orders", setState(StateSuspended))
	mustCreate(t, s, someInstance("later"))
	g := run(t, s, "gw-1").waitReady()
	g.untilVersion("orders", 2)

	restore()
	g.untilVersion("orders", 1)
	if _, ok := g.View("later"); !ok {
		t.Error("an instance was dropped because redis had lost it")
	}
	// The same version once more, with another content.
	_, rev := mustUpdate(t, s, "orders", rename("renamed"))
	waitInForce(t, s, rev, 1)
	if v, _ := g.View("orders"); v.Instance.Name != "renamed" || v.Instance.State != StateActive {
		t.Errorf("after the restored dump went on: %+v", v.Instance)
	}
}

// The restored dump catches up with the revision that the gateway had reported
// before the gateway looks again: its old report must not count.
func TestOldReportDoesNotCount(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	restore := dump(t, rdb)
	lazy := &follower{dir: NewDirectory(DirectoryConfig{Gateway: "lazy"}), s: s, known: map[InstanceID]*record{}}
	for range 5 {
		mustUpdate(t, s, "orders", setState(StateActive))
	}
	if err := lazy.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	lazy.current = true
	if _, err := lazy.report(t.Context()); err != nil {
		t.Fatal(err)
	}
	restore()
	var rev Revision
	for range 10 {
		_, rev = mustUpdate(t, s, "orders", setState(StateActive))
	}
	if _, err := lazy.report(t.Context()); !errors.Is(err, errGap) {
		t.Errorf("reporting revision %d of another life: %v, want %v", lazy.at.rev, err, errGap)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	ready, of, err := s.WaitApplied(ctx, rev-8) // less than what lazy had reported
	if ready != 0 || of != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in force on %d of %d, %v; want 0 of 1", ready, of, err)
	}
}

// Entries of the stream are missing: everything is compared.
func TestGapInStream(t *testing.T) {
	tests := map[string]func(t *testing.T, s *Store){
		"revisions skipped": func(t *testing.T, s *Store) { s.rdb.IncrBy(t.Context(), keyRevision, 3) },
		"stream lost": func(t *testing.T, s *Store) {
			s.rdb.IncrBy(t.Context(), keyRevision, 1)
			s.rdb.Del(t.Context(), keyChanges)
		},
		"counter lost": func(t *testing.T, s *Store) { s.rdb.Del(t.Context(), keyRevision) },
		"strange entry": func(t *testing.T, s *Store) {
			s.rdb.Do(t.Context(), "XADD", keyChanges, "*", "kind", "change", "id", "orders", "rev", "x")
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			_, rdb := newRedis(t)
			s := newStore(rdb)
			mustCreate(t, s, someInstance("orders"))
			mustCreate(t, s, someInstance("bills"))
			mustUpdate(t, s, "bills", setState(StateActive))
			g := run(t, s, "gw-1").waitReady()
			silently(t, s, "orders", setState(StateSuspended))
			damage(t, s)
			_, rev := mustUpdate(t, s, "bills", setState(StateSuspended))
			g.untilVersion("bills", 2)
			g.untilVersion("orders", 2) // nobody ever announced it
			waitInForce(t, s, rev, 1)
		})
	}
}

// A change that nobody announced is found by the sweep.
func TestSweep(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	for _, id := range []InstanceID{"orders", "bills", "gone"} {
		mustCreate(t, s, someInstance(id))
	}
	g := run(t, s, "gw-1", sweepEvery(20*time.Millisecond)).waitReady()
	silently(t, s, "orders", setState(StateSuspended))
	silently(t, s, "gone", setState(StateDeleted))
	g.untilVersion("orders", 2)
	g.until("gone is gone", func() bool { _, ok := g.View("gone"); return !ok })
	before := len(g.events())
	mustUpdate(t, s, "orders", setState(StateActive))
	g.untilVersion("orders", 3)
	if got := g.events()[before:]; len(got) != 1 {
		t.Errorf("one change was watched as %q", got)
	}
}

// So is one whose writer died after announcing its intent, sooner.
func TestRecheck(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1", recheckAfter(20*time.Millisecond)).waitReady()
	if _, err := s.announce(t.Context(), intent, "orders", indexKeep); err != nil {
		t.Fatal(err)
	}
	silently(t, s, "orders", setState(StateSuspended))
	g.untilVersion("orders", 2)
}

// The index was lost, the records were not (they are on other nodes of a
// Cluster): a gateway that knows better repairs it.
func TestIndexLost(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	for _, id := range []InstanceID{"orders", "bills", "gone", "lost"} {
		mustCreate(t, s, someInstance(id))
	}
	g := run(t, s, "gw-1", sweepEvery(20*time.Millisecond)).waitReady()
	mustUpdate(t, s, "gone", setState(StateDeleted))
	g.until("gone is gone", func() bool { _, ok := g.View("gone"); return !ok })
	m.Del(recordKey("lost"))
	m.Del(keyIndex)
	g.log.waitFor(t, "repaired the index", 1)
	page, _, err := s.Instances(t.Context(), "", 10)
	if err != nil || len(page) != 2 || page[0].ID != "bills" || page[1].ID != "orders" {
		t.Errorf("listed after the repair: %v, %v", page, err)
	}
	if _, ok := g.View("lost"); !ok {
		t.Error("an instance was dropped because redis had lost it")
	}
}

func TestBrokenRecords(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	g := run(t, s, "gw-1").waitReady()
	foreign := m.HGet(recordKey("bills"), fieldInstance)
	for i, raw := range []string{"{", `{"id":7}`, foreign, "null"} {
		m.HSet(recordKey("orders"), fieldInstance, raw, fieldStamp, fmt.Sprint(i))
		if _, err := s.announceChange(t.Context(), "orders", indexKeep); err != nil {
			t.Fatal(err)
		}
		g.log.waitFor(t, "broken record", i+1)
		if v, ok := g.View("orders"); !ok || v.Instance.ID != "orders" {
			t.Errorf("record %s: the former view was given up for %v", raw, v)
		}
	}
	_, rev := mustUpdate(t, s, "bills", setState(StateSuspended))
	waitInForce(t, s, rev, 1) // the others are not held up
}
