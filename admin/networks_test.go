package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

const networksPath = "/v1/instances/orders/networks"

func (f *fixture) networks(token string) ([]string, string) {
	f.t.Helper()
	a := f.do(token, http.MethodGet, networksPath, nil)
	if a.status != http.StatusOK {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	return networkLines(decodeAs[api.Networks](f.t, a).Allow), a.header.Get("ETag")
}

func networkLines(all []api.Network) []string {
	lines := []string{}
	for _, n := range all {
		lines = append(lines, strings.TrimSpace(n.String()+" "+n.Comment))
	}
	return lines
}

// changed checks the answer of a write, which is in force then.
func (f *fixture) changedNetworks(a answer, want ...string) {
	f.t.Helper()
	if a.status != http.StatusOK || a.header.Get("Weir-Revision") == "" {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	got := decodeAs[api.ChangedNetworks](f.t, a)
	if diff := cmp.Diff(want, networkLines(got.Items)); diff != "" || got.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) {
		f.t.Errorf("%s %s", diff, a.body)
	}
}

func TestNetworks(t *testing.T) {
	f := newFixture(t)
	f.cfg.Defaults = func(plan string) auth.Defaults { return auth.Defaults{DenyNetworks: plan == "standard"} }
	f.start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	if a := f.do(token, http.MethodGet, networksPath, nil); a.body != `{"allow":[],"default":"deny"}`+"\n" {
		t.Errorf("none: %s", a.body)
	}
	_, empty := f.networks(token)
	f.changedNetworks(f.do(token, http.MethodPost, networksPath,
		`{"allow":[{"cidr":"192.0.2.7"},{"cidr":"::ffff:10.0.0.0/104","comment":"office"},{"endpoint":"vpce-0a1b","cloud":"aws"},{"endpoint":"7","cloud":"azure","cidr":"10.0.0.0/8"}]}`),
		"192.0.2.7/32", "10.0.0.0/8 office", "aws/vpce-0a1b", "10.0.0.0/8 behind azure/7")
	all := []string{"10.0.0.0/8 office", "192.0.2.7/32", "aws/vpce-0a1b", "10.0.0.0/8 behind azure/7"}
	got, tag := f.networks(token)
	if diff := cmp.Diff(all, got); diff != "" || tag == empty {
		t.Error(diff, tag)
	}
	if v, _ := f.directory.View("orders"); len(v.Access.Networks) != len(all) {
		t.Error("the directory does not have them yet")
	}

	if p := f.do(token, http.MethodPut, networksPath, `{"allow":[]}`).problem(t); p.Code != "if-match-missing" || p.Status != http.StatusPreconditionRequired {
		t.Errorf("PUT without If-Match: %+v", p)
	}
	for _, stale := range []string{empty, "W/" + tag, tag + ", " + empty, `""`, "nonsense"} {
		p := f.do(token, http.MethodPut, networksPath, `{"allow":[]}`, "If-Match", stale).problem(t)
		if p.Code != "if-match-failed" || p.Status != http.StatusPreconditionFailed {
			t.Errorf("PUT if %s: %+v", stale, p)
		}
	}
	// What GET answered can be sent back.
	body := strings.TrimSpace(f.do(token, http.MethodGet, networksPath, nil).body)
	a := f.do(token, http.MethodPut, networksPath, strings.Replace(body, `{"cidr":"192.0.2.7/32"},`, "", 1), "If-Match", tag)
	f.changedNetworks(a, all[0], all[2], all[3])
	if got, now := f.networks(token); len(got) != 3 || now != a.header.Get("ETag") || now == tag {
		t.Errorf("%v, %s, %s", got, now, a.header.Get("ETag"))
	}
	f.changedNetworks(f.do(token, http.MethodPut, networksPath, `{"allow":[{"cidr":"10.1.0.0/16"},{"cidr":"10.2.0.0/16"}]}`, "If-Match", "*"), "10.1.0.0/16", "10.2.0.0/16")

	f.changedNetworks(f.do(token, http.MethodDelete, networksPath+"?cidr=10.1.0.0/16", nil), "10.1.0.0/16")
	for _, query := range []string{"?cidr=10.1.0.0/16", "?cidr=10.2.0.0/16&endpoint=7&cloud=azure", "?endpoint=7&cloud=gcp"} {
		if p := f.do(token, http.MethodDelete, networksPath+query, nil).problem(t); p.Code != "network-not-found" || p.Try == "" {
			t.Errorf("%s: %+v", query, p)
		}
	}
	f.changedNetworks(f.do(token, http.MethodDelete, networksPath+"?cidr=10.2.0.0/16", nil), "10.2.0.0/16")
	if got, now := f.networks(token); len(got) != 0 || now != empty {
		t.Errorf("left: %v, %s", got, now)
	}
}

func TestCheckNetwork(t *testing.T) {
	f := newFixture(t)
	deny := false
	f.cfg.Defaults = func(string) auth.Defaults { return auth.Defaults{DenyNetworks: deny} }
	f.start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "viewer")
	check := func(body, want string) {
		t.Helper()
		if a := f.do(token, http.MethodPost, networksPath+"/check", body); strings.TrimSpace(a.body) != want || a.status != http.StatusOK {
			t.Errorf("%s: %d %s, want %s", body, a.status, a.body, want)
		}
	}
	check(`{"address":"10.1.2.3"}`, `{"allowed":true,"by":"plan default"}`)
	deny = true
	check(`{"address":"10.1.2.3"}`, `{"allowed":false,"by":"plan default"}`)
	put := `{"allow":[{"cidr":"10.0.0.0/8"},{"cidr":"10.1.0.0/16","comment":"office"},{"endpoint":"vpce-0a1b","cloud":"aws","cidr":"10.9.0.0/16"}]}`
	if a := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, networksPath, put); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	check(`{"address":"10.1.2.3"}`, `{"allowed":true,"by":"network","network":{"cidr":"10.1.0.0/16","comment":"office"}}`)
	check(`{"address":"::ffff:10.9.0.1"}`, `{"allowed":true,"by":"network","network":{"cidr":"10.0.0.0/8"}}`)
	check(`{"address":"192.0.2.1"}`, `{"allowed":false,"by":"no network"}`)
	check(`{"address":"10.1.2.3","endpoint":"vpce-0a1b","cloud":"aws"}`, `{"allowed":false,"by":"no network"}`)
	check(`{"address":"10.9.2.3","endpoint":"vpce-0a1b","cloud":"aws"}`,
		`{"allowed":true,"by":"network","network":{"cidr":"10.9.0.0/16","endpoint":"vpce-0a1b","cloud":"aws"}}`)
	for body, at := range map[string]string{
		`{"address":"10.1.0.0/16"}`:                   "body.address",
		`{"address":"10.1.0.0/32"}`:                   "body.address",
		`{"address":"here"}`:                          "body.address",
		`{"address":""}`:                              "body.address",
		`{}`:                                          "body",
		`{"address":"10.1.2.3","endpoint":"x"}`:       "body.cloud",
		`{"address":"10.1.2.3","cloud":"aws"}`:        "body.endpoint",
		`{"address":"10.1.2.3","endpoint_id":"vpce"}`: "body.endpoint_id",
	} {
		p := f.do(token, http.MethodPost, networksPath+"/check", body).problem(t)
		if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != at {
			t.Errorf("%s: %+v, want a mistake at %s", body, p, at)
		}
	}
}

