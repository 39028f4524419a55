package tenancy

import (
	"fmt"
	"slices"
	"testing"
)

// named publishes an instance as the directory's Run does.
func (d *Directory) named(id InstanceID, name string, state State) {
	d.publish(&View{Instance: Instance{ID: id, Name: name, State: state}, ACLs: &ACLs{}, Access: &Access{}})
}

func TestNamed(t *testing.T) {
	d := NewDirectory(DirectoryConfig{})
	for _, step := range []struct {
		id    InstanceID
		name  string
		state State
		want  []InstanceID // that are called orders then
	}{
		{"i-c", "orders", StateActive, []InstanceID{"i-c"}},
		{"i-c", "orders", StateSuspended, []InstanceID{"i-c"}},
		{"i-a", "orders", StateActive, []InstanceID{"i-a", "i-c"}},
		{"i-b", "bills", StateActive, []InstanceID{"i-a", "i-c"}},
		{"i-b", "orders", StateActive, []InstanceID{"i-a", "i-b", "i-c"}},
		{"i-c", "orders", StateDeleting, []InstanceID{"i-a", "i-b", "i-c"}}, // it bears its name until it is gone
		{"i-c", "orders", StateDeleted, []InstanceID{"i-a", "i-b"}},
		{"i-c", "orders", StateDeleted, []InstanceID{"i-a", "i-b"}},
		{"i-b", "bills", StateActive, []InstanceID{"i-a"}},
		{"i-a", "orders", StateDeleted, nil},
		{"i-d", "orders", StateActive, []InstanceID{"i-d"}},
	} {
		d.named(step.id, step.name, step.state)
		if got := d.Named("orders"); !slices.Equal(got, step.want) {
			t.Fatalf("%s is %s and %s: orders are %v, want %v", step.id, step.name, step.state, got, step.want)
		}
	}
	if got := d.Named("bills"); !slices.Equal(got, []InstanceID{"i-b"}) {
		t.Errorf("bills are %v", got)
	}
	if len(d.names.more) != 0 {
		t.Errorf("the index keeps %v", d.names.more)
	}
}

// What the store says arrives in the index: created, renamed, deleted.
func TestNamedFollows(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	other := someInstance("i-b")
	other.Tenant, other.Name = "t-beta", "n-i-a"
	mustCreate(t, s, someInstance("i-a"))
	g := run(t, s, "gw-1").waitReady()
	for _, step := range []struct {
		what string
		do   func() Revision
		want []InstanceID // that are called n-i-a
	}{
		{"loaded", func() Revision { return 0 }, []InstanceID{"i-a"}},
		{"created", func() Revision { _, rev := mustCreate(t, s, other); return rev }, []InstanceID{"i-a", "i-b"}},
		{"renamed", func() Revision { _, rev := mustUpdate(t, s, "i-a", rename("else")); return rev }, []InstanceID{"i-b"}},
		{"deleted", func() Revision { _, rev := mustUpdate(t, s, "i-b", setState(StateDeleted)); return rev }, nil},
	} {
		if err := g.Await(t.Context(), step.do()); err != nil {
			t.Fatal(err)
		}
		if got := g.Named("n-i-a"); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
	}
}

func TestIsDrawnID(t *testing.T) {
	for s, want := range map[string]bool{
		"i-idfj6lgl": true, "i-a": false, "orders": false, "i-idfj6lg9": false, "i-idfj6lgla": false, "o-idfj6lgl": false, "": false,
	} {
		if IsDrawnID(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
	id, err := NewInstanceID(zeros{})
	if err != nil || !IsDrawnID(string(id)) {
		t.Errorf("%s, %v", id, err)
	}
}

// zeros is a source of no randomness.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return copy(b, make([]byte, len(b))), nil }

// BenchmarkNamed: one name among those of 100,000 instances, against walking over all.
func BenchmarkNamed(b *testing.B) {
	d := NewDirectory(DirectoryConfig{})
	for n := range 100_000 {
		d.named(InstanceID(fmt.Sprintf("i-%d", n)), fmt.Sprintf("orders-%d", n/2), StateActive)
	}
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			if len(d.Named("orders-4711")) != 2 {
				b.Fatal("not two")
			}
		}
	})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			found := 0
			d.Each(func(v *View) bool {
				if v.Instance.Name == "orders-4711" {
					found++
				}
				return true
			})
			if found != 2 {
				b.Fatal("not two")
			}
		}
	})
}
