package metering

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sealMetrics are those of sealing. None has an instance in a label.
type sealMetrics struct {
	unsealed    prometheus.Gauge
	records     prometheus.Counter
	corrections prometheus.Counter
	damaged     prometheus.Counter
}

func newSealMetrics(reg prometheus.Registerer) *sealMetrics {
	m := &sealMetrics{
		unsealed: prometheus.NewGauge(prometheus.GaugeOpts{ //nolint:promlinter // hours are what is sealed
			Name: "weir_usage_unsealed_hours", Help: "Hours whose usage was to be sealed by now and is not.",
		}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_usage_sealed_total", Help: "Usage records that this gateway has sealed, corrections among them.",
		}),
		corrections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_usage_corrections_total", Help: "Those of them that correct an hour that was sealed before.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_usage_damaged_counts_total", Help: "Counts in Redis that could not be read when their hour was sealed, and are not billed.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.unsealed, m.records, m.corrections, m.damaged)
	}
	return m
}

func (m *sealMetrics) sealed(records []Record) {
	for _, r := range records {
		m.records.Inc()
		if r.Revision > 0 {
			m.corrections.Inc()
		}
	}
}

// tellDamaged tells of counts that cannot be read: the hour is sealed without them.
func (s *Sealer) tellDamaged(one *sealing) {
	for _, err := range one.damaged {
		s.metrics.damaged.Inc()
		s.cfg.Log.Error("a count of usage is damaged, and not billed", "instance", string(one.id), "hour", one.hour.String(), "error", err,
			"fix", "its gateway writes it anew within the hour, and it is billed as a correction; if that gateway is gone for good, start one with its metering.dir")
	}
}

// watch tells what went wrong, once, and raises the alarm for hours that are not
// sealed twice as long after their end as they should be, whoever should have.
func (s *Sealer) watch(err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != s.trouble {
		s.cfg.Log.Warn("sealing usage", "error", err)
	}
	s.trouble = trouble
	if !s.asked.known {
		return // how far was not heard yet
	}
	now := s.cfg.Now()
	due := s.due(now)
	s.metrics.unsealed.Set(float64(max(0, due-s.asked.hour)))
	for h := s.asked.hour + 1; h <= due; h++ {
		if s.alarmed[h] || now.Sub(h.End()) < 2*s.cfg.After {
			continue
		}
		s.alarmed[h] = true
		s.cfg.Log.Error("usage of an hour is not sealed", "hour", h.String(), "ended", now.Sub(h.End()).Round(time.Second), "error", trouble,
			"fix", "see that Redis is up and that gateways reach it; nothing is lost, and sealing catches up by itself")
	}
	for h := range s.alarmed {
		if h <= s.asked.hour {
			delete(s.alarmed, h)
			s.cfg.Log.Info("usage of an hour is sealed now", "hour", h.String())
		}
	}
}
