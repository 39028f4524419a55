package quota

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// throttleMetrics are those of throttles, by limit. None has an instance in a label.
type throttleMetrics struct {
	throttles, seconds, refused map[tenancy.LimitName]prometheus.Counter
}

// newThrottleMetrics registers all at 0: an alarm is a rise.
func newThrottleMetrics(reg prometheus.Registerer) *throttleMetrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	byLimit := func(name, help string, wanted func(tenancy.LimitKind) bool) map[tenancy.LimitName]prometheus.Counter {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"limit"})
		reg.MustRegister(v)
		all := map[tenancy.LimitName]prometheus.Counter{}
		for _, limit := range tenancy.LimitNames() {
			if kind, _ := tenancy.KindOf(limit); wanted(kind) {
				all[limit] = v.WithLabelValues(string(limit))
			}
		}
		return all
	}
	rates := func(k tenancy.LimitKind) bool { return k.Rate }
	return &throttleMetrics{
		throttles: byLimit("weir_throttles_total", "Requests and connections that had to wait for a limit, by limit.", rates),
		seconds:   byLimit("weir_throttled_seconds_total", "How long client connections had to wait for a limit, by limit.", rates),
		refused: byLimit("weir_quota_refused_total", "Work that a limit has refused, by limit.",
			func(tenancy.LimitKind) bool { return true }), // a rate too: of connection attempts
	}
}

func (m *throttleMetrics) add(key throttleKey, wait time.Duration) {
	if key.kind == Refused {
		inc(m.refused[key.limit], 1)
		return
	}
	inc(m.throttles[key.limit], 1)
	inc(m.seconds[key.limit], wait.Seconds())
}

// inc adds to a counter; nil is that of a limit that there is not.
func inc(c prometheus.Counter, n float64) {
	if c != nil {
		c.Add(n)
	}
}
