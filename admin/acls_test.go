package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/admin/api"
	"weir/tenancy"
)

const aclsPath = "/v1/instances/orders/acls"

// aclsAt returns what GET selects, one line each.
func (f *fixture) aclsAt(token, query string) []string {
	f.t.Helper()
	a := f.do(token, http.MethodGet, aclsPath+query, nil)
	if a.status != http.StatusOK {
		f.t.Fatalf("%s: %d %s", query, a.status, a.body)
	}
	return aclLines(decodeAs[api.ACLs](f.t, a).Items)
}

func aclLines(acls []api.ACL) []string {
	lines := []string{}
	for _, a := range acls {
		lines = append(lines, a.String())
	}
	return lines
}

func TestACLs(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	if a := f.do(token, http.MethodGet, aclsPath, nil); a.body != `{"items":[]}`+"\n" {
		t.Errorf("none: %s", a.body)
	}
	a := f.do(token, http.MethodPost, aclsPath, `{"acls":[
		{"resource_type":"topic","resource_name":"in","principal":"User:alice","operation":"write"},
		{"resource_type":"topic","resource_name":"in","principal":"User:alice","operation":"write"},
		{"resource_type":"topic","resource_name":"i","pattern_type":"prefixed","principal":"User:*","host":"192.0.2.7","operation":"read","permission":"deny"},
		{"resource_type":"cluster","resource_name":"kafka-cluster","principal":"User:bob","operation":"idempotent-write"},
		{"resource_type":"transactional-id","resource_name":"*","principal":"User:bob","operation":"all"}]}`)
	all := []string{
		"deny User:*@192.0.2.7 read topic:i...", "allow User:alice write topic:in",
		"allow User:bob idempotent-write cluster:kafka-cluster", "allow User:bob all transactional-id:*",
	}
	got := decodeAs[api.ChangedACLs](t, a)
	if diff := cmp.Diff(all, aclLines(got.Items)); diff != "" || a.status != http.StatusOK || a.header.Get("Weir-Revision") == "" {
		t.Errorf("%d %s %s", a.status, diff, a.body)
	}
	if diff := cmp.Diff(api.ReadyOn{Gateways: 1, Of: 1}, got.ReadyOn); diff != "" {
		t.Error(diff)
	}
	if v, _ := f.directory.View("orders"); len(v.ACLs.All) != len(all) {
		t.Error("the directory does not have them yet")
	}
	for query, want := range map[string][]string{
		"":                                      all,
		"?resource_type=any":                    all,
		"?resource_type=topic":                  all[:2],
		"?resource_name=in":                     all[1:2],
		"?resource_name=in&pattern_type=match":  {all[0], all[1], all[3]},
		"?principal=User:bob&operation=all":     all[3:],
		"?host=192.0.2.7":                       all[:1],
		"?permission=deny":                      all[:1],
		"?permission=deny&principal=User:alice": {},
	} {
		if diff := cmp.Diff(want, f.aclsAt(token, query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	a = f.do(token, http.MethodDelete, aclsPath+"?resource_type=topic", nil)
	if diff := cmp.Diff(all[:2], aclLines(decodeAs[api.ChangedACLs](t, a).Items)); diff != "" || a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, diff)
	}
	if v, _ := f.directory.View("orders"); len(v.ACLs.All) != 2 {
		t.Error("the directory still has them")
	}
	a = f.do(token, http.MethodDelete, aclsPath+"?resource_type=topic", nil)
	if a.status != http.StatusOK || a.header.Get("Weir-Revision") != "" || !strings.Contains(a.body, `"items":[]`) {
		t.Errorf("removing nothing: %d %s", a.status, a.body)
	}
	if diff := cmp.Diff(all[2:], f.aclsAt(token, "")); diff != "" {
		t.Error(diff)
	}
}

// Nothing is changed by a request with a mistake, and each mistake is named.
func TestACLMistakes(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	good := `{"resource_type":"topic","resource_name":"in","principal":"User:alice","operation":"write"}`
	for body, want := range map[string][]api.FieldError{
		`{"acls":[` + good + `,` + strings.Replace(good, "User:", "", 1) + `]}`: {
			{Location: "body.acls[1]", Message: `principal "alice" is not of the form User:name`},
		},
		`{"acls":[` + strings.Replace(good, `"topic"`, `"group"`, 1) + `]}`: {
			{Location: "body.acls[0]", Message: "resource type GROUP has no operation WRITE (4)"},
		},
		`{"acls":[` + strings.Replace(good, `"operation"`, `"host":"here","operation"`, 1) + `]}`: {
			{Location: "body.acls[0]", Message: `host "here" is neither an IP address nor *`},
		},
		`{"acls":[` + strings.Replace(good, "write", "wirte", 1) + `]}`: {{Location: "body.acls[0].operation"}},
		`{"acls":[` + strings.Replace(good, "topic", "user", 1) + `]}`:  {{Location: "body.acls[0].resource_type"}},
		`{"acls":[` + strings.Replace(good, `"in"`, `""`, 1) + `]}`:     {{Location: "body.acls[0].resource_name"}},
		`{"acls":[]}`: {{Location: "body.acls"}},
		`{}`:          {{Location: "body"}},
		`{"acls":[` + strings.Repeat(good+",", 1000) + good + `]}`: {{Location: "body.acls"}},
	} {
		p := f.do(token, http.MethodPost, aclsPath, body).problem(t)
		opt := cmpopts.IgnoreFields(api.FieldError{}, "Message")
		if want[0].Message != "" {
			opt = cmp.Options{}
		}
		if diff := cmp.Diff(want, p.Errors, opt); diff != "" || p.Code != "validation-failed" {
			t.Errorf("%.120s: %s (-want +got):\n%s", body, p.Code, diff)
		}
	}
	if p := f.do(token, http.MethodDelete, aclsPath, nil).problem(t); p.Code != "validation-failed" {
		t.Errorf("deleting without a filter: %+v", p)
	}
	if p := f.do(token, http.MethodGet, aclsPath+"?"+url.Values{"operation": {"fly"}}.Encode(), nil).problem(t); p.Code != "validation-failed" {
		t.Errorf("%+v", p)
	}
	if got := f.aclsAt(token, ""); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
}

func TestACLRights(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	add := `{"acls":[{"resource_type":"topic","resource_name":"in","principal":"User:alice","operation":"write"}]}`
	for _, tc := range []struct {
		tenant              tenancy.TenantID
		role                string
		get, post, deletion int
	}{
		{"t-acme", "tenant-admin", 200, 200, 200},
		{"", "operator", 200, 200, 200},
		{"t-acme", "viewer", 200, 403, 403},
		{"t-acme", "quota-admin", 403, 403, 403},
		{"t-other", "tenant-admin", 404, 404, 404},
	} {
		token := f.token(tc.tenant, tc.role)
		got := []int{
			f.do(token, http.MethodGet, aclsPath, nil).status, f.do(token, http.MethodPost, aclsPath, add).status,
			f.do(token, http.MethodDelete, aclsPath+"?resource_type=any", nil).status,
		}
		if diff := cmp.Diff([]int{tc.get, tc.post, tc.deletion}, got); diff != "" {
			t.Errorf("%s of %q (-want +got):\n%s", tc.role, tc.tenant, diff)
		}
	}
}

func TestACLLimit(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	var pairs []string
	for i := range tenancy.MaxACLs {
		pairs = append(pairs, strconv.Itoa(i), "{}")
	}
	f.redis.HSet("weir:{orders}:acls", pairs...)
	add := `{"acls":[{"resource_type":"topic","resource_name":"in","principal":"User:alice","operation":"write"}]}`
	if p := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, aclsPath, add).problem(t); p.Code != "acls-limit-reached" || p.Status != http.StatusConflict {
		t.Errorf("%+v", p)
	}
}
