package admin

import "slices"

// scope is one thing that a route needs and a role gives.
type scope string

const (
	instancesRead  scope = "instances:read"
	instancesWrite scope = "instances:write"
	usersRead      scope = "users:read"
	usersWrite     scope = "users:write"
	aclsRead       scope = "acls:read"
	aclsWrite      scope = "acls:write"
	networksRead   scope = "networks:read"
	networksWrite  scope = "networks:write"
	// accessRead and accessWrite are about how clients prove who they are: issuers,
	// client CAs, host names with their certificates, the authentication policy.
	accessRead  scope = "access:read"
	accessWrite scope = "access:write"
	// eventsRead shows who was refused, and from where.
	eventsRead scope = "events:read"
	// quotasRead shows limits, what is used of them, and who was throttled.
	quotasRead scope = "quotas:read"
	// quotasWrite changes what an instance may use: limits of its own, and its plan.
	quotasWrite scope = "quotas:write"
	// subQuotasWrite shares out within an instance what it may use.
	subQuotasWrite scope = "sub-quotas:write"
	plansRead      scope = "plans:read"
	plansWrite     scope = "plans:write"
	// aliasesRead and aliasesWrite are for operators: they show and choose names of
	// the pool, where nothing says which tenant may have them.
	aliasesRead  scope = "aliases:read"
	aliasesWrite scope = "aliases:write"
	// identitiesWrite is for operators: an instance's principal in its pool is theirs.
	identitiesWrite scope = "identities:write"
	// usageRead shows how much was used; usageNames by which of an instance's users and
	// on which topics, whose names who only pays need not know.
	usageRead  scope = "usage:read"
	usageNames scope = "usage:names"
	// statementsRead shows what it costs.
	statementsRead scope = "statements:read"
	exportsWrite   scope = "exports:write"
	// statementsWrite makes statements final, for good; budgetsWrite says what a tenant
	// may spend; balancesWrite that it has paid.
	statementsWrite scope = "statements:write"
	budgetsWrite    scope = "budgets:write"
	balancesWrite   scope = "balances:write"
	// metricsRead is for operators: the metrics are those of all tenants.
	metricsRead scope = "metrics:read"
)

// Roles are those that give something, the mightiest first.
func Roles() []string {
	return []string{"operator", "tenant-admin", "quota-admin", "viewer", "billing-reader"}
}

// rights is what a caller may do.
type rights struct {
	everyTenant bool // not only its own
	scopes      []scope
}

func (r rights) allow(s scope) bool { return slices.Contains(r.scopes, s) }

// rightsOf adds up the rights of roles. An unknown role gives nothing.
func rightsOf(roles []string) rights {
	var r rights
	for _, role := range roles {
		switch role {
		case "operator":
			r.everyTenant = true
			r.scopes = append(r.scopes, instancesRead, instancesWrite, usersRead, usersWrite, aclsRead, aclsWrite,
				networksRead, networksWrite, accessRead, accessWrite, eventsRead, aliasesRead, aliasesWrite, identitiesWrite, metricsRead,
				quotasRead, quotasWrite, subQuotasWrite, plansRead, plansWrite, usageRead, usageNames, statementsRead, exportsWrite,
				statementsWrite, budgetsWrite, balancesWrite)
		case "tenant-admin":
			r.scopes = append(r.scopes, instancesRead, instancesWrite, usersRead, usersWrite, aclsRead, aclsWrite,
				networksRead, networksWrite, accessRead, accessWrite, eventsRead, quotasRead, subQuotasWrite, plansRead,
				usageRead, usageNames, statementsRead, exportsWrite, budgetsWrite)
		case "viewer":
			r.scopes = append(r.scopes, instancesRead, usersRead, aclsRead, networksRead, accessRead, eventsRead, quotasRead, plansRead,
				usageRead, usageNames, statementsRead)
		case "quota-admin":
			r.scopes = append(r.scopes, instancesRead, quotasRead, quotasWrite, subQuotasWrite, plansRead, usageRead, usageNames)
		case "billing-reader":
			r.scopes = append(r.scopes, plansRead, usageRead, statementsRead, exportsWrite)
		}
	}
	return r
}
