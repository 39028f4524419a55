package tenancy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var errCrashed = errors.New("the writer is dead")

// deadAfter lets the first n commands of a client pass and fails all others, as
// if the process had died. With half, the first failing one is still carried out:
// only its answer is lost.
type deadAfter struct {
	n    int
	half bool
	used int
}

func (d *deadAfter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *deadAfter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next // no write is pipelined
}

func (d *deadAfter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		d.used++
		if d.used <= d.n {
			return next(ctx, cmd)
		}
		if d.half && d.used == d.n+1 {
			if err := next(ctx, cmd); redis.HasErrorPrefix(err, "NOSCRIPT") {
				d.used-- // the script follows in full
				return err
			}
		}
		cmd.SetErr(errCrashed)
		return errCrashed
	}
}

// write is one kind of write, on a store that holds "orders" with user alice, and "bills".
type write struct {
	do func(ctx context.Context, s *Store) error
	// done says whether the store shows that the write was made.
	done func(t *testing.T, s *Store) bool
	// takes and frees are the names that it takes, and gives up.
	takes, frees string
}

func writes() map[string]write {
	update := func(change func(*Instance) error) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, _, err := s.UpdateInstance(ctx, "orders", change)
			return err
		}
	}
	hasVersion := func(id InstanceID, version int64) func(*testing.T, *Store) bool {
		return func(t *testing.T, s *Store) bool {
			in, err := s.Instance(t.Context(), id)
			if err != nil && !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			return in.Version == version
		}
	}
	hasUser := func(name string, want bool) func(*testing.T, *Store) bool {
		return func(t *testing.T, s *Store) bool {
			_, err := s.User(t.Context(), "orders", name)
			return (err == nil) == want
		}
	}
	hasAlias := func(name string, want bool) func(*testing.T, *Store) bool {
		return func(t *testing.T, s *Store) bool {
			_, err := s.alias(t.Context(), "orders", Alias{Kind: KindTopic, Virtual: name}.field())
			return (err == nil) == want
		}
	}
	create := func(ctx context.Context, s *Store) error {
		_, _, err := s.CreateInstance(ctx, someInstance("fresh"), User{Name: "bob"})
		return err
	}
	return map[string]write{
		"create":  {do: create, done: hasVersion("fresh", 1), takes: "n-fresh"},
		"suspend": {do: update(setState(StateSuspended)), done: hasVersion("orders", 2)},
		"rename":  {do: update(rename("renamed")), done: hasVersion("orders", 2), takes: "renamed", frees: "n-orders"},
		"delete":  {do: update(setState(StateDeleted)), done: hasVersion("orders", 2), frees: "n-orders"},
		"put user": {do: func(ctx context.Context, s *Store) error {
			_, _, err := s.PutUser(ctx, "orders", User{Name: "bob"})
			return err
		}, done: hasUser("bob", true)},
		"delete user": {do: func(ctx context.Context, s *Store) error {
			_, err := s.DeleteUser(ctx, "orders", "alice")
			return err
		}, done: hasUser("alice", false)},
		"change acls": {do: func(ctx context.Context, s *Store) error {
			_, err := s.ChangeACLs(ctx, "orders", []ACL{someACL("new")}, nil)
			return err
		}, done: func(t *testing.T, s *Store) bool {
			acls, err := s.ACLs(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			return len(acls) == 1
		}},
		"replace networks": {do: func(ctx context.Context, s *Store) error {
			_, _, err := s.ReplaceNetworks(ctx, "orders", []Network{direct("10.0.0.0/8")}, "")
			return err
		}, done: func(t *testing.T, s *Store) bool {
			all, _, err := s.Networks(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			return len(all) == 1
		}},
		"put alias": {do: func(ctx context.Context, s *Store) error {
			_, err := s.PutAliases(ctx, "orders", Alias{KindTopic, "new", "legacy_new", false})
			return err
		}, done: hasAlias("new", true)},
		"delete alias": {do: func(ctx context.Context, s *Store) error {
			_, err := s.DeleteAlias(ctx, "orders", KindTopic, "old")
			return err
		}, done: hasAlias("old", false)},
	}
}

// A writer dies before, or while, any of its steps: directories end up with what
// Redis holds, the write can be done again, and no name is lost for ever.
func TestCrashBetweenSteps(t *testing.T) {
	for name, w := range writes() {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				before := crash(t, w, &deadAfter{n: n})
				crash(t, w, &deadAfter{n: n, half: true})
				if before {
					if n < 4 {
						t.Errorf("the write took %d steps, the hook seems not to work", n)
					}
					return // there was no step left to die before
				}
			}
		})
	}
}

// crash runs a write that dies, and checks what it leaves; survived if it did not get to die.
func crash(t *testing.T, w write, hook *deadAfter) (survived bool) {
	t.Helper()
	m, healthy := newRedis(t)
	s := newStore(healthy)
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	mustCreate(t, s, someInstance("bills"))
	mustPut(t, s, "orders", Alias{KindTopic, "old", "legacy_old", false})
	g := run(t, s, "gw-1", recheckAfter(5*time.Millisecond), sweepEvery(30*time.Millisecond)).waitReady()
	defer g.stop()

	mortal := newClient(t, m.Addr())
	mortal.AddHook(hook)
	err := w.do(t.Context(), newStore(mortal))
	what := fmt.Sprintf("died after %d commands (half %t): %v", hook.n, hook.half, err)
	done := w.done(t, s)
	if err == nil && !done {
		t.Errorf("%s: it was not done", what)
	}
	if errors.Is(err, ErrUnannounced) && !done {
		t.Errorf("%s: it was not written", what)
	}
	g.until(what+": the directory has what redis has", func() bool { return agrees(t, g.Directory, s) })

	// Later, somebody wants the names.
	m.SetTime(time.Now().Add(claimStale + time.Second))
	checkName(t, s, what, w.takes, !done)
	checkName(t, s, what, w.frees, done)
	checkOwners(t, s, what)

	// And the same write once more is either done, or not needed.
	if w.takes != "" && !done {
		return err == nil // the name was just given to somebody else
	}
	again := w.do(t.Context(), s)
	if again != nil && !(done && (errors.Is(again, ErrExists) || errors.Is(again, ErrNotFound))) {
		t.Errorf("%s; and then once more: %v", what, again)
	}
	g.until(what+": and so after the repetition", func() bool { return agrees(t, g.Directory, s) })
	return err == nil
}

