package rewrite

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/tenancy"
)

// storeSpec is what a scenario says of the store.
type storeSpec struct {
	Users  []userSpec      `json:"users"`
	Quotas []tenancy.Quota `json:"quotas"`
	Most   int             `json:"most"`  // users, or entities with quotas, there may be; 0: any number
	Races  int             `json:"races"` // somebody else changes the user first, so often
	Away   bool            `json:"away"`  // nothing can be read or changed
}

type userSpec struct {
	Name     string         `json:"name"`
	Disabled bool           `json:"disabled"`
	Scram    map[string]int `json:"scram"` // mechanism → iterations
}

// stock puts the scenario's users, quotas and ACLs into the store, and returns
// what compares them, when the exchange is over, with the scenario's files stored
// and "acls after": users in order of name, quotas in the order in which they came.
// No change is answered before it is in force.
func (s scenario) stock(t *testing.T, store *fakeStore) (check func()) {
	t.Helper()
	var spec storeSpec
	if s.files["store"] != "" {
		unmarshal(t, s.name+": store", s.files["store"], &spec)
	}
	for _, u := range spec.Users {
		user := tenancy.User{Name: u.Name, Disabled: u.Disabled, Version: 1}
		for _, mechanism := range slices.Sorted(maps.Keys(u.Scram)) {
			user.Credentials = append(user.Credentials, tenancy.Credential{Mechanism: mechanism, Iterations: u.Scram[mechanism]})
		}
		store.users[u.Name] = user
	}
	store.quotas, store.most, store.races = spec.Quotas, spec.Most, spec.Races
	if spec.Away {
		store.err = errors.New("redis is away")
	}
	for _, a := range aclLines(t, s.files["acls"]) {
		store.acls[a] = true
	}
	return func() {
		t.Helper()
		if store.waited != store.rev {
			t.Errorf("answered when revision %d of %d was in force", store.waited, store.rev)
		}
		if s.files["stored"] != "" {
			var want storeSpec
			unmarshal(t, s.name+": stored", s.files["stored"], &want)
			if diff := cmp.Diff(want, store.spec()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		}
		if after, ok := s.files["acls after"]; ok {
			s.checkACLs(t, store, after)
		}
	}
}

// spec is what the store has.
func (s *fakeStore) spec() storeSpec {
	spec := storeSpec{Quotas: s.quotas}
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		u := userSpec{Name: name, Disabled: s.users[name].Disabled}
		for _, c := range s.users[name].Credentials {
			if u.Scram == nil {
				u.Scram = map[string]int{}
			}
			u.Scram[c.Mechanism] = c.Iterations
		}
		spec.Users = append(spec.Users, u)
	}
	return spec
}
