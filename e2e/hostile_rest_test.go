package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/admin"
	"weir/tenancy"
)

// bearer is a token of the admin face.
func (p *inProcess) bearer(t *testing.T, tenant tenancy.TenantID, roles ...string) string {
	t.Helper()
	token, err := admin.NewToken(p.key, admin.Claims{
		Subject: "x", Tenant: tenant, Roles: roles, Issued: time.Now(), Expires: time.Now().Add(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// call sends a request whose path goes out as it stands.
func (p *inProcess) call(t *testing.T, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.rest.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestForeignTokens: nobody sees or changes what is another tenant's, and what
// there is of another's looks like what there is not.
func TestForeignTokens(t *testing.T) {
	p := newInProcess(t)
	for _, role := range []string{"tenant-admin", "viewer", "quota-admin", "billing-reader", "nonsense"} {
		token := p.bearer(t, "t-raider", role)
		for _, route := range []struct{ method, path, body string }{
			{"GET", "/v1/instances/ID", ""},
			{"DELETE", "/v1/instances/ID", ""},
			{"GET", "/v1/instances/ID/users", ""},
			{"GET", "/v1/instances/ID/users/app", ""},
			{"DELETE", "/v1/instances/ID/users/app", ""},
			{"POST", "/v1/instances/ID/users", `{"name":"mole"}`},
		} {
			say := func(id string) (int, string) {
				status, text := p.call(t, token, route.method, strings.ReplaceAll(route.path, "ID", id), route.body)
				if i := strings.Index(text, `"request_id"`); i >= 0 {
					text = text[:i]
				}
				return status, strings.ReplaceAll(text, id, "ID")
			}
			foreign, foreignText := say("i-victim")
			missing, missingText := say("i-nobody")
			if foreign < 400 || foreign != missing || foreignText != missingText {
				t.Errorf("%s %s as %s: foreign %d %s, missing %d %s", route.method, route.path, role, foreign, foreignText, missing, missingText)
			}
		}
		if status, text := p.call(t, token, "GET", "/v1/instances", ""); strings.Contains(text, "victim") {
			t.Errorf("list as %s: %d %s", role, status, text)
		}
		if status, text := p.call(t, token, "GET", "/metrics", ""); status == http.StatusOK {
			t.Errorf("metrics as %s: %.80s", role, text)
		}
		if status, text := p.call(t, token, "POST", "/v1/instances", `{"id":"i-mole","name":"mole","tenant":"t-victim"}`); status < 400 {
			t.Errorf("an instance for another tenant as %s: %d %s", role, status, text)
		}
		if status, text := p.call(t, token, "POST", "/v1/instances", `{"id":"i-victim","name":"x","tenant":"t-raider"}`); status < 400 {
			t.Errorf("another's id as %s: %d %s", role, status, text)
		}
	}
	for _, query := range []string{"?tenant=t-victim", "?tenant=", "?tenant=*", "?cursor=i-victim", "?page_token=aS12aWN0aW0", "?limit=-1", "?limit=999999999"} {
		if _, text := p.call(t, p.bearer(t, "t-raider", "tenant-admin"), "GET", "/v1/instances"+query, ""); strings.Contains(text, "i-victim\"") {
			t.Errorf("list with %s: %s", query, text)
		}
	}
}

// TestForgedTokens: only a signature with the key opens anything.
func TestForgedTokens(t *testing.T) {
	p := newInProcess(t)
	good := p.bearer(t, "t-victim", "tenant-admin")
	part := strings.Split(good, ".")
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	operator := b64(`{"iss":"weir","aud":["weir"],"sub":"x","exp":9999999999,"iat":1,"jti":"x","roles":["operator"]}`)
	for name, token := range map[string]string{
		"alg none":                b64(`{"alg":"none"}`) + "." + operator + ".",
		"alg None":                b64(`{"alg":"None","typ":"JWT"}`) + "." + operator + ".",
		"alg none, old signature": b64(`{"alg":"none"}`) + "." + operator + "." + part[2],
		"other claims":            part[0] + "." + operator + "." + part[2],
		"no signature":            part[0] + "." + part[1] + ".",
		"two parts":               part[0] + "." + part[1],
		"HS512":                   b64(`{"alg":"HS512"}`) + "." + part[1] + "." + part[2],
		"RS256":                   b64(`{"alg":"RS256"}`) + "." + part[1] + "." + part[2],
		"a key of its own":        b64(`{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`) + "." + operator + "." + part[2],
		"kid path":                b64(`{"alg":"HS256","kid":"../../../../dev/null"}`) + "." + operator + "." + part[2],
		"crit":                    b64(`{"alg":"HS256","crit":["x"],"x":1}`) + "." + operator + "." + part[2],
		"padding":                 part[0] + "=." + part[1] + "." + part[2],
		"dots":                    strings.Repeat(".", 8000),
		"huge":                    strings.Repeat("a", 20_000),
		"twice":                   good + " " + good,
		"empty":                   "",
	} {
		if status, text := p.call(t, token, "GET", "/v1/instances", ""); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %.100s", name, status, text)
		}
	}
}

// TestPathTricks: an id is one segment of a path, and is looked up as it stands.
func TestPathTricks(t *testing.T) {
	p := newInProcess(t)
	token := p.bearer(t, "t-raider", "tenant-admin")
	for _, path := range []string{
		"/v1/instances/i-raider/../i-victim", "/v1/instances/i-raider%2f..%2fi-victim", "/v1/instances/..%2finstances%2fi-victim",
		"/v1/instances/i-victim%00", "/v1/instances/i-victim/", "//v1/instances/i-victim", "/v1//instances/i-victim", "/v1/instances/i-victim;x",
		"/v1/instances/%69-victim", "/v1/instances/I-VICTIM", "/v1/instances/i-victim%20", "/v1/instances/*", "/v1/instances/i-*",
		"/v1/instances/i-raider/users/..%2f..%2fi-victim%2fusers%2fapp", "/v1/instances/i-raider/users/app@i-victim",
		"/v1/instances/i-raider}:x{i-victim", "/v1/instances/" + strings.Repeat("a", 7000), "/%2e%2e/metrics", "/metrics/", "/debug/pprof/", "/debug/vars",
	} {
		for _, method := range []string{"GET", "DELETE"} {
			if status, text := p.call(t, token, method, path, ""); status < 300 || strings.Contains(text, "t-victim") {
				t.Errorf("%s %.60s: %d %.200s", method, path, status, text)
			}
		}
	}
	// Nothing of it has worked.
	if status, text := p.call(t, p.bearer(t, "t-victim", "tenant-admin"), "GET", "/v1/instances/i-victim", ""); status != http.StatusOK {
		t.Errorf("the victim's instance: %d %s", status, text)
	}
}
