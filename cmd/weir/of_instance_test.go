package main

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

// Every command that takes an instance takes whose it is, also from the environment.
func TestEveryInstanceHasATenant(t *testing.T) {
	parser, err := kong.New(&grammar{}, kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, cmd := range parser.Model.Leaves(false) {
		takes := slices.ContainsFunc(cmd.Positional, func(p *kong.Positional) bool { return p.Name == "instance" })
		whose := false
		for _, group := range cmd.AllFlags(false) {
			for _, f := range group {
				takes = takes || f.Name == "instance"
				whose = whose || f.Name == "tenant" && slices.Equal(f.Envs, []string{"WEIR_TENANT"})
			}
		}
		if !takes {
			continue
		}
		if seen++; !whose {
			t.Errorf("%s takes an instance, but no --tenant with WEIR_TENANT", cmd.FullPath())
		}
	}
	if seen < 40 {
		t.Errorf("%d commands take an instance, there are more", seen)
	}
}

func TestInstancePath(t *testing.T) {
	for _, c := range []struct {
		of                 ofInstance
		below, path, typed string
	}{
		{ofInstance{}, "", "/v1/instances/", ""},
		{ofInstance{"orders", instanceTenant{}}, "/users", "/v1/instances/orders/users", "orders"},
		{ofInstance{"orders", instanceTenant{"acme"}}, "/users", "/v1/instances/orders/users?tenant=acme", "orders --tenant acme"},
		{ofInstance{"orders", instanceTenant{"acme"}}, "/users?limit=5", "/v1/instances/orders/users?limit=5&tenant=acme", "orders --tenant acme"},
		{ofInstance{"o/?", instanceTenant{"a&b"}}, "", "/v1/instances/o%2F%3F?tenant=a%26b", "o/? --tenant a&b"},
		{ofInstance{"", instanceTenant{"acme"}}, "", "/v1/instances/?tenant=acme", ""},
	} {
		if path, typed := c.of.path(c.below), c.of.typed(); path != c.path || typed != c.typed {
			t.Errorf("%+v: %s, %q; want %s, %q", c.of, path, typed, c.path, c.typed)
		}
	}
}
