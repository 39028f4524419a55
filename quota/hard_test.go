package quota

import (
	"testing"

	"weir/tenancy"
)

// Hard limits are the plan's, overridden by the instance's, and change for who
// holds them.
func TestHardBounds(t *testing.T) {
	view := &tenancy.View{Instance: tenancy.Instance{ID: "a"}, Limits: tenancy.Limits{tenancy.LimitTopics: {Value: 3}}}
	plan := tenancy.Limits{tenancy.LimitTopics: {Value: 9}, tenancy.LimitMessageBytes: {Value: 2048}}
	known := true
	l := New(Config{Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
		return view, plan, known && id == "a"
	}})
	h := l.Hard("a")
	if got, want := *h.Bounds(), (Bounds{Topics: 3, MessageBytes: 2048}); got != want {
		t.Fatalf("bounds %+v, want %+v", got, want)
	}
	first := h.Bounds()
	l.Changed(view)
	if h.Bounds() != first || l.Hard("a") != h {
		t.Error("nothing has changed, and who caches by the pointer thinks it has")
	}
	view = &tenancy.View{Instance: view.Instance}
	l.Changed(view)
	if got, want := *h.Bounds(), (Bounds{Topics: 9, MessageBytes: 2048}); got != want {
		t.Errorf("after the instance's own went: %+v, want %+v", got, want)
	}
	plan = tenancy.Limits{tenancy.LimitPartitions: {Value: 1}, tenancy.LimitGroups: {Value: 2}, tenancy.LimitStorageBytes: {Value: 1 << 20}}
	l.PlansChanged()
	if got, want := *h.Bounds(), (Bounds{Partitions: 1, Groups: 2, StorageBytes: 1 << 20}); got != want {
		t.Errorf("after the plan changed: %+v, want %+v", got, want)
	}
	known = false
	l.Changed(&tenancy.View{Instance: tenancy.Instance{ID: "a", State: tenancy.StateDeleted}})
	if got := *h.Bounds(); got != (Bounds{}) || l.Hard("a") == h {
		t.Errorf("after its end: %+v", got)
	}
}

func BenchmarkHardBounds(b *testing.B) {
	l := New(Config{Instance: func(tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) { return &tenancy.View{}, nil, true }})
	h := l.Hard("a")
	b.ReportAllocs()
	for b.Loop() {
		if h.Bounds().MessageBytes != 0 {
			b.Fatal("bounded")
		}
	}
}
