package tenancy

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

func someKey(t *testing.T, user string) Key {
	t.Helper()
	id, err := NewKeyID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{ID: id, User: user, Hash: bytes.Repeat([]byte{1}, keyHash), CreatedAt: time.Unix(1_700_000_000, 0).UTC()}
}

func TestKeyIDs(t *testing.T) {
	id, err := NewKeyID(bytes.NewReader(make([]byte, keyBytes)))
	if id != "key-aaaaaaaaaaaaaaaa" || err != nil || !IsKeyID(id) {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := NewKeyID(bytes.NewReader(nil)); err == nil {
		t.Error("an id of no randomness")
	}
}

func TestKeyCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Key)
		want   string
	}{
		"right":         {func(*Key) {}, ""},
		"no user":       {func(k *Key) { k.User = "" }, "user name"},
		"another id":    {func(k *Key) { k.ID = "key-1" }, "is none"},
		"short hash":    {func(k *Key) { k.Hash = k.Hash[1:] }, "31 bytes"},
		"long comment":  {func(k *Key) { k.Comment = strings.Repeat("ä", maxComment+1) }, "at most 200"},
		"odd comment":   {func(k *Key) { k.Comment = "\xff" }, "UTF-8"},
		"whole comment": {func(k *Key) { k.Comment = strings.Repeat("ä", maxComment) }, ""},
	} {
		k := someKey(t, "alice")
		tc.change(&k)
		err := k.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// Keys are in force with the view, and go with their user, however it is removed.
func TestKeysOfAnInstance(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	g := run(t, s, "gw-1")
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"}, User{Name: "bob"})
	a, b, c := someKey(t, "alice"), someKey(t, "alice"), someKey(t, "bob")
	var rev Revision
	for _, k := range []Key{a, b, c} {
		var err error
		if rev, err = s.CreateKey(t.Context(), "orders", k); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.CreateKey(t.Context(), "orders", a)
	wantErr(t, "the same id again", err, ErrExists)
	_, err = s.CreateKey(t.Context(), "nothing", a)
	wantErr(t, "no such instance", err, ErrNotFound)
	_, err = s.DeleteKey(t.Context(), "orders", "key-none")
	wantErr(t, "no such key", err, ErrNotFound)
	left := func(rev Revision, want ...Key) {
		t.Helper()
		if _, _, err := s.WaitApplied(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
		view, _ := g.View("orders")
		stored, err := s.Keys(t.Context(), "orders")
		if err != nil || len(stored) != len(want) || len(view.Access.Keys) != len(want) {
			t.Errorf("%v stored, %v in force, want %v, %v", stored, view.Access.Keys, want, err)
		}
		for _, k := range want {
			if got := view.Access.Keys[k.ID]; got.User != k.User || !bytes.Equal(got.Hash, k.Hash) {
				t.Errorf("%s is %+v", k.ID, got)
			}
		}
	}
	left(rev, a, b, c)
	if rev, err = s.DeleteKey(t.Context(), "orders", b.ID); err != nil {
		t.Fatal(err)
	}
	left(rev, a, c)
	if rev, err = s.DeleteUser(t.Context(), "orders", "alice"); err != nil {
		t.Fatal(err)
	}
	left(rev, c)
}
