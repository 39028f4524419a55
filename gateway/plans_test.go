package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/auth"
)

func TestPlans(t *testing.T) {
	c, err := load(t, good+"plans: [{name: open, acl_default: allow}, {name: closed, acl_default: deny, network_default: deny}, {name: plain}]\n")
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
	for _, plan := range []string{"", "open", "closed", "plain", "gone"} {
		closed := plan == "closed"
		if got := a.defaults(plan); got != (auth.Defaults{DenyACLs: closed, DenyNetworks: closed}) {
			t.Errorf("plan %q: %+v", plan, got)
		}
	}
	if first := planDefaults([]PlanConfig{{Name: "closed", NetworkDefault: "deny"}}); !first("").DenyNetworks {
		t.Error("the default plan's defaults are not those of the first")
	}
	if c, err = load(t, good); err != nil || len(c.Plans) != 1 || c.Plans[0].Name != "standard" || planDefaults(c.Plans)("standard") != (auth.Defaults{}) {
		t.Errorf("without plans: %+v, %v", c.Plans, err)
	}
}
