package admin

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"weir/billing"
	"weir/tenancy"
)

// Billing is what makes money of usage.
type Billing struct {
	Biller *billing.Biller
	Keeper *billing.Keeper
	Store  *billing.Store
}

func (s *server) billingRoutes(a huma.API) {
	s.priceRoutes(a)
	s.statementRoutes(a)
	s.budgetRoutes(a)
}

// TenantPath is exported for the same reason as ListInput.
type TenantPath struct {
	Tenant string `path:"tenant" maxLength:"32"`
}

// tenant is one that the caller may see. There is no list of tenants: one that has
// nothing looks like one that nobody has heard of.
func (s *server) tenant(ctx context.Context, name string) (tenancy.TenantID, error) {
	t, err := tenancy.ParseTenantID(name)
	if err != nil || !callerOf(ctx).owns(t) {
		return "", problem(codeTenantNotFound, "There is no tenant %.80q.", name)
	}
	return t, nil
}
