package gateway

import (
	"weir/admin/api"
	"weir/proxy"
)

// explain fills in what the reason of a refusal means to the one who was refused.
func explain(r api.Refusal) api.Refusal {
	e, ok := proxy.Explain(r.Reason)
	if !ok { // of a newer gateway
		return r
	}
	e = e.For(r.Instance, r.Address, r.User)
	r.Text, r.Fix, r.Try = e.Text, e.Fix, e.Try
	return r
}
