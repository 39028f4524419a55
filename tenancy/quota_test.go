package tenancy

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// whom is an entity: "-" is not part of it, "" its default.
func whom(user, client string) (e QuotaEntity) {
	if user != "-" {
		e.User = &user
	}
	if client != "-" {
		e.ClientID = &client
	}
	return e
}

func held(e QuotaEntity, key string, value float64) Quota {
	return Quota{Entity: e, Values: map[string]float64{key: value}}
}

func mustQuotas(t *testing.T, s *Store, want ...Quota) {
	t.Helper()
	got, err := s.Quotas(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("quotas (-want +got):\n%s", diff)
	}
}

func TestQuotas(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	mustCreate(t, s, someInstance("other"))
	g := run(t, s, "g").waitReady()
	odd := whom(`a"},"key":"`, "ü \x00<>") // JSON keeps them apart
	for _, q := range []Quota{
		held(whom("alice", "-"), QuotaProducerBytes, 1000), held(whom("alice", "-"), QuotaRequestTime, 12.5),
		held(whom("-", "alice"), QuotaProducerBytes, 1), held(whom("", "-"), QuotaProducerBytes, 2),
		held(whom("alice", ""), QuotaProducerBytes, 3), held(odd, QuotaMutations, 4), held(whom("a", "-"), QuotaMutations, 5),
	} {
		rev, err := s.ChangeQuotas(ctx, "orders", []Quota{q}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ready, of, err := s.WaitApplied(ctx, rev); err != nil || ready != 1 || of != 1 {
			t.Fatalf("in force on %d of %d: %v", ready, of, err)
		}
	}
	want := []Quota{
		held(whom("-", "alice"), QuotaProducerBytes, 1), held(whom("", "-"), QuotaProducerBytes, 2), held(whom("a", "-"), QuotaMutations, 5),
		held(odd, QuotaMutations, 4), held(whom("alice", ""), QuotaProducerBytes, 3),
		{whom("alice", "-"), map[string]float64{QuotaProducerBytes: 1000, QuotaRequestTime: 12.5}},
	}
	got, err := s.Quotas(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	byText := func(quotas []Quota) map[string]map[string]float64 {
		all := map[string]map[string]float64{}
		for _, q := range quotas {
			all[fmt.Sprintf("%#v", describe(q.Entity))] = q.Values
		}
		return all
	}
	if diff := cmp.Diff(byText(want), byText(got)); diff != "" || len(got) != len(want) {
		t.Errorf("%d quotas (-want +got):\n%s", len(got), diff)
	}
	view, _ := g.View("orders")
	if diff := cmp.Diff(got, view.Quotas); diff != "" {
		t.Errorf("the directory has others (-store +view):\n%s", diff)
	}
	if view, _ := g.View("other"); len(view.Quotas) != 0 {
		t.Errorf("another instance has %v", view.Quotas)
	}
}

// describe is an entity without pointers.
func describe(e QuotaEntity) [2]string {
	part := func(p *string) string {
		if p == nil {
			return "-"
		}
		return "=" + *p
	}
	return [2]string{part(e.User), part(e.ClientID)}
}

func TestChangeQuotas(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	alice := whom("alice", "-")
	change := func(put []Quota, remove ...QuotaKey) {
		t.Helper()
		if _, err := s.ChangeQuotas(ctx, "orders", put, remove); err != nil {
			t.Fatal(err)
		}
	}
	change([]Quota{{alice, map[string]float64{QuotaProducerBytes: 1, QuotaConsumerBytes: 2, QuotaMutations: 3}}})
	change([]Quota{held(alice, QuotaProducerBytes, 10)}, QuotaKey{alice, QuotaMutations}, QuotaKey{whom("bob", "-"), QuotaMutations})
	mustQuotas(t, s, Quota{alice, map[string]float64{QuotaProducerBytes: 10, QuotaConsumerBytes: 2}})
	change(nil, QuotaKey{alice, QuotaProducerBytes}, QuotaKey{alice, QuotaConsumerBytes})
	mustQuotas(t, s)

	// Two who change different keys of one entity do not undo each other.
	var wg sync.WaitGroup
	for _, key := range []string{QuotaProducerBytes, QuotaConsumerBytes, QuotaRequestTime, QuotaMutations} {
		wg.Go(func() {
			if _, err := s.ChangeQuotas(ctx, "orders", []Quota{held(alice, key, 1)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustQuotas(t, s, Quota{alice, map[string]float64{QuotaProducerBytes: 1, QuotaConsumerBytes: 1, QuotaRequestTime: 1, QuotaMutations: 1}})
}

func TestQuotasRefuse(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	for name, tc := range map[string]struct {
		quota Quota
		want  string
	}{
		"no entity":     {held(whom("-", "-"), QuotaMutations, 1), "neither a user nor a client id"},
		"user too long": {held(whom(strings.Repeat("x", 256), "-"), QuotaMutations, 1), "has 256 bytes: use at most 255"},
		"not UTF-8":     {held(whom("-", "a\xff"), QuotaMutations, 1), "not valid UTF-8"},
		"unknown key":   {held(whom("a", "-"), "connection_creation_rate", 1), "is unknown"},
		"zero":          {held(whom("a", "-"), QuotaMutations, 0), "greater than 0"},
		"no number":     {held(whom("a", "-"), QuotaMutations, math.NaN()), "greater than 0"},
		"infinite":      {held(whom("a", "-"), QuotaMutations, math.Inf(1)), "greater than 0"},
	} {
		good := held(whom("good", "-"), QuotaMutations, 1)
		_, err := s.ChangeQuotas(ctx, "orders", []Quota{good, tc.quota}, nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	mustQuotas(t, s) // all or nothing
	_, err := s.ChangeQuotas(ctx, "nobody", []Quota{held(whom("a", "-"), QuotaMutations, 1)}, nil)
	wantErr(t, "no instance", err, ErrNotFound)
	_, err = s.Quotas(ctx, "nobody")
	wantErr(t, "quotas of no instance", err, ErrNotFound)
}

func TestMaxQuotas(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"))
	var all []Quota
	for i := range MaxQuotas / 2 {
		all = append(all, Quota{whom(fmt.Sprint("u", i), "-"), map[string]float64{QuotaMutations: 1, QuotaRequestTime: 1}})
	}
	one := []Quota{held(whom("one", "-"), QuotaMutations, 1)}
	_, err := s.ChangeQuotas(ctx, "orders", append(one, all...), nil)
	wantErr(t, "more than there may be at once", err, ErrFull)
	if _, err := s.ChangeQuotas(ctx, "orders", all, nil); err != nil {
		t.Fatal(err)
	}
	_, err = s.ChangeQuotas(ctx, "orders", one, nil)
	wantErr(t, "one more", err, ErrFull)
	if _, err := s.ChangeQuotas(ctx, "orders", []Quota{held(whom("u1", "-"), QuotaMutations, 2)}, nil); err != nil {
		t.Errorf("replacing one: %v", err)
	}
	if _, err := s.ChangeQuotas(ctx, "orders", one, []QuotaKey{{whom("u0", "-"), QuotaMutations}}); err != nil {
		t.Errorf("one in exchange for another: %v", err)
	}
}

func TestDeleteUserVersion(t *testing.T) {
	_, rdb := newRedis(t)
	s, ctx := newStore(rdb), t.Context()
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	_, err := s.DeleteUserVersion(ctx, "orders", "alice", 2)
	wantErr(t, "another version", err, ErrConflict)
	_, err = s.DeleteUserVersion(ctx, "orders", "bob", 1)
	wantErr(t, "no such user", err, ErrNotFound)
	if _, err := s.DeleteUserVersion(ctx, "orders", "alice", 1); err != nil {
		t.Error(err)
	}
	_, err = s.User(ctx, "orders", "alice")
	wantErr(t, "the user", err, ErrNotFound)
}
