package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/quota"
	"weir/tenancy"
)

const (
	quotasPath = "/v1/instances/orders/quotas"
	mib        = 1 << 20
)

// fakeUse is what instances use, and how they were throttled.
type fakeUse struct {
	mu   sync.Mutex
	used map[tenancy.InstanceID]map[tenancy.LimitName]Use
	sum  quota.ThrottleSummary
	err  error
}

func (f *fakeUse) Usage(_ context.Context, in tenancy.Instance) (map[tenancy.LimitName]Use, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.used[in.ID]), f.err
}

func (f *fakeUse) Throttles(context.Context, tenancy.InstanceID, time.Time) ([]quota.Throttle, error) {
	return nil, nil
}

func (f *fakeUse) Summary(context.Context, tenancy.InstanceID) (quota.ThrottleSummary, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sum, f.err
}

// newQuotaFixture has the plans standard, which bounds, and large, which does not.
func newQuotaFixture(t *testing.T) (*fixture, *fakeUse) {
	f, use := newFixture(t), &fakeUse{used: map[tenancy.InstanceID]map[tenancy.LimitName]Use{}}
	f.cfg.PlanLimits = map[string]tenancy.Limits{"standard": {
		tenancy.LimitProduceBytes: {Value: 10 * mib}, tenancy.LimitTopics: {Value: 20}, tenancy.LimitRequests: {Value: 100, Burst: 500},
	}}
	f.cfg.Usage, f.cfg.Throttles, f.cfg.Now = use, use, steppingClock()
	f.start()
	f.create("t-acme", "orders")
	return f, use
}

// say is a bound in one line: "10485760 burst 2621440 plan".
func sayBound(b api.Bound) string {
	if b.Limit == nil {
		return b.Source
	}
	text := fmt.Sprintf("%.0f", *b.Limit)
	if b.Burst != nil {
		text += fmt.Sprintf(" burst %.0f", *b.Burst)
	}
	return text + " " + b.Source
}

func sayChanges(all []api.LimitChange) []string {
	out := []string{}
	for _, c := range all {
		text := c.Limit
		if c.User != nil {
			text += " user " + *c.User
		}
		if c.ClientID != nil {
			text += " client " + *c.ClientID
		}
		text += ": " + sayBound(c.Old) + " -> " + sayBound(c.New)
		if c.WouldThrottle {
			text += " throttles"
		}
		if c.WouldRefuse {
			text += " refuses"
		}
		out = append(out, text)
	}
	return out
}

// wantChanges checks the answer of a write: what it changed, and that it is in force.
func (f *fixture) wantChanges(a answer, dry bool, want ...string) {
	f.t.Helper()
	if a.status != http.StatusOK || (a.header.Get("Weir-Revision") == "") != dry {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	got := decodeAs[api.ChangedQuotas](f.t, a)
	if diff := cmp.Diff(want, sayChanges(got.Changes)); diff != "" {
		f.t.Errorf("(-want +got):\n%s", diff)
	}
	if got.DryRun != dry || (got.ReadyOn == nil) != dry || !dry && *got.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) {
		f.t.Errorf("%s", a.body)
	}
}

