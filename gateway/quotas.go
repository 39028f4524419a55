package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir/quota"
	"weir/tenancy"
)

// limiter holds instances to the limits of their plans and their own.
func (p *process) limiter(a assembly, gateway string, registry prometheus.Registerer) *quota.Limiter {
	l := quota.New(quota.Config{
		Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			v, ok := p.directory.View(id)
			if !ok {
				return nil, nil, false
			}
			return v, a.planLimits(v.Instance.Plan), true
		},
		Log: a.log, Registry: registry, Throttles: quota.NewThrottleStore(p.rdb, gateway),
	})
	p.directory.Watch(l.Changed)
	p.background = append(p.background, component{"quotas", l.Run}, component{"throttles", l.RunThrottles})
	return l
}

// planLimits are what a plan bounds.
func (a assembly) planLimits(string) tenancy.Limits { return nil }
