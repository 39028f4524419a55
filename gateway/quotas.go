package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir/quota"
	"weir/tenancy"
)

// limiter holds instances to the limits of their plans and their own.
func (p *process) limiter(a assembly, gateway string, registry prometheus.Registerer) *quota.Limiter {
	plans := &planBook{file: a.plans, set: p.directory.Plan, log: a.log}
	plans.renew()
	l := quota.New(quota.Config{
		Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			v, ok := p.directory.View(id)
			if !ok {
				return nil, nil, false
			}
			return v, plans.limits(v.Instance.Plan), true
		},
		Log: a.log, Registry: registry, Throttles: quota.NewThrottleStore(p.rdb, gateway),
		Lender: quota.NewRedis(p.rdb), Gateway: gateway,
	})
	p.directory.Watch(l.Changed)
	p.directory.WatchPlans(func() {
		plans.renew()
		l.PlansChanged()
	})
	p.background = append(p.background, component{"quotas", l.Run}, component{"throttles", l.RunThrottles})
	return l
}
