package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIdentity(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "g").waitReady()
	first := Identity{User: "weir-orders", Mechanism: IdentityMechanism, Password: Sealed("box 1"), CreatedAt: time.Unix(1_700_000_000, 0).UTC()}
	second := first
	second.Password = Sealed("box 2")

	_, err := s.Identity(ctx, "orders")
	wantErr(t, "none yet", err, ErrNotFound)
	_, err = s.AddIdentity(ctx, "nobody", first)
	wantErr(t, "no such instance", err, ErrNotFound)
	rev, err := s.AddIdentity(ctx, "orders", first)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.AddIdentity(ctx, "orders", second)
	wantErr(t, "a second one", err, ErrExists)
	inForceOn(t, s, g, rev, first)
	if rev, err = s.ReplaceIdentity(ctx, "orders", second); err != nil {
		t.Fatal(err)
	}
	inForceOn(t, s, g, rev, second)

	if _, _, err := s.UpdateInstance(ctx, "orders", setState(StateDeleting)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Identity(ctx, "orders"); err != nil {
		t.Errorf("while it is being deleted: %v", err)
	}
	if _, _, err := s.UpdateInstance(ctx, "orders", setState(StateDeleted)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Identity(ctx, "orders")
	wantErr(t, "after the instance", err, ErrNotFound)
}

// inForceOn looks in the store and in the directory.
func inForceOn(t *testing.T, s *Store, g *gateway, rev Revision, want Identity) {
	t.Helper()
	if _, _, err := s.WaitApplied(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	got, err := s.Identity(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := g.View("orders")
	if diff := cmp.Diff([]*Identity{&want, &want}, []*Identity{&got, v.Access.Identity}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, *v.Access.Identity, got); strings.Contains(text, "box") {
		t.Errorf("the sealed password is printed: %s", text)
	}
}

// What is sealed for one pool and instance opens nowhere else (S31).
func TestIdentityPlace(t *testing.T) {
	sealer, err := NewSealer([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	box := sealer.Seal("orders", IdentityPlace("eu1"), []byte("secret"))
	for _, c := range []struct {
		id   InstanceID
		pool string
		want error
	}{{"orders", "eu1", nil}, {"orders", "eu2", ErrSeal}, {"bills", "eu1", ErrSeal}} {
		if _, err := sealer.Open(c.id, IdentityPlace(c.pool), box); !errors.Is(err, c.want) {
			t.Errorf("%s in %s: %v", c.id, c.pool, err)
		}
	}
}
