package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/internal/certs"
	"weir/tenancy"
)

const (
	clientCAsPath      = "/v1/instances/orders/client-cas"
	authenticationPath = "/v1/instances/orders/authentication"
)

func TestClientCAs(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	if a := f.do(token, http.MethodGet, clientCAsPath, nil); a.body != `{"items":[]}`+"\n" {
		t.Errorf("none: %s", a.body)
	}
	ca := certs.NewCA(t, "acme")
	gone, stays := ca.Client(t, "gone"), ca.Intermediate(t, "below").Client(t, "stays")
	put := api.PutClientCA{
		Certificates: "Subject: a text in between\n" + ca.PEM(), CRLs: ca.CRL(t, gone.Leaf),
		Rules: []api.CertificateRule{{From: "dns"}, {From: "common-name", Pattern: "(.*)", User: "app-$1", Case: "upper"}},
	}
	a := f.do(token, http.MethodPut, clientCAsPath+"/acme", put)
	made := decodeAs[api.ChangedClientCA](t, a)
	if a.status != http.StatusOK || a.header.Get("Weir-Revision") == "" || made.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(made.Certificates) != 1 || made.Certificates[0].Subject != "CN=acme" || len(made.Certificates[0].Fingerprint) != 64 ||
		len(made.CRLs) != 1 || made.CRLs[0].Revoked != 1 || made.CRLs[0].NextUpdate == nil {
		t.Errorf("%s", a.body)
	}
	if v, _ := f.directory.View("orders"); len(v.Access.ClientCAs) != 1 {
		t.Error("the directory does not have it yet")
	}
	one := decodeAs[api.ClientCA](t, f.do(token, http.MethodGet, clientCAsPath+"/acme", nil))
	if one.PEM == nil || one.PEM.Certificates != ca.PEM() || one.PEM.CRLs != put.CRLs {
		t.Errorf("%+v", one.PEM)
	}
	all := decodeAs[api.ClientCAs](t, f.do(token, http.MethodGet, clientCAsPath, nil))
	if len(all.Items) != 1 || all.Items[0].PEM != nil {
		t.Errorf("%+v", all)
	}

	for what, test := range map[string]struct {
		chain string
		want  api.CheckedCertificate
	}{
		"believed":                 {certs.PEM(stays.Certificate...), api.CheckedCertificate{User: "APP-STAYS", ClientCA: "acme", Rule: 2}},
		"revoked":                  {certs.PEM(gone.Certificate...), api.CheckedCertificate{Reason: "certificate-revoked"}},
		"without its intermediate": {certs.PEM(stays.Certificate[0]), api.CheckedCertificate{Reason: "certificate-untrusted"}},
	} {
		a := f.do(token, http.MethodPost, clientCAsPath+"/check", api.CheckCertificate{Certificate: test.chain})
		got := decodeAs[api.CheckedCertificate](t, a)
		if (got.Detail == "") != (got.Reason == "") {
			t.Errorf("%s: %s", what, a.body)
		}
		got.Detail = ""
		if diff := cmp.Diff(test.want, got); diff != "" || a.status != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.status, diff)
		}
	}

	a = f.do(token, http.MethodDelete, clientCAsPath+"/acme", nil)
	if a.status != http.StatusNoContent || a.header.Get("Weir-Revision") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if v, _ := f.directory.View("orders"); len(v.Access.ClientCAs) != 0 {
		t.Error("the directory still has it")
	}
	for _, a := range []answer{f.do(token, http.MethodDelete, clientCAsPath+"/acme", nil), f.do(token, http.MethodGet, clientCAsPath+"/acme", nil)} {
		if p := a.problem(t); p.Code != "client-ca-not-found" {
			t.Errorf("%+v", p)
		}
	}
}

