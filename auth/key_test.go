package auth

import (
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// giveKeys puts API keys into an instance's view.
func (d *directory) giveKeys(id tenancy.InstanceID, keys ...tenancy.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	view := *d.views[id]
	view.Access = &tenancy.Access{Networks: view.Access.Networks, Keys: map[string]tenancy.Key{}}
	for _, k := range keys {
		view.Access.Keys[k.ID] = k
	}
	d.views[id] = &view
}

// newKey draws a key of a user of the fixture.
func (f *fixture) newKey(tb testing.TB, id tenancy.InstanceID, user string) (k tenancy.Key, secret string) {
	tb.Helper()
	view, _ := f.dir.View(id)
	k, secret, err := f.NewKey(nil, id, view.Users[user], time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return k, secret
}

func TestKeyLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		k, secret := f.newKey(t, "one", "alice")
		of := map[string]tenancy.Key{"alice": k}
		secrets := map[string]string{"alice": secret}
		for _, user := range []string{"carol", "nobody"} {
			of[user], secrets[user] = f.newKey(t, "one", user)
			key := of[user]
			key.User = user
			of[user] = key
		}
		ending, endingSecret := f.newKey(t, "one", "alice")
		ending.ExpiresAt = time.Now().Add(time.Hour)
		moved, movedSecret := f.newKey(t, "two", "alice") // somebody has moved it in Redis
		older, olderSecret := f.newKey(t, "one", "alice") // of an alice that was there before
		older.CreatedAt = time.Unix(-1, 0)
		f.dir.giveKeys("one", k, of["carol"], of["nobody"], ending, moved, older)
		f.dir.giveKeys("two")
		asleep, asleepSecret := f.newKey(t, "asleep", "alice")
		f.dir.giveKeys("asleep", asleep)

		for name, tc := range map[string]struct {
			peer         Peer
			name, secret string
			why          Reason
		}{
			"right":                {at("192.0.2.1", "one"), k.ID, secret, ""},
			"by name":              {at("192.0.2.1", ""), k.ID + "@one", secret, ""},
			"wrong secret":         {at("192.0.2.1", "one"), k.ID, endingSecret, ReasonPasswordWrong},
			"the user's password":  {at("192.0.2.1", "one"), k.ID, alicePassword, ReasonPasswordWrong},
			"secret cut":           {at("192.0.2.1", "one"), k.ID, secret[:42], ReasonPasswordWrong},
			"the hash itself":      {at("192.0.2.1", "one"), k.ID, strings.ReplaceAll(strings.ToValidUTF8(string(k.Hash), "?"), "\x00", "?"), ReasonPasswordWrong},
			"the secret as user's": {at("192.0.2.1", "one"), "alice", secret, ReasonPasswordWrong},
			"unknown key":          {at("192.0.2.1", "one"), "key-aaaaaaaaaaaaaaaa", secret, ReasonUserUnknown},
			"at another instance":  {at("192.0.2.1", "two"), k.ID, secret, ReasonUserUnknown},
			"endpoint and name":    {at("192.0.2.1", "two"), k.ID + "@one", secret, ReasonInstanceMismatch},
			"no instance":          {at("192.0.2.1", ""), k.ID, secret, ReasonInstanceMissing},
			"unknown instance":     {at("192.0.2.1", "three"), k.ID, secret, ReasonInstanceUnknown},
			"moved in Redis":       {at("192.0.2.1", "one"), moved.ID, movedSecret, ReasonPasswordWrong},
			"of a disabled user":   {at("192.0.2.1", "one"), of["carol"].ID, secrets["carol"], ReasonUserDisabled},
			"of no user":           {at("192.0.2.1", "one"), of["nobody"].ID, secrets["nobody"], ReasonUserUnknown},
			"of an earlier alice":  {at("192.0.2.1", "one"), older.ID, olderSecret, ReasonUserUnknown},
			"not ended":            {at("192.0.2.1", "one"), ending.ID, endingSecret, ""},
			"suspended":            {at("192.0.2.1", "asleep"), asleep.ID, asleepSecret, ReasonInstanceSuspended},
		} {
			f.limiter = newLimiter(10)
			c, err := f.open(Plain, tc.peer, tc.name, tc.secret)
			if why := reason(t, err); why != tc.why {
				t.Errorf("%s: %q, want %q", name, why, tc.why)
			} else if want := (Principal{Instance: "one", User: "alice"}); why == "" && c.Principal() != want {
				t.Errorf("%s: is %v", name, c.Principal())
			}
		}
		for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
			if _, err := f.open(mechanism, at("192.0.2.3", "one"), k.ID, secret); reason(t, err) != ReasonMechanismUnset {
				t.Errorf("%s: %v", mechanism, err)
			}
		}
		time.Sleep(time.Hour) // virtual
		if _, err := f.open(Plain, at("192.0.2.4", "one"), ending.ID, endingSecret); reason(t, err) != ReasonExpired {
			t.Errorf("after its end: %v", err)
		}
	})
}

