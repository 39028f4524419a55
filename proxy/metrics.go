package proxy

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
)

// metrics of the Kafka face. None has an instance in a label.
type metrics struct {
	accepted prometheus.Counter
	closed   *prometheus.CounterVec // by reason
	sessions prometheus.Counter
	links    prometheus.Gauge
	requests [kmsg.MaxKey + 1]prometheus.Counter // resolved once, by key
	bytesIn  prometheus.Counter
	bytesOut prometheus.Counter
	tripwire *prometheus.CounterVec // by API
	refusals *prometheus.CounterVec // by reason

	refusalsDropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_connections_accepted_total", Help: "Client connections that were accepted.",
		}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_connections_closed_total", Help: "Client connections that ended, by reason id.",
		}, []string{"reason"}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_sessions_total", Help: "Client connections that authenticated.",
		}),
		links: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_broker_connections", Help: "Broker connections that clients hold open at this moment.",
		}),
		bytesIn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_request_bytes_total", Help: "Bytes of request frames, before TLS.",
		}),
		bytesOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_response_bytes_total", Help: "Bytes of response bodies, before TLS.",
		}),
	}
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_refusals_total", Help: "Client connections that were refused or thrown out, by reason id.",
	}, []string{"reason"})
	m.refusalsDropped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "weir_refusals_dropped_total", Help: "Those of them that could not be kept for tenants to see.",
	})
	m.tripwire = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_tripwire_total", Help: "Answers that would have shown something of the pool and were not sent, by API. Any is a fault.",
	}, []string{"api"})
	for _, api := range rewrite.Table() { // at 0 from the start: an alarm is a rise
		m.tripwire.WithLabelValues(api.Key.Name())
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_requests_total", Help: "Requests after authentication, by API.",
	}, []string{"api"})
	other := requests.WithLabelValues("unknown")
	for key := range m.requests {
		m.requests[key] = other
		if kmsg.RequestForKey(int16(key)) != nil {
			m.requests[key] = requests.WithLabelValues(kmsg.NameForKey(int16(key)))
		}
	}
	reg.MustRegister(m.accepted, m.closed, m.sessions, m.links, m.bytesIn, m.bytesOut, m.tripwire, m.refusals, m.refusalsDropped, requests)
	return m
}

func (m *metrics) request(key int16, size int) {
	if key >= 0 && int(key) < len(m.requests) {
		m.requests[key].Inc()
	}
	m.bytesIn.Add(float64(size))
}

func (m *metrics) response(size int) { m.bytesOut.Add(float64(size)) }
