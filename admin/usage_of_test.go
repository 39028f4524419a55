package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/admin/api"
	"weir/metering"
	"weir/tenancy"
)

// delete ends an instance as the reaper does.
func (f *fixture) delete(id tenancy.InstanceID) {
	f.t.Helper()
	for _, state := range []tenancy.State{tenancy.StateDeleting, tenancy.StateDeleted} {
		_, rev, err := f.store.UpdateInstance(f.t.Context(), id, func(i *tenancy.Instance) error {
			i.State = state
			return nil
		})
		if err != nil {
			f.t.Fatal(err)
		}
		if err := f.directory.Await(f.t.Context(), rev); err != nil {
			f.t.Fatal(err)
		}
	}
}

// What a deleted instance used is there by its id: for operators, and for the tenant whose
// it was, of sealed hours and of the open one, with and without a tombstone.
func TestUsageOfDeleted(t *testing.T) {
	f, m := metered(t)
	chains := &fakeChains{chain: metering.Chain{First: 1, Last: 7, Records: 7}}
	f.cfg.Chains = chains
	f.restart()
	m.add(t, "t-acme", "fresh", "2026-11-23T08", "standard", "", 4) // open, of which Redis has lost the tombstone
	f.create("t-acme", "never")                                     // used nothing
	for _, id := range []tenancy.InstanceID{"orders", "bills", "never"} {
		f.delete(id)
	}
	get := func(tenant tenancy.TenantID, role, query string) answer {
		return f.do(f.token(tenant, role), http.MethodGet, "/v1/usage?"+query, nil)
	}
	verify := func(tenant tenancy.TenantID, role, id string) answer {
		return f.do(f.token(tenant, role), http.MethodGet, "/v1/instances/"+id+"/usage/chain", nil)
	}
	for _, c := range []struct{ id, name, query, want string }{
		{"orders", "orders", "from=2026-11-22&to=2026-11-23", "t-acme orders 11-22T00-11-23T00 2407"},
		{"bills", "bills", "from=2026-11-23T08", "t-acme bills 11-23T08-11-23T09 open 2"},
		{"gone", "", "", "t-acme gone 11-22T00-11-23T00 11"},
		{"fresh", "", "", "t-acme fresh 11-23T00-11-23T09 open 4"},
		{"gone", "", "from=2026-11-23T08", ""},
		{"never", "", "", ""},
	} {
		for tenant, role := range map[tenancy.TenantID]string{"": "operator", "t-acme": "viewer"} {
			a := get(tenant, role, "instance="+c.id+"&"+c.query)
			if a.status != http.StatusOK {
				t.Errorf("%s asks for %s: %d %s", role, c.id, a.status, a.body)
				continue
			}
			u := decodeAs[api.Usage](t, a)
			if got := strings.Join(usageLines(u), "\n"); got != c.want || c.want != "" && u.Items[0].Name != c.name {
				t.Errorf("%s asks for %s: %q %+v, want %q", role, c.id, got, u.Items, c.want)
			}
			if a := verify(tenant, role, c.id); a.status != http.StatusOK || string(chains.asked) != c.id {
				t.Errorf("%s verifies %s: %d %s", role, c.id, a.status, a.body)
			}
		}
	}
	// Others are told what they are told of what never was, word for word.
	for name, ask := range map[string]func(id string) answer{
		"usage":  func(id string) answer { return get("t-other", "tenant-admin", "instance="+id) },
		"verify": func(id string) answer { return verify("t-other", "tenant-admin", id) },
		"another tenant's by an operator": func(id string) answer {
			return get("", "operator", "tenant=t-other&instance="+id)
		},
		"export": func(id string) answer {
			return f.do(f.token("t-other", "tenant-admin"), http.MethodPost, "/v1/exports",
				fmt.Sprintf(`{"format":"csv","from":"2026-11-22","to":"2026-11-23","instance":%q}`, id))
		},
	} {
		unknown := ask("nothing").problem(t)
		for _, id := range []string{"orders", "bills", "gone", "fresh", "never"} {
			p := ask(id).problem(t)
			if p.Status != http.StatusNotFound || strings.ReplaceAll(p.Detail, id, "nothing") != unknown.Detail || p.Code != unknown.Code || p.Try != unknown.Try {
				t.Errorf("%s of %s: %+v, of what never was: %+v", name, id, p, unknown)
			}
		}
	}
}

// Where "nothing was used" is not the answer, there is an error.
func TestUsageOfNobody(t *testing.T) {
	f, m := metered(t)
	f.create("t-idle", "idle")
	m.add(t, "t-past", "was", "2026-10-01T00", "standard", "", 1)
	for _, c := range []struct{ name, role, query, code, detail string }{
		{"not broken down", "operator", "?group_by=topic&from=2026-11-23", "usage-not-broken-down", "metering.breakdown"},
		{"broken down", "operator", "?group_by=user&from=2026-11-23", "", ""},
		{"a misspelt tenant", "operator", "?tenant=t-acmee", "tenant-not-found", `Tenant "t-acmee" has no instance and no usage.`},
		{"a tenant that used nothing", "operator", "?tenant=t-idle", "", ""},
		{"a tenant of the past", "operator", "?tenant=t-past", "", ""},
		{"somebody else's", "viewer", "?tenant=t-acmee", "tenant-not-found", `There is no tenant "t-acmee".`},
	} {
		f.cfg.Breakdown = []string{"user"}
		f.restart()
		a := f.do(f.token("t-idle", c.role), http.MethodGet, "/v1/usage"+c.query, nil)
		if c.code == "" {
			if u := decodeAs[api.Usage](t, a); a.status != http.StatusOK || len(u.Items) != 0 {
				t.Errorf("%s: %d %s", c.name, a.status, a.body)
			}
			continue
		}
		if p := a.problem(t); p.Code != c.code || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestUsagePeriods(t *testing.T) {
	f, _ := metered(t)
	for query, want := range map[string]string{
		"from=2026-11-23&to=2026-11-22": "query.to: 2026-11-22T00 is not after from (2026-11-23T00): the period is empty or reversed",
		"to=2026-11-01":                 "query.to: 2026-11-01T00 is not after from (2026-11-01T00): the period is empty or reversed",
		"from=2026-12-01":               "query.from: 2026-12-01T00 is in the future; it is 2026-11-23T08:20:00Z",
		"from=2026-12-01&to=2026-12-02": "query.from: 2026-12-01T00 is in the future; it is 2026-11-23T08:20:00Z",
		"from=2024-01-01&to=2024-02-01": "query.from: 2024-01-01T00 is older than records are kept: the oldest hour is 2025-10-19T08",
		"from=december":                 `query.from: "december" is no time: want one like 2026-11-22, 2026-11-22T19 or 2026-11-22T19:00:00Z`,
	} {
		p := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/usage?"+query, nil).problem(t)
		if len(p.Errors) != 1 || p.Errors[0].Location+": "+p.Errors[0].Message != want || p.Detail != "The request has a mistake." {
			t.Errorf("%s: %+v", query, p)
		}
	}
}