// A session that a key opened lives as long as the key does, and no longer than its user.
func TestKeySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		k, secret := f.newKey(t, "one", "alice")
		other, _ := f.newKey(t, "one", "alice")
		k.ExpiresAt = time.Now().Add(time.Hour)
		f.dir.giveKeys("one", k, other)
		c, err := f.open(Plain, at("192.0.2.1", "one"), k.ID, secret)
		if err != nil || !c.Proof().Until.Equal(k.ExpiresAt) {
			t.Fatalf("until %v, %v", c.Proof().Until, err)
		}
		view, _ := f.dir.View("one")
		alice := view.Users["alice"]
		disabled, newer := alice, alice
		disabled.Disabled, newer.CreatedAt = true, time.Now().Add(time.Second)
		ended, someoneElses := k, k
		ended.ExpiresAt, someoneElses.User = time.Now(), "bob"
		for _, tc := range []struct {
			name string
			user tenancy.User
			keys []tenancy.Key
			want Reason
		}{
			{"as it was", alice, []tenancy.Key{k, other}, ""},
			{"another key gone", alice, []tenancy.Key{k}, ""},
			{"password changed", newUser(t, "alice", "a new password"), []tenancy.Key{k}, ""},
			{"gone", alice, []tenancy.Key{other}, ReasonRevoked},
			{"ended early", alice, []tenancy.Key{ended}, ReasonExpired},
			{"somebody else's now", alice, []tenancy.Key{someoneElses}, ReasonRevoked},
			{"user disabled", disabled, []tenancy.Key{k}, ReasonRevoked},
			{"user made again", newer, []tenancy.Key{k}, ReasonRevoked},
			{"user gone", newUser(t, "zoe", alicePassword), []tenancy.Key{k}, ReasonRevoked},
		} {
			f.dir.put("one", tenancy.StateActive, tc.user)
			f.dir.giveKeys("one", tc.keys...)
			if why := f.Check(c.Principal(), c.Proof(), c.peer); why != tc.want {
				t.Errorf("%s: %q, want %q", tc.name, why, tc.want)
			}
		}
		f.dir.put("one", tenancy.StateActive, alice)
		f.dir.giveKeys("one", k)
		time.Sleep(time.Hour) // virtual
		if why := f.Check(c.Principal(), c.Proof(), c.peer); why != ReasonExpired {
			t.Errorf("after its end: %q", why)
		}
	})
}

// A key is no password and waits for no slot, whether it is there or not.
func TestKeysAreCheap(t *testing.T) {
	f := newFixture(t)
	k, secret := f.newKey(t, "one", "alice")
	f.dir.giveKeys("one", k)
	f.hash = func(_, _ []byte, _ string) []byte {
		t.Error("a key is checked as a password")
		return nil
	}
	f.plainSlots = newSlots(0, 0)
	for _, name := range []string{k.ID, "key-aaaaaaaaaaaaaaaa", k.ID + "@two"} {
		f.open(Plain, at("192.0.2.1", "one"), name, secret)
	}
	if f.limiter.strangers.len() != 1 {
		t.Errorf("%d buckets of failures, want one", f.limiter.strangers.len())
	}
}

// Ids and secrets are of the randomness that they claim.
func TestNewKey(t *testing.T) {
	f := newFixture(t)
	var drawn atomic.Int64
	counting := readerFunc(func(p []byte) (int, error) { drawn.Add(int64(len(p))); return rand.Read(p) })
	k, secret, err := f.NewKey(counting, "one", tenancy.User{Name: "alice", CreatedAt: time.Unix(5, 0)}, time.Unix(3, 0))
	if err != nil || k.Check() != nil || len(secret) != 43 || drawn.Load() != 42 {
		t.Errorf("%v, %d characters of %d random bytes, %v", k, len(secret), drawn.Load(), err)
	}
	if !k.CreatedAt.Equal(time.Unix(5, 0)) {
		t.Errorf("made at %v, before its user", k.CreatedAt)
	}
	again, other, _ := f.NewKey(nil, "one", tenancy.User{Name: "alice"}, time.Unix(3, 0))
	if again.ID == k.ID || other == secret {
		t.Error("two keys are the same")
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
