package gateway

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/tenancy"
)

// A plan can bound everything that there is a limit for, by its very name.
func TestPlanLimitsNameEveryLimit(t *testing.T) {
	var p PlanLimitsConfig
	var keys []tenancy.LimitName
	for i := range reflect.TypeFor[PlanLimitsConfig]().NumField() {
		keys = append(keys, tenancy.LimitName(reflect.TypeFor[PlanLimitsConfig]().Field(i).Tag.Get("yaml")))
		reflect.ValueOf(&p).Elem().Field(i).Set(reflect.ValueOf(&LimitConfig{Value: string(keys[i])}))
	}
	if diff := cmp.Diff(tenancy.LimitNames(), keys); diff != "" {
		t.Error(diff)
	}
	for _, name := range tenancy.LimitNames() {
		if l := p.byName()[name]; l == nil || l.Value != string(name) {
			t.Errorf("%s is read from another key", name)
		}
	}
}

func TestPlanLimits(t *testing.T) {
	c, err := load(t, good+`
plans:
  - name: standard
    limits:
      produce_bytes_per_second: 10MiB
      fetch_bytes_per_second: {value: 20MB, burst: 1GiB}
      topic_mutations_per_second: 0.5
      topics:
      connections: 500
  - name: free
`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]tenancy.Limits{
		"standard": {
			tenancy.LimitProduceBytes: {Value: 10 << 20}, tenancy.LimitFetchBytes: {Value: 20e6, Burst: 1 << 30},
			tenancy.LimitTopicMutations: {Value: 0.5}, tenancy.LimitConnections: {Value: 500},
		},
		"free": {},
	}
	if diff := cmp.Diff(want, planFile(c.Plans)); diff != "" {
		t.Error(diff)
	}
}

func TestPlanBook(t *testing.T) {
	file := map[string]tenancy.Limits{"standard": {tenancy.LimitTopics: {Value: 10}, tenancy.LimitRequests: {Value: 5, Burst: 50}}, "free": nil}
	set := map[string]tenancy.Limits{}
	var log bytes.Buffer
	b := &planBook{file: file, set: func(plan string) tenancy.Limits { return set[plan] }, log: slog.New(slog.NewTextHandler(&log, nil))}
	b.renew()
	wantLimits := func(plan string, want tenancy.Limits) {
		t.Helper()
		if diff := cmp.Diff(want, b.limits(plan)); diff != "" {
			t.Errorf("%s: %s", plan, diff)
		}
	}
	wantLimits("standard", file["standard"])
	set["standard"] = tenancy.Limits{tenancy.LimitRequests: {Value: 7}, tenancy.LimitGroups: {Value: 3}}
	set["gone"] = tenancy.Limits{tenancy.LimitRequests: {Value: 7}}
	wantLimits("standard", file["standard"])
	b.renew()
	wantLimits("standard", tenancy.Limits{tenancy.LimitTopics: {Value: 10}, tenancy.LimitRequests: {Value: 7}, tenancy.LimitGroups: {Value: 3}})
	delete(set, "standard")
	b.renew()
	wantLimits("standard", file["standard"])
	wantLimits("free", tenancy.Limits{})
	set["free"] = tenancy.Limits{tenancy.LimitGroups: {Value: 4}}
	b.renew()
	wantLimits("free", set["free"])
	for range 3 {
		wantLimits("gone", nil)
	}
	wantLimits("other", nil)
	if n := strings.Count(log.String(), "does not know"); n != 2 {
		t.Errorf("said %d times of 2 plans: %s", n, log.String())
	}
}
