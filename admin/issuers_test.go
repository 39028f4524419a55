package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

// fakeIssuers allows what is below https://login.example.com/, and believes the token "a.b.c".
type fakeIssuers struct{ keys auth.KeyState }

func (*fakeIssuers) AllowIssuer(i tenancy.Issuer) error {
	if !strings.HasPrefix(i.URL, "https://login.example.com/") {
		return auth.ErrIssuerNotAllowed
	}
	return nil
}

func (f *fakeIssuers) IssuerKeys(tenancy.Issuer) auth.KeyState { return f.keys }

func (*fakeIssuers) CheckToken(_ tenancy.InstanceID, token string) auth.TokenCheck {
	if token == "a.b.c" {
		return auth.TokenCheck{User: "svc", Issuer: "login", Until: time.Unix(2_000_000_000, 0)}
	}
	return auth.TokenCheck{Reason: auth.ReasonTokenClaim, Claim: "aud", Issuer: "login"}
}

func (f *fixture) putIssuer(id, name string) {
	f.t.Helper()
	_, _, err := f.store.PutIssuer(f.t.Context(), tenancy.InstanceID(id), tenancy.Issuer{
		Name: name, URL: "https://login.example.com/" + name, Audiences: []string{"kafka"}, CreatedAt: time.Now(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestIssuers(t *testing.T) {
	f := newFixture(t).start()
	f.issuers.keys = auth.KeyState{IDs: []string{"k1"}, FetchedAt: time.Unix(1_900_000_000, 0), Error: errors.New("away")}
	f.create("t-acme", "i-one")
	token := f.token("t-acme", "tenant-admin")
	const path = "/v1/instances/i-one/issuers"

	a := f.do(token, http.MethodPut, path+"/login", `{"url":"https://login.example.com/a","audiences":["kafka"],"scopes":["s"],"claims":{"org":"acme"}}`)
	if a.status != http.StatusOK || a.header.Get("Weir-Revision") == "" {
		t.Fatal(a.status, a.body)
	}
	made := decodeAs[api.ChangedIssuer](t, a)
	if made.ReadyOn != (api.ReadyOn{Gateways: 1, Of: 1}) {
		t.Errorf("ready on %+v", made.ReadyOn)
	}
	v, _ := f.directory.View("i-one")
	if len(v.Access.Issuers) != 1 || v.Access.Issuers[0].URL != "https://login.example.com/a" {
		t.Errorf("in force: %+v", v.Access.Issuers)
	}
	at := time.Unix(1_900_000_000, 0).UTC()
	want := api.Issuer{
		Name: "login", URL: "https://login.example.com/a", Audiences: []string{"kafka"}, Scopes: []string{"s"},
		Claims: map[string]string{"org": "acme"}, PrincipalClaim: "sub", CreatedAt: made.CreatedAt,
		Keys: api.IssuerKeys{IDs: []string{"k1"}, FetchedAt: &at, Error: "away"},
	}
	all := decodeAs[api.Issuers](t, f.do(token, http.MethodGet, path, nil))
	if diff := cmp.Diff([]api.Issuer{want}, all.Items); diff != "" {
		t.Error(diff)
	}
	// Replacing keeps its age.
	again := decodeAs[api.ChangedIssuer](t, f.do(token, http.MethodPut, path+"/login", `{"url":"https://login.example.com/b","audiences":["kafka"]}`))
	if !again.CreatedAt.Equal(made.CreatedAt) || again.URL != "https://login.example.com/b" {
		t.Errorf("replaced: %+v", again)
	}
	if a := f.do(token, http.MethodDelete, path+"/login", nil); a.status != http.StatusNoContent {
		t.Error(a.status, a.body)
	}
	if v, _ := f.directory.View("i-one"); len(v.Access.Issuers) != 0 {
		t.Errorf("still in force: %+v", v.Access.Issuers)
	}
}

func TestIssuersRefused(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "i-one")
	f.putIssuer("i-one", "taken")
	token := f.token("t-acme", "tenant-admin")
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code               code
	}{
		"not allowed":   {"PUT", "/x", `{"url":"https://evil.example.com/","audiences":["a"]}`, 422, codeIssuerNotAllowed},
		"taken":         {"PUT", "/x", `{"url":"https://login.example.com/taken","audiences":["a"]}`, 409, codeIssuerTaken},
		"no audience":   {"PUT", "/x", `{"url":"https://login.example.com/","audiences":[]}`, 422, codeValidation},
		"query":         {"PUT", "/x", `{"url":"https://login.example.com/?a","audiences":["a"]}`, 422, codeValidation},
		"dots":          {"PUT", "/x", `{"url":"https://login.example.com/../a","audiences":["a"]}`, 422, codeValidation},
		"file":          {"PUT", "/x", `{"url":"file:///etc/passwd","audiences":["a"]}`, 422, codeValidation},
		"name":          {"PUT", "/a%20b", `{"url":"https://login.example.com/","audiences":["a"]}`, 422, codeValidation},
		"get nobody":    {"GET", "/x", ``, 404, codeIssuerNotFound},
		"delete nobody": {"DELETE", "/x", ``, 404, codeIssuerNotFound},
	} {
		var body any
		if tc.body != "" {
			body = tc.body
		}
		a := f.do(token, tc.method, "/v1/instances/i-one/issuers"+tc.path, body)
		if p := a.problem(t); a.status != tc.status || p.Code != string(tc.code) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Why a token is refused is for admins, and the token for nobody.
func TestCheckToken(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "i-one")
	token := f.token("t-acme", "tenant-admin")
	check := func(sent string) string {
		return strings.TrimSpace(f.do(token, http.MethodPost, "/v1/instances/i-one/issuers/check", api.CheckToken{Token: sent}).body)
	}
	if got, want := check("a.b.c"), `{"accepted":true,"user":"svc","issuer":"login","expires_at":"2033-05-18T03:33:20Z"}`; got != want {
		t.Error(got)
	}
	if got, want := check("secret.secret.secret"), `{"accepted":false,"reason":"token-claim","claim":"aud","issuer":"login"}`; got != want {
		t.Error(got)
	}
	if strings.Contains(f.log.String(), "secret.secret") {
		t.Error("the token is in the log")
	}
	if a := f.do(f.token("t-acme", "viewer"), http.MethodPost, "/v1/instances/i-one/issuers/check", api.CheckToken{Token: "a.b.c"}); a.status != http.StatusForbidden {
		t.Error(a.status)
	}
}
