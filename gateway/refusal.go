package gateway

import (
	"weir/admin/api"
	"weir/auth"
	"weir/proxy"
)

// explain fills in what the reason of a refusal means to the one who was refused.
func explain(r api.Refusal) api.Refusal {
	e, ok := proxy.Explain(r.Reason)
	if !ok { // of a newer gateway
		return r
	}
	address := r.Address
	if r.EndpointID != "" && r.Reason == string(auth.ReasonNetwork) { // there, addresses say nothing
		address = "--endpoint " + r.EndpointID + " --cloud " + r.Cloud
	}
	r.Try = e.For(r.Instance, r.Tenant, address, r.User).Try
	e = e.For(r.Instance, r.Tenant, r.Address, r.User)
	r.Text, r.Fix = e.Text, e.Fix
	return r
}