// Nothing is changed by a request with a mistake, and a private key is neither kept
// nor repeated, in answer or log.
func TestClientCAMistakes(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	ca, other := certs.NewCA(t, "acme"), certs.NewCA(t, "other")
	app := ca.Client(t, "app")
	secret := certs.KeyPEM(t, app)
	for what, test := range map[string]struct {
		body api.PutClientCA
		want string
	}{
		"a key beside":  {api.PutClientCA{Certificates: ca.PEM() + secret}, "private key"},
		"nothing":       {api.PutClientCA{Certificates: "hello"}, "no certificate in it"},
		"a client's":    {api.PutClientCA{Certificates: certs.PEM(app.Certificate[0])}, "not of an authority"},
		"another's CRL": {api.PutClientCA{Certificates: ca.PEM(), CRLs: other.CRL(t)}, "signed by none"},
		"no CRL":        {api.PutClientCA{Certificates: ca.PEM(), CRLs: "hello"}, "no list in crls"},
		"a bad pattern": {api.PutClientCA{Certificates: ca.PEM(), Rules: []api.CertificateRule{{From: "dns", Pattern: "("}}}, "rule 1: pattern"},
		"a bad user":    {api.PutClientCA{Certificates: ca.PEM(), Rules: []api.CertificateRule{{From: "dns", User: "$1"}}}, "no group 1"},
	} {
		p := f.do(token, http.MethodPut, clientCAsPath+"/acme", test.body).problem(t)
		if p.Code != "validation-failed" || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Message, test.want) {
			t.Errorf("%s: %+v", what, p)
		}
		raw, _ := json.Marshal(p)
		if key := secret[40:80]; strings.Contains(string(raw), key) || strings.Contains(f.log.String(), key) {
			t.Errorf("%s: the key is repeated", what)
		}
	}
	if p := f.do(token, http.MethodPost, clientCAsPath+"/check", api.CheckCertificate{Certificate: secret}).problem(t); p.Code != "validation-failed" {
		t.Errorf("%+v", p)
	}
	if a := f.do(token, http.MethodGet, clientCAsPath, nil); a.body != `{"items":[]}`+"\n" {
		t.Errorf("there is %s", a.body)
	}
	for i := range tenancy.MaxClientCAs {
		f.redis.HSet("weir:{orders}:client_cas", "n"+string(rune('a'+i)), "{}")
	}
	if p := f.do(token, http.MethodPut, clientCAsPath+"/acme", api.PutClientCA{Certificates: ca.PEM()}).problem(t); p.Code != "client-cas-limit-reached" {
		t.Errorf("%+v", p)
	}
}

func TestAuthenticationPolicy(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	none := `{"mechanisms":[],"require_certificate":false,"require_sasl":false}` + "\n"
	if a := f.do(token, http.MethodGet, authenticationPath, nil); a.body != none {
		t.Errorf("none: %s", a.body)
	}
	for body, location := range map[string]string{
		`{"mechanisms":["PLAIN","PLAIN"]}`: "body.mechanisms[1]",
		`{"mechanisms":["ANONYMOUS"]}`:     "body.mechanisms[0]",
		`{"require_certificate":true}`:     "body.require_certificate", // nobody could come in
		`{"require_passports":true}`:       "body.require_passports",
	} {
		p := f.do(token, http.MethodPatch, authenticationPath, body).problem(t)
		if p.Code != "validation-failed" || len(p.Errors) != 1 || p.Errors[0].Location != location {
			t.Errorf("%s: %+v", body, p)
		}
	}
	f.do(token, http.MethodPut, clientCAsPath+"/acme", api.PutClientCA{Certificates: certs.NewCA(t, "acme").PEM()})
	f.do(token, http.MethodPatch, authenticationPath, `{"mechanisms":["SCRAM-SHA-512"],"require_sasl":true}`)
	a := f.do(token, http.MethodPatch, authenticationPath, `{"require_certificate":true}`)
	want := api.Authentication{Mechanisms: []string{"SCRAM-SHA-512"}, RequireCertificate: true, RequireSASL: true}
	got := decodeAs[api.ChangedAuthentication](t, a)
	if diff := cmp.Diff(want, got.Authentication); diff != "" || a.status != http.StatusOK || got.ReadyOn.Gateways != 1 || a.header.Get("Weir-Revision") == "" {
		t.Errorf("%d %s %s", a.status, diff, a.body)
	}
	if v, _ := f.directory.View("orders"); !v.Access.Authentication.RequireCertificate {
		t.Error("not in force")
	}
	f.do(token, http.MethodPatch, authenticationPath, `{"mechanisms":[],"require_certificate":false,"require_sasl":false}`)
	if a := f.do(token, http.MethodGet, authenticationPath, nil); a.body != none {
		t.Errorf("back: %s", a.body)
	}
}

func TestClientCARights(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	put := api.PutClientCA{Certificates: certs.NewCA(t, "acme").PEM()}
	shown := api.CheckCertificate{Certificate: certs.PEM(certs.NewCA(t, "any").Client(t, "x").Certificate...)}
	for _, tc := range []struct {
		tenant            tenancy.TenantID
		role              string
		read, write, gone int
	}{
		{"t-acme", "tenant-admin", 200, 200, 204},
		{"", "operator", 200, 200, 204},
		{"t-acme", "viewer", 200, 403, 403},
		{"t-acme", "quota-admin", 403, 403, 403},
		{"t-other", "tenant-admin", 404, 404, 404},
	} {
		token := f.token(tc.tenant, tc.role)
		got := []int{
			f.do(token, http.MethodGet, clientCAsPath, nil).status, f.do(token, http.MethodPost, clientCAsPath+"/check", shown).status,
			f.do(token, http.MethodGet, authenticationPath, nil).status,
			f.do(token, http.MethodPut, clientCAsPath+"/acme", put).status, f.do(token, http.MethodPatch, authenticationPath, `{"require_sasl":false}`).status,
			f.do(token, http.MethodDelete, clientCAsPath+"/acme", nil).status,
		}
		if diff := cmp.Diff([]int{tc.read, tc.read, tc.read, tc.write, tc.write, tc.gone}, got); diff != "" {
			t.Errorf("%s of %q (-want +got):\n%s", tc.role, tc.tenant, diff)
		}
	}
}
