package admin

import (
	"net/http"
	"strings"
	"testing"
)

// No operation takes a parameter that it does not have, and none is carried out then.
func TestStrangeParameters(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	for _, r := range documentedRoutes(t, f) {
		method, path, _ := strings.Cut(r, " ")
		if path == "/metrics" {
			continue
		}
		path = strings.NewReplacer("{instance}", "orders", "{user}", "alice", "{plan}", "standard", "{tenant}", "t-acme").Replace(path)
		p := f.do(f.token("t-acme", "operator"), method, path+"?colour=red", nil).problem(t)
		changed := "The request has a mistake; nothing was changed."
		if method == http.MethodGet {
			changed = "The request has a mistake."
		}
		if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != "query.colour" || p.Detail != changed || strings.Contains(p.Errors[0].Message, "red") {
			t.Errorf("%s: %+v", r, p)
		}
	}
	for query, want := range map[string]string{
		"/v1/usage?granularty=hour":       "there is no such parameter; did you mean granularity?",
		"/v1/usage?Tenant=t-acme":         "there is no such parameter; did you mean tenant?",
		"/v1/instances?colour=red":        "there is no such parameter; there are limit, after",
		"/v1/instances/orders?colour=red": "there is no such parameter",
		"/v1/usage?from=2026-11-22;x":     "cannot be read: want name=value&name=value, with other characters as %XX",
	} {
		p := f.do(f.token("t-acme", "viewer"), http.MethodGet, query, nil).problem(t)
		if len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Message, want) {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders", nil); a.status != http.StatusOK {
		t.Errorf("the instance is gone: %d", a.status)
	}
	if p := f.do(f.token("t-acme", "billing-reader"), http.MethodGet, "/v1/instances?colour=red", nil).problem(t); p.Code != "not-allowed" {
		t.Errorf("who may not ask is told of parameters: %+v", p)
	}
}
