package gateway

import (
	"weir/auth"
	"weir/tenancy"
)

// The values of acl_default and network_default.
const (
	defaultAllow = "allow"
	defaultDeny  = "deny"
)

// planNames are the plans' names, the default first.
func planNames(plans []PlanConfig) []string {
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.Name
	}
	return names
}

// planDefaults are what plans say where an instance says nothing; of "", the
// first plan's. Any goroutine.
func planDefaults(plans []PlanConfig) func(plan string) auth.Defaults {
	all := make(map[string]auth.Defaults, len(plans)+1)
	for i, p := range plans {
		d := auth.Defaults{DenyACLs: p.ACLDefault == defaultDeny, DenyNetworks: p.NetworkDefault == defaultDeny}
		all[p.Name] = d
		if i == 0 {
			all[""] = d
		}
	}
	return func(plan string) auth.Defaults { return all[plan] }
}

// planFile are the limits that plans have by the file.
func planFile(plans []PlanConfig) map[string]tenancy.Limits {
	all := make(map[string]tenancy.Limits, len(plans))
	for i := range plans {
		all[plans[i].Name] = plans[i].Limits.limits()
	}
	return all
}