func (f *fixture) quotas(token string) api.Quotas {
	f.t.Helper()
	a := f.do(token, http.MethodGet, quotasPath, nil)
	if a.status != http.StatusOK || a.header.Get("ETag") == "" {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	return decodeAs[api.Quotas](f.t, a)
}

// wantBounds checks what counts; limits that are not named must not be bounded.
func (f *fixture) wantBounds(want map[tenancy.LimitName]string) {
	f.t.Helper()
	got := map[tenancy.LimitName]string{}
	for name, l := range f.quotas(f.token("t-acme", "viewer")).Limits {
		if l.Source != "none" || l.Limit != nil {
			got[tenancy.LimitName(name)] = sayBound(l.Bound)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuotas(t *testing.T) {
	f, use := newQuotaFixture(t)
	peak := 9e6
	use.used["orders"] = map[tenancy.LimitName]Use{tenancy.LimitProduceBytes: {Used: 5 * mib, Peak24h: &peak}, tenancy.LimitTopics: {Used: 15}, tenancy.LimitFetchBytes: {Used: 0}}
	use.sum = quota.ThrottleSummary{Waited: 41500 * time.Millisecond, Share: 0.93, Top: &quota.Throttle{Limit: tenancy.LimitProduceBytes, User: "etl", Client: "spark-7"}}
	token := f.token("t-acme", "quota-admin")
	q := f.quotas(token)
	five := 5.0 * mib
	if diff := cmp.Diff(&five, q.Limits["produce_bytes_per_second"].Used); diff != "" || len(q.Limits) != len(tenancy.LimitNames()) || q.Plan != "standard" {
		t.Errorf("%s %+v", diff, q)
	}
	if p := q.Limits["produce_bytes_per_second"]; *p.Peak24h != peak || p.Unit != "bytes/s" || q.Limits["groups"].Used != nil || q.Limits["fetch_bytes_per_second"].Used != nil {
		t.Errorf("%+v", q)
	}
	if *q.ThrottledSeconds24h != 41.5 || *q.TopReason != (api.TopReason{Limit: "produce_bytes_per_second", User: "etl", ClientID: "spark-7", Share: 0.93}) {
		t.Errorf("%v %+v", *q.ThrottledSeconds24h, q.TopReason)
	}
	plan := map[tenancy.LimitName]string{tenancy.LimitProduceBytes: "10485760 burst 2621440 plan", tenancy.LimitTopics: "20 plan", tenancy.LimitRequests: "100 burst 500 plan"}
	f.wantBounds(plan)

	change := `{"limits":{"produce_bytes_per_second":{"limit":1048576},"topics":{"limit":15},"requests_per_second":{"limit":200,"burst":1000}}}`
	did := []string{
		"produce_bytes_per_second: 10485760 burst 2621440 plan -> 1048576 burst 262144 instance throttles",
		"requests_per_second: 100 burst 500 plan -> 200 burst 1000 instance", "topics: 20 plan -> 15 instance refuses",
	}
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath+"?dry_run=true", change), true, did...)
	f.wantBounds(plan)
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath, change), false, did...)
	if v, _ := f.directory.View("orders"); v.Limits[tenancy.LimitTopics].Value != 15 {
		t.Error("the directory does not have it yet")
	}
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath, `{"limits":{"topics":null,"groups":{"limit":5},"partitions":null}}`), false,
		"topics: 15 instance -> 20 plan", "groups: none -> 5 instance")
	f.wantBounds(map[tenancy.LimitName]string{
		tenancy.LimitProduceBytes: "1048576 burst 262144 instance", tenancy.LimitTopics: "20 plan",
		tenancy.LimitRequests: "200 burst 1000 instance", tenancy.LimitGroups: "5 instance",
	})
	use.err = errors.New("redis is away")
	if q := f.quotas(token); q.Limits["produce_bytes_per_second"].Limit == nil || q.ThrottledSeconds24h != nil || q.TopReason != nil {
		t.Errorf("without what is used: %+v", q)
	}
}

func TestReplaceQuotas(t *testing.T) {
	f, _ := newQuotaFixture(t)
	token := f.token("", "operator")
	put := func(query, body, match string) answer {
		if match == "" {
			return f.do(token, http.MethodPut, quotasPath+query, body)
		}
		return f.do(token, http.MethodPut, quotasPath+query, body, "If-Match", match)
	}
	const five, seven = `{"limits":{"groups":{"limit":5},"topics":null}}`, `{"limits":{"topics":{"limit":7}}}`
	before := f.do(token, http.MethodGet, quotasPath, nil).header.Get("ETag")
	if p := put("", five, "").problem(t); p.Code != "if-match-missing" {
		t.Errorf("%+v", p)
	}
	f.wantChanges(put("?dry_run=true", five, before), true, "groups: none -> 5 instance")
	f.wantChanges(put("", five, before), false, "groups: none -> 5 instance")
	for _, stale := range []string{before, `""`, "nonsense"} {
		for _, query := range []string{"", "?dry_run=true"} {
			if p := put(query, seven, stale).problem(t); p.Code != "if-match-failed" || p.Try == "" {
				t.Errorf("%s%s: %+v", stale, query, p)
			}
		}
	}
	tag := f.do(token, http.MethodGet, quotasPath, nil).header.Get("ETag")
	a := put("", seven, tag)
	f.wantChanges(a, false, "topics: 20 plan -> 7 instance", "groups: 5 instance -> none")
	if now := f.do(token, http.MethodGet, quotasPath, nil).header.Get("ETag"); now != a.header.Get("ETag") || now == tag {
		t.Error(now, tag)
	}
	f.wantChanges(put("", `{"limits":{}}`, "*"), false, "topics: 7 instance -> 20 plan")
}

