package gateway

// The values of acl_default.
const (
	aclAllow = "allow"
	aclDeny  = "deny"
)

// planNames are the plans' names, the default first.
func planNames(plans []PlanConfig) []string {
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.Name
	}
	return names
}

// denyByDefault says of a plan whether its instances deny what no ACL speaks
// of; nil if none does. Any goroutine.
func denyByDefault(plans []PlanConfig) func(plan string) bool {
	denies := make(map[string]bool)
	for _, p := range plans {
		if p.ACLDefault == aclDeny {
			denies[p.Name] = true
		}
	}
	if len(denies) == 0 {
		return nil
	}
	return func(plan string) bool { return denies[plan] }
}
