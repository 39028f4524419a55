package auth

import "weir/tenancy"

// access is what this package makes of a tenancy.Access, once. Immutable.
type access struct {
	clientCAs *clientCAs
	issuers   map[string]*issuer // by URL
}

// compiled returns what was made of a view's access. Any goroutine.
func compiled(a *tenancy.Access) *access {
	return a.Made(tenancy.SlotAuth, func() any { return compileAccess(a) }).(*access)
}

func compileAccess(a *tenancy.Access) *access {
	return &access{clientCAs: compileClientCAs(a.ClientCAs), issuers: compileIssuers(a.Issuers)}
}
