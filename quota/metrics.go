package quota

import "github.com/prometheus/client_golang/prometheus"

// metrics of the leasing of a process. None has an instance in a label.
type metrics struct {
	mode   prometheus.Gauge
	calls  prometheus.Counter
	errors prometheus.Counter
	leases prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		mode: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_quota_mode", Help: "How quotas are shared between gateways: 0 by leases from Redis, 1 frozen shares because Redis is away.",
		}),
		calls: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_quota_calls_total", Help: "Rounds of calls to Redis for leases.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_quota_call_errors_total", Help: "Those of them that failed, wholly or in part.",
		}),
		leases: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_quota_lease_seconds",
			Help:    "Leases that a gateway got, in seconds of their limit's rate.",
			Buckets: []float64{0, 0.01, 0.03, 0.1, 0.2, 0.3, 1},
		}),
	}
	if reg != nil {
		reg.MustRegister(m.mode, m.calls, m.errors, m.leases)
	}
	return m
}

func (m *metrics) lent(a Ask, got Lent) { m.leases.Observe(got.Grant / a.Rate) }