// Nothing is changed by a request with a mistake, and each mistake has its place.
func TestNetworkMistakes(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	const good = `{"cidr":"10.1.0.0/16"}`
	for body, want := range map[string][]string{
		good + `,{"cidr":"10.1.2.3/16"},{"cidr":"x"}`: {"body.allow[1].cidr", "body.allow[2].cidr"},
		`{}`:                                      {"body.allow[0].cidr"},
		`{"comment":"x"}`:                         {"body.allow[0].cidr"},
		`{"cidr":"x","endpoint":"a b"}`:           {"body.allow[0].cidr", "body.allow[0].cloud", "body.allow[0].endpoint"},
		`{"endpoint":"vpce-x","cloud":"aws"}`:     {"body.allow[0].endpoint"},
		`{"cloud":"aws","cidr":"10.1.0.0/16"}`:    {"body.allow[0].endpoint"},
		`{"cidr":"10.1.0.0/16","comment":"a\nb"}`: {"body.allow[0].comment"},
		`{"cidr":"10.1.0.0/16","comment":"` + strings.Repeat("ü", 201) + `"}`: {"body.allow[0].comment"},
		`{"cidr":"` + strings.Repeat("1", 65) + `"}`:                          {"body.allow[0].cidr"},
		good + `,{"cidr":"10.1.0.0/16","comment":"another"}`:                  {"body.allow[1]"},
		`{"cidr":"10.1.2.3"},{"cidr":"10.1.2.3/32"}`:                          {"body.allow[1]"},
		`{"cidrs":"10.1.0.0/16"}`:                                             {"body.allow[0].cidrs", "body.allow[0].cidr"},
		`{"cidr":7}`:                                                          {"body.allow[0].cidr"},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			p := f.do(token, method, networksPath, `{"allow":[`+body+`]}`, "If-Match", "*").problem(t)
			var got []string
			for _, m := range p.Errors {
				got = append(got, m.Location)
			}
			if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" || p.Code != "validation-failed" {
				t.Errorf("%s %.120s: %s (-want +got):\n%s", method, body, p.Code, diff)
			}
		}
	}
	if p := f.do(token, http.MethodPost, networksPath, `{"allow":[]}`).problem(t); p.Code != "validation-failed" {
		t.Errorf("adding nothing: %+v", p)
	}
	for query, at := range map[string]string{"": "query.cidr", "?cidr=x": "query.cidr", "?endpoint=vpce-1": "query.cloud"} {
		p := f.do(token, http.MethodDelete, networksPath+query, nil).problem(t)
		if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != at {
			t.Errorf("deleting %q: %+v", query, p)
		}
	}
	if got, _ := f.networks(token); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
}

func TestNetworkLimit(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	var all []string
	for i := range tenancy.MaxNetworks {
		all = append(all, fmt.Sprintf(`{"cidr":"10.%d.%d.0/24","comment":"%0100d"}`, i>>8, i&0xff, i))
	}
	if a := f.do(token, http.MethodPut, networksPath, `{"allow":[`+strings.Join(all, ",")+`]}`, "If-Match", "*"); a.status != http.StatusOK {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	if p := f.do(token, http.MethodPost, networksPath, `{"allow":[{"cidr":"192.0.2.0/24"}]}`).problem(t); p.Code != "networks-limit-reached" || p.Status != http.StatusConflict {
		t.Errorf("%+v", p)
	}
	p := f.do(token, http.MethodPut, networksPath, `{"allow":[`+strings.Join(all, ",")+`,{"cidr":"192.0.2.0/24"}]}`, "If-Match", "*").problem(t)
	if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != "body.allow" {
		t.Errorf("%+v", p)
	}
	if a := f.do(token, http.MethodDelete, networksPath+"?cidr="+url.QueryEscape("10.0.0.0/24"), nil); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}
