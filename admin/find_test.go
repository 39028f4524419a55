package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/admin/api"
	"weir/tenancy"
)

// named makes an instance of a tenant with a name beside its id.
func (f *fixture) named(tenant tenancy.TenantID, id, name string) {
	f.t.Helper()
	body := api.CreateInstance{ID: id, Name: name, Tenant: string(tenant)}
	if a := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances", body); a.status != http.StatusCreated {
		f.t.Fatalf("creating %s: %d %s", id, a.status, a.body)
	}
}

func TestFindInstance(t *testing.T) {
	f := newFixture(t).start()
	f.named("t-dev", "i-d", "orders")
	f.named("t-acme", "i-a", "orders")
	f.named("t-acme", "i-b", "bills")
	f.named("t-beta", "bills", "stock")      // its id is another's name
	f.named("t-beta", "i-c", "i-aaaaaaaa")   // its name is another's id
	f.named("t-acme", "i-aaaaaaaa", "other") // which nobody would choose for a name
	f.named("t-dev", "i-e", "mine")
	f.named("t-beta", "i-f", "i-bbbbbbbb") // its name may be that of a deleted one's id

	operator, anywhere := f.token("t-dev", "operator"), f.token("", "operator")
	acme := f.token("t-acme", "tenant-admin")
	for _, c := range []struct {
		who, token, name, tenant string
		want                     string // the id, else the code
	}{
		{"operator", operator, "i-a", "", "i-a"},
		{"operator", operator, "orders", "t-acme", "i-a"},
		{"operator", operator, "orders", "t-dev", "i-d"},
		{"operator", operator, "i-a", "t-acme", "i-a"},
		{"operator", operator, "i-a", "t-dev", "instance-not-found"},
		{"operator", operator, "orders", "t-none", "instance-not-found"},
		{"operator", operator, "orders", "T-None", "validation-failed"},
		{"operator", operator, "orders", "", "instance-ambiguous"}, // never silently its own
		{"operator", operator, "mine", "", "i-e"},
		{"operator", operator, "stock", "", "bills"},
		{"operator", operator, "bills", "", "instance-ambiguous"},
		{"operator", operator, "bills", "t-beta", "bills"},
		{"operator", operator, "bills", "t-acme", "i-b"},
		{"operator", operator, "i-aaaaaaaa", "", "i-aaaaaaaa"},
		{"operator", operator, "i-aaaaaaaa", "t-beta", "i-c"},
		{"operator", operator, "i-bbbbbbbb", "", "instance-not-found"},
		{"operator", operator, "i-bbbbbbbb", "t-beta", "i-f"},
		{"operator", operator, "nothing", "", "instance-not-found"},
		{"operator", operator, "No-Name", "", "instance-not-found"},
		{"operator of no tenant", anywhere, "mine", "", "i-e"},
		{"operator of no tenant", anywhere, "orders", "", "instance-ambiguous"},
		{"operator of no tenant", anywhere, "orders", "t-dev", "i-d"},
		{"tenant", acme, "orders", "", "i-a"},
		{"tenant", acme, "orders", "t-acme", "i-a"},
		{"tenant", acme, "bills", "", "i-b"},
		{"tenant", acme, "mine", "", "instance-not-found"},
		{"tenant", acme, "i-e", "", "instance-not-found"},
		{"tenant", acme, "orders", "t-dev", "tenant-not-found"},
		{"tenant", acme, "orders", "t-none", "tenant-not-found"},
		{"tenant", acme, "stock", "t-beta", "tenant-not-found"},
	} {
		path := "/v1/instances/" + c.name
		if c.tenant != "" {
			path += "?tenant=" + c.tenant
		}
		a := f.do(c.token, http.MethodGet, path, nil)
		got := ""
		if a.status == http.StatusOK {
			got = decodeAs[api.Instance](t, a).ID
		} else {
			got = a.problem(t).Code
		}
		if got != c.want {
			t.Errorf("%s asks for %s: %s, want %s: %s", c.who, path, got, c.want, a.body)
		}
	}
}

// An ambiguous name is refused with what it may mean, and changes nothing.
func TestAmbiguousInstance(t *testing.T) {
	f := newFixture(t).start()
	f.named("t-dev", "i-d", "orders")
	f.named("t-acme", "i-a", "orders")
	token := f.token("t-dev", "operator")
	p := f.do(token, http.MethodDelete, "/v1/instances/orders", nil).problem(t)
	const want = `2 instances are called "orders": i-a (t-acme), i-d (t-dev); name the tenant (--tenant, ?tenant=) or give an id.`
	if p.Status != http.StatusConflict || p.Detail != want || p.Try != "weir instance list" {
		t.Errorf("%+v", p)
	}
	for _, id := range []string{"i-a", "i-d"} {
		if i := decodeAs[api.Instance](t, f.do(token, http.MethodGet, "/v1/instances/"+id, nil)); i.State != "active" {
			t.Errorf("%s is %s", id, i.State)
		}
	}
	for n := range 12 {
		f.named(tenancy.TenantID(fmt.Sprintf("t-%02d", n)), fmt.Sprintf("o-%02d", n), "orders")
	}
	p = f.do(token, http.MethodGet, "/v1/instances/orders", nil).problem(t)
	if !strings.HasPrefix(p.Detail, "14 instances") || !strings.Contains(p.Detail, "o-07 (t-07), and 4 more;") {
		t.Error(p.Detail)
	}
	// Once the other is gone, the name is its own again.
	if _, _, err := f.store.UpdateInstance(t.Context(), "i-a", func(i *tenancy.Instance) error { i.State = tenancy.StateDeleted; return nil }); err != nil {
		t.Fatal(err)
	}
	if a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders", nil); a.status != http.StatusNotFound {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
}