func TestSubQuotas(t *testing.T) {
	f, _ := newQuotaFixture(t)
	token := f.token("t-acme", "tenant-admin")
	body := func(produce int) string {
		return fmt.Sprintf(`{"limits":{"produce_bytes_per_second":{"limit":%d}}}`, produce)
	}
	f.wantChanges(f.do(token, http.MethodPut, quotasPath+"/users/etl?dry_run=true", body(mib)), true, "produce_bytes_per_second user etl: none -> 1048576 user")
	if q := f.quotas(token); len(q.SubQuotas) != 0 {
		t.Errorf("after a dry run: %+v", q.SubQuotas)
	}
	f.wantChanges(f.do(token, http.MethodPut, quotasPath+"/users/etl", body(mib)), false, "produce_bytes_per_second user etl: none -> 1048576 user")
	f.wantChanges(f.do(token, http.MethodPut, quotasPath+"/users/%3Cdefault%3E", body(2*mib)), false, "produce_bytes_per_second user <default>: none -> 2097152 user")
	f.wantChanges(f.do(token, http.MethodPut, quotasPath+"/clients/a%2Fb", body(3*mib)), false, "produce_bytes_per_second client a/b: none -> 3145728 client_id")
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath+"/users/etl/clients/%3Cdefault%3E", body(4*mib)), false,
		"produce_bytes_per_second user etl client <default>: none -> 4194304 user_and_client_id")
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath+"/users/etl", `{"limits":{"request_percentage":{"limit":50}}}`), false, "request_percentage user etl: none -> 50 user")

	// They are those of Kafka's protocol.
	user, client, none := "etl", "a/b", ""
	want := []tenancy.Quota{
		{Entity: tenancy.QuotaEntity{ClientID: &client}, Values: map[string]float64{tenancy.QuotaProducerBytes: 3 * mib}},
		{Entity: tenancy.QuotaEntity{User: &none}, Values: map[string]float64{tenancy.QuotaProducerBytes: 2 * mib}},
		{Entity: tenancy.QuotaEntity{User: &user}, Values: map[string]float64{tenancy.QuotaProducerBytes: mib, tenancy.QuotaRequestTime: 50}},
		{Entity: tenancy.QuotaEntity{User: &user, ClientID: &none}, Values: map[string]float64{tenancy.QuotaProducerBytes: 4 * mib}},
	}
	v, _ := f.directory.View("orders")
	byName := func(a, b tenancy.Quota) int { return strings.Compare(quotaName(a), quotaName(b)) }
	if diff := cmp.Diff(slices.SortedFunc(slices.Values(want), byName), slices.SortedFunc(slices.Values(v.Quotas), byName)); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, s := range f.quotas(token).SubQuotas {
		got = append(got, fmt.Sprint(s.User != nil && *s.User == "<default>", s.ClientID != nil && *s.ClientID == "<default>", len(s.Limits)))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"false false 1", "false false 2", "false true 1", "true false 1"}, got); diff != "" {
		t.Error(diff)
	}

	f.wantChanges(f.do(token, http.MethodPut, quotasPath+"/users/etl", `{"limits":{"request_percentage":{"limit":60}}}`), false,
		"produce_bytes_per_second user etl: 1048576 user -> none", "request_percentage user etl: 50 user -> 60 user")
	f.wantChanges(f.do(token, http.MethodPatch, quotasPath+"/users/etl", `{"limits":{"request_percentage":null}}`), false, "request_percentage user etl: 60 user -> none")
	f.wantChanges(f.do(token, http.MethodDelete, quotasPath+"/users/etl/clients/%3Cdefault%3E?dry_run=true", nil), true,
		"produce_bytes_per_second user etl client <default>: 4194304 user_and_client_id -> none")
	f.wantChanges(f.do(token, http.MethodDelete, quotasPath+"/users/etl/clients/%3Cdefault%3E", nil), false,
		"produce_bytes_per_second user etl client <default>: 4194304 user_and_client_id -> none")
	if q := f.quotas(token); len(q.SubQuotas) != 2 {
		t.Errorf("left: %+v", q.SubQuotas)
	}
}

func quotaName(q tenancy.Quota) string {
	var name strings.Builder
	for _, part := range []*string{q.Entity.User, q.Entity.ClientID} {
		if part != nil {
			name.WriteString("=" + *part)
		}
		name.WriteString(";")
	}
	return name.String()
}