// checkName tries to create an instance of a name, which must work if it is free.
func checkName(t *testing.T, s *Store, what, name string, free bool) {
	t.Helper()
	if name == "" {
		return
	}
	in := someInstance(InstanceID("heir-" + name))
	in.Name = name
	_, _, err := s.CreateInstance(t.Context(), in)
	if free && err != nil || !free && !errors.Is(err, ErrNameTaken) {
		t.Errorf("%s: taking the name %s, which is free: %t: %v", what, name, free, err)
	}
}

// checkOwners tries to take what orders has, and has not, an alias of.
func checkOwners(t *testing.T, s *Store, what string) {
	t.Helper()
	for _, name := range []string{"old", "new"} {
		_, err := s.alias(t.Context(), "orders", Alias{Kind: KindTopic, Virtual: name}.field())
		owned := err == nil
		_, err = s.PutAliases(t.Context(), "bills", Alias{KindTopic, name, "legacy_" + name, false})
		if owned && !errors.Is(err, ErrOwned) || !owned && err != nil {
			t.Errorf("%s: taking %s, which is owned: %t: %v", what, name, owned, err)
		}
		if err == nil {
			if _, err := s.DeleteAlias(t.Context(), "bills", KindTopic, name); err != nil {
				t.Error(err)
			}
		}
	}
}

// agrees compares the directory with the store.
func agrees(t *testing.T, d *Directory, s *Store) bool {
	t.Helper()
	page, next, err := s.Instances(t.Context(), "", 0)
	if err != nil || next != "" {
		t.Fatal(next, err)
	}
	count := 0
	d.Each(func(*View) bool { count++; return true })
	for _, in := range page {
		users, err := s.Users(t.Context(), in.ID)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := d.View(in.ID)
		aliases, err := s.Aliases(t.Context(), in.ID)
		if err != nil {
			t.Fatal(err)
		}
		acls, err := s.ACLs(t.Context(), in.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || v.Instance != in || len(v.Users) != len(users) || len(v.Space.Aliases()) != len(aliases) || len(v.ACLs.All) != len(acls) {
			return false
		}
	}
	for _, id := range []InstanceID{"orders", "bills", "fresh"} { // also what a listing might miss
		in, err := s.Instance(t.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if _, ok := d.View(id); ok != (err == nil && in.State != StateDeleted) {
			return false
		}
	}
	return count == len(page)
}

// A name whose claim is young is not taken over, though its instance is not there
// yet; and who was too slow to write his instance does not write it any more.
func TestSlowWriterLosesName(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	now := time.Now()
	m.SetTime(now)
	slow, fast := someInstance("slow"), someInstance("fast")
	slow.Name, fast.Name = "wanted", "wanted"
	claim, err := s.claim(t.Context(), slow, "")
	if err != nil {
		t.Fatal(err)
	}
	m.SetTime(now.Add(claimStale - time.Second))
	_, _, err = s.CreateInstance(t.Context(), fast)
	wantErr(t, "a young claim", err, ErrNameTaken)
	m.SetTime(now.Add(claimStale))
	mustCreate(t, s, fast)
	slow.Version = 1
	wantErr(t, "writing late", s.writeInstance(t.Context(), slow, 0, claim.notAfter()), ErrConflict)
	if _, err := s.Instance(t.Context(), "slow"); !errors.Is(err, ErrNotFound) {
		t.Errorf("two instances have one name: %v", err)
	}
}

// The client asks again when it loses an answer: each script notices that it has
// been there.
func TestScriptsCanBeRepeated(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	key := []string{recordKey("orders"), settingsKey("orders", settingsKeys)}
	repeat := func(what string, script *redis.Script, args ...any) {
		t.Helper()
		for range 2 {
			if got, err := s.run(t.Context(), script, key, args...).Text(); got != "ok" || err != nil {
				t.Errorf("%s: %q, %v", what, got, err)
			}
		}
	}
	repeat("update", s.scripts.instance, "stamp-1", 1, `{"id":"orders","version":2}`, 0, "")
	repeat("new user", s.scripts.user, "stamp-2", "bob", `{"name":"bob","version":1}`, 0, MaxUsers)
	repeat("removal", s.scripts.user, "stamp-3", "bob", "", 0, MaxUsers)
}

// A Redis that accepts and never answers holds nobody up beyond the deadlines.
func TestHangingRedis(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // connections wait in its backlog for ever
	s := NewStore(newClient(t, ln.Addr().String()))
	begin := time.Now()
	_, err = s.Instance(t.Context(), "orders")
	if took := time.Since(begin); err == nil || took > 4*callTimeout {
		t.Errorf("returned %v after %s", err, took)
	}
}