// Whatever a tenant asks, others' instances look like none: same status, code and text.
func TestForeignInstancesLookLikeNone(t *testing.T) {
	f := newFixture(t).start()
	f.named("t-acme", "i-a", "orders")
	token := f.token("t-beta", "tenant-admin")
	// Each asks once for what is there and once for what is not.
	for _, c := range [][2]string{
		{"/v1/instances/orders", "/v1/instances/zebras"},
		{"/v1/instances/i-a", "/v1/instances/i-z"},
		{"/v1/instances/orders?tenant=t-acme", "/v1/instances/orders?tenant=t-zoo"},
		{"/v1/instances/i-a/quotas?tenant=t-acme", "/v1/instances/i-z/quotas?tenant=t-zoo"},
		{"/v1/instances/orders?tenant=t-beta", "/v1/instances/zebras?tenant=t-beta"},
		{"/v1/events?instance=orders&tenant=t-acme", "/v1/events?instance=zebras&tenant=t-zoo"},
		{"/v1/events?instance=orders", "/v1/events?instance=zebras"},
	} {
		there, none := f.do(token, http.MethodGet, c[0], nil).problem(t), f.do(token, http.MethodGet, c[1], nil).problem(t)
		there.RequestID, none.RequestID = "", ""
		there.Detail = strings.NewReplacer("orders", "zebras", "i-a", "i-z", "t-acme", "t-zoo").Replace(there.Detail)
		if there.Status != http.StatusNotFound || fmt.Sprint(there) != fmt.Sprint(none) {
			t.Errorf("%s: %+v\n%s: %+v", c[0], there, c[1], none)
		}
	}
}

// Every route that says which instance it is about takes a tenant.
func TestEveryInstanceRouteTakesATenant(t *testing.T) {
	f := newFixture(t).start()
	type parameter struct{ Name, In string }
	var spec struct {
		Paths map[string]map[string]struct{ Parameters []parameter }
	}
	if err := json.Unmarshal([]byte(f.do("", http.MethodGet, "/openapi.json", nil).body), &spec); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for path, methods := range spec.Paths {
		for method, op := range methods {
			has := map[parameter]bool{}
			for _, p := range op.Parameters {
				has[p] = true
			}
			if !has[parameter{"instance", "path"}] && !has[parameter{"instance", "query"}] {
				continue
			}
			if seen++; !has[parameter{"tenant", "query"}] {
				t.Errorf("%s %s takes no tenant", method, path)
			}
		}
	}
	if seen < 40 {
		t.Errorf("%d routes have an instance, there are more", seen)
	}
}

// Commands that an operator is told to try name an instance by its id, which is one
// over all tenants; a tenant's own have its name.
func TestTriedInstances(t *testing.T) {
	f := newFixture(t).start()
	f.named("t-acme", "i-a", "orders")
	for token, want := range map[string]string{
		f.token("t-dev", "operator"): "weir quota set i-a LIMIT=VALUE", f.token("t-acme", "operator"): "weir quota set i-a LIMIT=VALUE",
		f.token("t-acme", "tenant-admin", "quota-admin"): "weir quota set orders LIMIT=VALUE",
	} {
		body := api.ChangeLimits{Limits: map[string]*api.LimitValue{}}
		if p := f.do(token, http.MethodPut, "/v1/instances/orders/quotas", body).problem(t); p.Try != want {
			t.Errorf("%q, want %q: %s", p.Try, want, p.Detail)
		}
	}
}

// Who deletes by an id once more must not hit whoever has taken it for a name.
func TestDeletedIDAsAName(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.create("t-acme", "secret")
	f.delete("secret")
	f.named("t-evil", "i-e", "secret")
	for query, want := range map[string]int{"": http.StatusConflict, "?tenant=t-acme": http.StatusNotFound, "?tenant=t-evil": http.StatusOK} {
		if a := f.do(f.token("", "operator"), http.MethodGet, "/v1/instances/secret"+query, nil); a.status != want {
			t.Errorf("%q: %d %s", query, a.status, a.body)
		}
	}
	if a := f.do(f.token("", "operator"), http.MethodDelete, "/v1/instances/secret", nil); a.status != http.StatusConflict {
		t.Errorf("deleted again: %d %s", a.status, a.body)
	}
}

// A name that was the id of an instance, now deleted, may mean the usage of either.
func TestUsageOfANamesake(t *testing.T) {
	f, _ := metered(t)
	f.named("t-beta", "i-n", "orders") // t-acme has the id
	f.delete("orders")
	for query, want := range map[string]int{
		"instance=orders":               http.StatusConflict,
		"instance=orders&tenant=t-acme": http.StatusOK,
		"instance=orders&tenant=t-beta": http.StatusOK,
		"instance=i-n":                  http.StatusOK,
	} {
		a := f.do(f.token("t-beta", "operator"), http.MethodGet, "/v1/usage?from=2026-11-22&"+query, nil)
		if a.status != want {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := f.do(f.token("t-beta", "viewer"), http.MethodGet, "/v1/usage?instance=orders", nil); a.status != http.StatusOK {
		t.Errorf("of its own: %d %s", a.status, a.body)
	}
}
