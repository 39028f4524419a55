package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCreateAndRead(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	want := someInstance("orders")
	alice := User{Name: "alice", CreatedAt: want.CreatedAt, Credentials: []Credential{{
		Mechanism: "SCRAM-SHA-256", Salt: []byte{1}, StoredKey: []byte{2}, ServerKey: []byte{0xff, 0}, Iterations: 4096,
	}}}
	created, rev := mustCreate(t, s, want, alice)
	want.Version, alice.Version = 1, 1
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if rev != 1 {
		t.Errorf("revision is %d, want 1", rev)
	}
	for name, read := range map[string]func() (Instance, error){
		"by id":   func() (Instance, error) { return s.Instance(t.Context(), "orders") },
		"by name": func() (Instance, error) { return s.InstanceByName(t.Context(), "t-acme", "n-orders") },
	} {
		got, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got, err := s.User(t.Context(), "orders", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alice, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func TestNotFound(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	_, err := s.Instance(t.Context(), "nobody")
	wantErr(t, "instance", err, ErrNotFound)
	_, err = s.InstanceByName(t.Context(), "t-acme", "nobody")
	wantErr(t, "name", err, ErrNotFound)
	_, err = s.InstanceByName(t.Context(), "t-other", "n-orders")
	wantErr(t, "name of a foreign tenant", err, ErrNotFound)
	_, err = s.User(t.Context(), "orders", "nobody")
	wantErr(t, "user", err, ErrNotFound)
	_, err = s.Users(t.Context(), "nobody")
	wantErr(t, "users", err, ErrNotFound)
	_, _, err = s.PutUser(t.Context(), "nobody", User{Name: "alice"})
	wantErr(t, "user of no instance", err, ErrNotFound)
	_, err = s.DeleteUser(t.Context(), "orders", "nobody")
	wantErr(t, "deleting a user", err, ErrNotFound)
	_, _, err = s.UpdateInstance(t.Context(), "nobody", setState(StateSuspended))
	wantErr(t, "update", err, ErrNotFound)
}

func TestCreateRefuses(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	tests := map[string]struct {
		change func(*Instance)
		users  []User
		want   string
	}{
		"taken id":       {func(in *Instance) { in.ID, in.Name = "orders", "free" }, nil, "exists already"},
		"taken name":     {func(in *Instance) { in.Name = "n-orders" }, nil, "name is taken"},
		"broker label":   {func(in *Instance) { in.ID = "b1-orders" }, nil, "reads as the host name of a broker"},
		"no cluster id":  {func(in *Instance) { in.ClusterID = "" }, nil, "cluster id is empty"},
		"unknown state":  {func(in *Instance) { in.State = "asleep" }, nil, `instance state "asleep" is unknown`},
		"born dead":      {func(in *Instance) { in.State = StateDeleted }, nil, "cannot begin as deleted"},
		"a version":      {func(in *Instance) { in.Version = 3 }, nil, "version is 3, must be 0"},
		"bad user":       {func(*Instance) {}, []User{{Name: "a@b"}}, "character 2 is not one of"},
		"same user":      {func(*Instance) {}, []User{{Name: "a"}, {Name: "a"}}, "user a is there twice"},
		"two mistakes":   {func(in *Instance) { in.Plan, in.Pool = "X", "" }, nil, "; pool name"},
		"too many users": {func(*Instance) {}, make([]User, MaxUsers+1), "limit reached"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := someInstance("other")
			tt.change(&in)
			_, _, err := s.CreateInstance(t.Context(), in, tt.users...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error is %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
	if _, err := s.Instance(t.Context(), "other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a refused instance was written: %v", err)
	}
	// A refused id must not block the name.
	in := someInstance("third")
	in.Name = "free"
	mustCreate(t, s, in)
}

func TestUpdate(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	_, created := mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	got, rev := mustUpdate(t, s, "orders", setState(StateSuspended))
	if got.Version != 2 || got.State != StateSuspended || rev != created+1 {
		t.Errorf("got version %d, state %s, revision %d; want 2, suspended, %d", got.Version, got.State, rev, created+1)
	}
	if users, err := s.Users(t.Context(), "orders"); err != nil || len(users) != 1 {
		t.Errorf("users after an update: %v, %v", users, err)
	}
	if got, rev := mustUpdate(t, s, "orders", setState(StateSuspended)); got.Version != 2 || rev != created+2 {
		t.Errorf("a change of nothing: version %d, revision %d; want 2, %d", got.Version, rev, created+2)
	}
	mine := errors.New("mine")
	if _, _, err := s.UpdateInstance(t.Context(), "orders", func(*Instance) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("error of change came back as %v", err)
	}
	for name, change := range map[string]func(*Instance) error{
		"id":         func(in *Instance) error { in.ID = "x2"; return nil },
		"tenant":     func(in *Instance) error { in.Tenant = "t-2"; return nil },
		"cluster id": func(in *Instance) error { in.ClusterID = "x"; return nil },
		"creation":   func(in *Instance) error { in.CreatedAt = time.Unix(0, 0); return nil },
		"name":       func(in *Instance) error { in.Name = "-"; return nil },
	} {
		if _, _, err := s.UpdateInstance(t.Context(), "orders", change); err == nil {
			t.Errorf("changing the %s was allowed", name)
		}
	}
}

func TestUpdatesRace(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	in := someInstance("orders")
	in.Plan = "p"
	mustCreate(t, s, in)
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				for {
					_, _, err := s.UpdateInstance(t.Context(), "orders", func(in *Instance) error {
						in.Plan += fmt.Sprintf("-%d%d", w, i)
						return nil
					})
					if err == nil {
						break
					}
					if !errors.Is(err, ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Instance(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got.Plan, "-"); got.Version != 1+writers*each || n != writers*each {
		t.Errorf("version %d with %d changes in it, want %d and %d: an update was lost", got.Version, n, 1+writers*each, writers*each)
	}
}

func TestDelete(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	mustUpdate(t, s, "orders", setState(StateDeleting))
	if _, _, err := s.UpdateInstance(t.Context(), "orders", setState(StateActive)); err == nil {
		t.Error("an instance that is being deleted was revived")
	}
	mustUpdate(t, s, "orders", setState(StateDeleted))

	tomb, err := s.Instance(t.Context(), "orders")
	if err != nil || tomb.State != StateDeleted {
		t.Fatalf("tombstone: %v, %v", tomb, err)
	}
	if m.HGet(recordKey("orders"), "user:alice") != "" {
		t.Error("a user outlived the instance")
	}
	_, _, err = s.PutUser(t.Context(), "orders", User{Name: "bob"})
	wantErr(t, "user of a tombstone", err, ErrNotFound)
	_, _, err = s.UpdateInstance(t.Context(), "orders", setState(StateActive))
	wantErr(t, "reviving a tombstone", err, ErrNotFound)
	_, err = s.InstanceByName(t.Context(), "t-acme", "n-orders")
	wantErr(t, "name of a tombstone", err, ErrNotFound)
	_, _, err = s.CreateInstance(t.Context(), someInstance("orders"))
	wantErr(t, "using an id again", err, ErrExists)
	if page, _, err := s.Instances(t.Context(), "", 10); err != nil || len(page) != 0 {
		t.Errorf("listed %v, %v", page, err)
	}
	mustUpdate(t, s, "orders", setState(StateDeleted)) // once more does no harm

	heir := someInstance("orders-2")
	heir.Name = "n-orders"
	mustCreate(t, s, heir)
}

func TestRename(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("bills"))
	_, _, err := s.UpdateInstance(t.Context(), "orders", rename("n-bills"))
	wantErr(t, "rename to a taken name", err, ErrNameTaken)
	mustUpdate(t, s, "orders", rename("new"))
	mustUpdate(t, s, "bills", rename("n-orders"))
	for name, want := range map[string]InstanceID{"new": "orders", "n-orders": "bills"} {
		got, err := s.InstanceByName(t.Context(), "t-acme", name)
		if err != nil || got.ID != want {
			t.Errorf("name %s is of %q (%v), want %s", name, got.ID, err, want)
		}
	}
	_, err = s.InstanceByName(t.Context(), "t-acme", "n-bills")
	wantErr(t, "name that was given up", err, ErrNotFound)
}

func TestNamesAreEachTenantsOwn(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	for _, tenant := range []TenantID{"t-1", "t-2"} {
		in := someInstance(InstanceID("orders-" + tenant))
		in.Name, in.Tenant = "orders", tenant
		mustCreate(t, s, in)
	}
}

// Many writers want one name: one gets it.
func TestNameRace(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	const n = 16
	won := make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			in := someInstance(InstanceID(fmt.Sprintf("i-%d", i)))
			in.Name = "wanted"
			_, _, err := s.CreateInstance(t.Context(), in)
			won[i] = err == nil
			if err != nil && !errors.Is(err, ErrNameTaken) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if winners := len(slices.DeleteFunc(won, func(w bool) bool { return !w })); winners != 1 {
		t.Errorf("%d instances got the name, want 1", winners)
	}
}

func TestList(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	var want []InstanceID
	for i := range 25 {
		id := InstanceID(fmt.Sprintf("i-%02d", i))
		mustCreate(t, s, someInstance(id))
		if i%5 == 0 {
			mustUpdate(t, s, id, setState(StateDeleted))
			continue
		}
		want = append(want, id)
	}
	for _, limit := range []int{1, 3, 19, 20, 21, 0} {
		var got []InstanceID
		var after InstanceID
		for {
			page, next, err := s.Instances(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if limit > 0 && len(page) > limit {
				t.Errorf("limit %d: page of %d", limit, len(page))
			}
			for _, in := range page {
				got = append(got, in.ID)
			}
			if after = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestUsers(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	ctx := t.Context()
	put := func(u User) (User, error) { u, _, err := s.PutUser(ctx, "orders", u); return u, err }

	for _, name := range []string{"zoe", "alice"} {
		if u, err := put(User{Name: name}); err != nil || u.Version != 1 {
			t.Fatalf("creating %s: version %d, %v", name, u.Version, err)
		}
	}
	_, err := put(User{Name: "zoe"})
	wantErr(t, "creating twice", err, ErrExists)
	u, err := put(User{Name: "zoe", Version: 1, Disabled: true})
	if err != nil || u.Version != 2 {
		t.Errorf("replacing: version %d, %v", u.Version, err)
	}
	_, err = put(User{Name: "zoe", Version: 1})
	wantErr(t, "replacing an old version", err, ErrConflict)
	_, err = put(User{Name: "bob", Version: 1})
	wantErr(t, "replacing nobody", err, ErrNotFound)
	if _, err = put(User{Name: "a b"}); err == nil {
		t.Error("a name with a space was accepted")
	}
	users, err := s.Users(ctx, "orders")
	if err != nil || len(users) != 2 || users[0].Name != "alice" || !users[1].Disabled {
		t.Errorf("users: %v, %v", users, err)
	}
	if _, err := s.DeleteUser(ctx, "orders", "zoe"); err != nil {
		t.Error(err)
	}
	_, err = s.User(ctx, "orders", "zoe")
	wantErr(t, "deleted user", err, ErrNotFound)
	if in, err := s.Instance(ctx, "orders"); err != nil || in.Version != 1 {
		t.Errorf("users changed the instance's version to %d (%v)", in.Version, err)
	}
}

func TestMaxUsers(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	users := make([]User, MaxUsers)
	for i := range users {
		users[i].Name = fmt.Sprintf("u%d", i)
	}
	mustCreate(t, s, someInstance("orders"), users...)
	_, _, err := s.PutUser(t.Context(), "orders", User{Name: "one-more"})
	wantErr(t, "one more", err, ErrFull)
	if _, _, err := s.PutUser(t.Context(), "orders", User{Name: "u7", Version: 1}); err != nil {
		t.Errorf("replacing one of them: %v", err)
	}
}

func TestLease(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	now := time.Now()
	m.SetTime(now)
	try := func(id InstanceID, name, owner string) bool {
		t.Helper()
		ok, err := s.TryLease(t.Context(), id, name, owner, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for range 2 { // get it, then renew it
		if !try("orders", "delete", "a") {
			t.Error("a did not get, or could not renew, a free lease")
		}
	}
	if try("orders", "delete", "b") {
		t.Error("b got a lease that a holds")
	}
	if !try("orders", "other", "b") || !try("bills", "delete", "b") {
		t.Error("leases are not each their own")
	}
	m.SetTime(now.Add(1001 * time.Millisecond)) // the key itself does not expire here
	if !try("orders", "delete", "b") {
		t.Error("b did not get a lease that ended")
	}
	if _, err := s.TryLease(t.Context(), "orders", "delete", "b", 0); err == nil {
		t.Error("a lease of no time was given")
	}
}
