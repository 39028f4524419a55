package proxy

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"weir/quota"
)

// The page for operators has every metric and no other.
func TestMetricsAreDocumented(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	newMemory(0, nil, nil).observed(reg)
	newHardLimits(Config{Registry: reg, Quota: quota.New(quota.Config{Registry: reg})})
	m.closed.WithLabelValues(reasonClientGone)
	m.refusals.WithLabelValues(reasonFull)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var registered []string
	for _, f := range families {
		registered = append(registered, f.GetName())
	}
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(weir_[a-z_]+)`").FindAllSubmatch(page, -1) {
		documented = append(documented, string(row[1]))
	}
	slices.Sort(documented)
	if diff := cmp.Diff(registered, documented); diff != "" {
		t.Errorf("docs/metrics.md (-registered +documented):\n%s", diff)
	}
}