// A request with a mistake changes nothing, and each mistake names the field, the value
// and the allowed range.
func TestQuotaMistakes(t *testing.T) {
	f, _ := newQuotaFixture(t)
	token := f.token("", "operator")
	const good = `"groups":{"limit":5},`
	for _, tc := range []struct{ path, limits, at, says string }{
		{"", `"topics":{"limit":0}`, "body.limits.topics", "is 0, must be from 1 to 1000000000 topics"},
		{"", good + `"topics":{"limit":1.5}`, "body.limits.topics", "is 1.5, must be a whole number"},
		{"", good + `"topics":{"limit":5,"burst":5}`, "body.limits.topics", "is no rate"},
		{"", good + `"requests_per_second":{"limit":5,"burst":-1}`, "body.limits.requests_per_second", "from 0 to 18000"},
		{"", good + `"bytes":{"limit":5}`, "body.limits.bytes", "is none of produce_bytes_per_second, "},
		{"", good + `"produce_byte_per_second":null`, "body.limits.produce_byte_per_second", "; did you mean produce_bytes_per_second?"},
		{"", good + `"bytes":null`, "body.limits.bytes", "is none of "},
		{"", good + `"topics":5`, "body.limits.topics", "expected object"},
		{"", good + `"topics":{"limits":5}`, "body.limits.topics.limits", "unexpected property"},
		{"", good + `"topics":{"limit":"5"}`, "body.limits.topics.limit", "expected number"},
		{"/users/etl", `"produce_bytes_per_second":{"limit":2048},"topics":{"limit":5}`, "body.limits.topics", "of instances only; users and client ids have produce_bytes_per_second, fetch"},
		{"/users/etl", `"produce_bytes_per_second":{"limit":1}`, "body.limits.produce_bytes_per_second", "is 1, must be from 1024 to 1125899906842624 bytes/s, 1 KiB to 1 PiB"},
		{"/clients/x", `"produce_bytes_per_second":{"limit":2048,"burst":5}`, "body.limits.produce_bytes_per_second.burst", "of instances only"},
		{"plan", `"topics":{"limit":0}`, "body.limits.topics", "is 0, must be from 1"},
	} {
		path := quotasPath + tc.path
		if tc.path == "plan" {
			path = "/v1/plans/standard"
		}
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			if tc.path == "plan" && method == http.MethodPut {
				continue
			}
			p := f.do(token, method, path, `{"limits":{`+tc.limits+`}}`, "If-Match", "*").problem(t)
			at := slices.IndexFunc(p.Errors, func(e api.FieldError) bool { return e.Location == tc.at })
			if p.Code != "validation-failed" || at < 0 || !strings.Contains(p.Errors[at].Message, tc.says) {
				t.Errorf("%s %s %s: %+v", method, path, tc.limits, p)
			}
		}
	}
	for _, body := range []string{`{}`, `{"limits":null}`, `{"limit":{}}`} {
		if p := f.do(token, http.MethodPatch, quotasPath, body).problem(t); p.Code != "validation-failed" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if p := f.do(token, http.MethodPut, quotasPath+"/users/"+strings.Repeat("x", 256), `{"limits":{}}`).problem(t); p.Code != "validation-failed" || p.Errors[0].Location != "path.user" {
		t.Errorf("%+v", p)
	}
	if got, _, err := f.store.Limits(t.Context(), "orders"); len(got) != 0 || err != nil {
		t.Errorf("changed: %v, %v", got, err)
	}
	if got, err := f.store.PlanLimits(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("changed: %v, %v", got, err)
	}
	if got, err := f.store.Quotas(t.Context(), "orders"); len(got) != 0 || err != nil {
		t.Errorf("changed: %v, %v", got, err)
	}
}

func TestPlanOfInstance(t *testing.T) {
	f, use := newQuotaFixture(t)
	use.used["orders"] = map[tenancy.LimitName]Use{tenancy.LimitTopics: {Used: 15}}
	path := "/v1/instances/orders"
	for _, role := range []string{"tenant-admin", "viewer"} {
		if p := f.do(f.token("t-acme", role), http.MethodPatch, path, `{"plan":"large"}`).problem(t); p.Code != "not-allowed" {
			t.Errorf("%s: %+v", role, p)
		}
	}
	token := f.token("t-acme", "quota-admin")
	change := func(query, plan string, want ...string) {
		t.Helper()
		a := f.do(token, http.MethodPatch, path+query, `{"plan":"`+plan+`"}`)
		if a.status != http.StatusOK {
			t.Fatal(a.body)
		}
		got := decodeAs[api.ChangedInstance](t, a)
		if diff := cmp.Diff(want, sayChanges(got.Changes)); diff != "" || got.ID != "orders" || got.DryRun != (query != "") || (got.ReadyOn == nil) != got.DryRun {
			t.Error(diff, a.body)
		}
	}
	gone := []string{"produce_bytes_per_second: 10485760 burst 2621440 plan -> none", "requests_per_second: 100 burst 500 plan -> none", "topics: 20 plan -> none"}
	change("?dry_run=true", "large", gone...)
	change("", "large", gone...)
	if v, _ := f.directory.View("orders"); v.Instance.Plan != "large" {
		t.Errorf("plan is %s", v.Instance.Plan)
	}
	if q := f.quotas(token); q.Plan != "large" || q.Limits["topics"].Source != "none" {
		t.Errorf("%+v", q)
	}
	if p := f.do(token, http.MethodPatch, path, `{"plan":"huge"}`).problem(t); p.Code != "plan-not-found" {
		t.Errorf("%+v", p)
	}
}
