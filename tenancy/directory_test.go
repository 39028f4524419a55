package tenancy

import (
	"testing"
)

func TestFollow(t *testing.T) {
	_, rdb := newRedis(t)
	s := NewStore(rdb)
	mustCreate(t, s, someInstance("orders"), User{Name: "alice"})
	g := run(t, s, "gw-1").waitReady()
	v, ok := g.View("orders")
	if !ok || v.Users["alice"].Name != "alice" || v.Space.Prefix() != "orders." {
		t.Fatalf("after the first load: %+v, %t", v, ok)
	}
	_, rev := mustCreate(t, s, someInstance("bills"))
	if ready, of, err := s.WaitApplied(t.Context(), rev); ready != 1 || of != 1 || err != nil {
		t.Errorf("in force on %d of %d, %v; want 1 of 1", ready, of, err)
	}
	if _, ok := g.View("bills"); !ok {
		t.Error("WaitApplied returned before the change was in force")
	}
}
