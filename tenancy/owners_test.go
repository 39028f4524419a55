package tenancy

import "testing"

func TestOwners(t *testing.T) {
	d := NewDirectory(DirectoryConfig{})
	if d.Owners("main") != nil {
		t.Fatal("an empty directory knows owners")
	}
	put := func(id InstanceID, pool string, aliases ...Alias) {
		d.views.Store(id, &View{Instance: Instance{ID: id, Pool: pool}, Space: NewNamespace(id, aliases...)})
	}
	put("a", "main", Alias{Kind: KindTopic, Virtual: "bills", Physical: "legacy"}, Alias{Kind: KindGroup, Virtual: "g", Physical: "old group"})
	put("b", "main", Alias{Kind: KindTopic, Virtual: "theirs", Physical: "legacy", ReadOnly: true}, Alias{Kind: KindTopic, Virtual: "as", Physical: "a.x", ReadOnly: true})
	put("c", "other", Alias{Kind: KindTopic, Virtual: "v", Physical: "elsewhere"})
	close(d.ready)
	owner := d.Owners("main")
	for _, tt := range []struct {
		kind     Kind
		physical string
		want     InstanceID
	}{
		{KindTopic, "a.x", "a"},
		{KindTopic, "a.x.y", "a"},
		{KindTopic, "b.x", "b"},
		{KindTopic, "legacy", "a"},
		{KindGroup, "legacy", ""},
		{KindGroup, "old group", "a"},
		{KindTopic, "a.bills", ""}, // the prefixed form of an alias
		{KindTopic, "b.theirs", ""},
		{KindTopic, "a", ""},
		{KindTopic, "nobody.x", ""},
		{KindTopic, "c.x", ""}, // of another pool
		{KindTopic, "elsewhere", ""},
	} {
		if id, ok := owner(tt.kind, tt.physical); id != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %s is %q's (%v), want %q", tt.kind, tt.physical, id, ok, tt.want)
		}
	}
}
