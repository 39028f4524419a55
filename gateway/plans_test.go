package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlans(t *testing.T) {
	c, err := load(t, good+"plans: [{name: open, acl_default: allow}, {name: closed, acl_default: deny}, {name: plain}]\n")
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.assemble(discardLog(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer a.rdb.Close()
	if diff := cmp.Diff([]string{"open", "closed", "plain"}, a.admin.Plans); diff != "" {
		t.Error(diff)
	}
	for plan, want := range map[string]bool{"open": false, "closed": true, "plain": false, "gone": false} {
		if got := a.denyByDefault(plan); got != want {
			t.Errorf("plan %s denies by default: %t", plan, got)
		}
	}
	if c, err = load(t, good); err != nil || len(c.Plans) != 1 || c.Plans[0].Name != "standard" || denyByDefault(c.Plans) != nil {
		t.Errorf("without plans: %+v, %v", c.Plans, err)
	}
}
