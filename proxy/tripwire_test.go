package proxy

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that answers with another instance's topic costs the client its
// connection, and us one alarm that does not repeat the name.
func TestTripwireAlarm(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(c *Config) { c.Registry = reg })
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	r.kafka.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := kmsg.NewPtrListOffsetsResponse()
		resp.SetVersion(req.GetVersion())
		resp.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: "i-b.salaries"}}
		return resp, nil, true
	})
	req := kmsg.NewPtrListOffsetsRequest()
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{}}}}
	if answer, err := send(c, req, 7); err == nil {
		t.Fatalf("answered %q", answer)
	}
	eventually(t, "the connection is closed", func() bool { return r.srv.Connections() == 0 })

	for metric, label := range map[string]string{"weir_tripwire_total": "ListOffsets", "weir_connections_closed_total": reasonTripwire} {
		if got := counted(t, reg, metric, label); got != 1 {
			t.Errorf("%s of %s is %v, want 1", metric, label, got)
		}
	}
	var alarms []string
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "level=ERROR") {
			alarms = append(alarms, line)
		}
	}
	if len(alarms) != 1 {
		t.Fatalf("%d alarms, want 1: %q", len(alarms), alarms)
	}
	for _, want := range []string{"instance=i-a", "api=ListOffsets", "version=7", "kind=topic", "owner=i-b", "digest=", "conn="} {
		if !strings.Contains(alarms[0], want) {
			t.Errorf("the alarm lacks %s: %s", want, alarms[0])
		}
	}
	if strings.Contains(r.log.String(), "salaries") {
		t.Error("the log holds the name")
	}
}

// counted is the value of a counter that has one label.
func counted(t *testing.T, reg *prometheus.Registry, metric, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
