package billing

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// States of a budget, as weir_budgets counts them.
const (
	budgetWithin    = "within"
	budgetThrottled = "throttled"
	budgetStopped   = "stopped"
	budgetUnknown   = "unknown"
)

// keeperMetrics are those of budgets. None has a tenant in a label.
type keeperMetrics struct {
	budgets *prometheus.GaugeVec
	crossed *prometheus.CounterVec
}

func newKeeperMetrics(reg prometheus.Registerer) *keeperMetrics {
	m := &keeperMetrics{
		budgets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_budgets",
			Help: "Tenants with a budget by what it makes of their instances, when this gateway last looked; unknown: what they spent could not be found out.",
		}, []string{"state"}),
		crossed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_budget_thresholds_total", Help: "Thresholds that tenants' budgets have crossed, as this gateway found.",
		}, []string{"threshold"}),
	}
	for _, t := range []Threshold{Threshold50, Threshold80, Threshold100, ThresholdForecast} {
		m.crossed.WithLabelValues(string(t))
	}
	if reg != nil {
		reg.MustRegister(m.budgets, m.crossed)
	}
	return m
}

// looked counts what was found of all budgets.
func (m *keeperMetrics) looked(found map[tenancy.TenantID]tenancy.Restraint, unknown int) {
	states := map[string]int{budgetWithin: 0, budgetThrottled: 0, budgetStopped: 0, budgetUnknown: unknown}
	for _, r := range found {
		switch r {
		case tenancy.RestraintThrottle:
			states[budgetThrottled]++
		case tenancy.RestraintStop:
			states[budgetStopped]++
		default:
			states[budgetWithin]++
		}
	}
	for state, n := range states {
		m.budgets.WithLabelValues(state).Set(float64(n))
	}
}
