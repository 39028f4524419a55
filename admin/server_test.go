package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/tenancy"
)

// golden compares with testdata/name; WEIR_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("WEIR_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (WEIR_GOLDEN=1 go test writes it anew):\n%s", path, diff)
	}
}

func TestOpenAPIGolden(t *testing.T) {
	f := newFixture(t).start()
	a := f.do("", http.MethodGet, "/openapi.json", nil)
	if a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	golden(t, "openapi.json", a.body+"\n")
}

// Every route of the document, and /metrics, against every role and both kinds
// of tenant: one line each, so that a change of rights is seen in review.
func TestRightsGolden(t *testing.T) {
	f := newFixture(t)
	f.cfg.Now = steppingClock() // nobody is rate-limited
	f.cfg.Secrets = &oneSecret{Secrets: f.cfg.Secrets}
	f.meter(t)
	f.start()
	var b strings.Builder
	for _, r := range documentedRoutes(t, f) {
		method, path, _ := strings.Cut(r, " ")
		for _, role := range []string{"", "none", "operator", "tenant-admin", "viewer", "quota-admin", "billing-reader", "nonsense"} {
			for _, owner := range []tenancy.TenantID{"t-acme", "t-other"} {
				fmt.Fprintf(&b, "%-42s %-15s %-8s %s\n", r, role, map[bool]string{true: "own", false: "foreign"}[owner == "t-acme"],
					f.outcome(method, path, role, owner))
			}
		}
	}
	golden(t, "rights.txt", b.String())
}

// oneSecret makes the credentials of new users once: a thousand of them take a minute with -race.
type oneSecret struct {
	Secrets
	made []tenancy.Credential
}

func (s *oneSecret) NewCredentials(random io.Reader, password string) (_ []tenancy.Credential, err error) {
	if s.made == nil {
		s.made, err = s.Secrets.NewCredentials(random, password)
	}
	return s.made, err
}

// outcome sends one request by role of t-acme for something that owner has.
func (f *fixture) outcome(method, path, role string, owner tenancy.TenantID) string {
	f.t.Helper()
	f.made++
	id := fmt.Sprintf("i-%04d", f.made)
	f.create(owner, id)
	if strings.HasSuffix(path, "/hosts/{name}") {
		path = strings.Replace(path, "{name}", "kafka."+id+".example", 1)
	}
	path = strings.NewReplacer("{instance}", id, "{user}", "alice", "{kind}", "topic", "{name}", "bills", "{client}", "spark", "{plan}", "standard", "{tenant}", string(owner)).Replace(path)
	var body any
	switch {
	case method == http.MethodGet && path == "/v1/instances":
		path += "?limit=500"
	case method == http.MethodGet && path == "/v1/events":
		path += "?instance=" + id
	case method == http.MethodPost && strings.HasSuffix(path, "/aliases"):
		f.pool.holdTopics("legacy-" + id)
		body = `{"aliases":[{"kind":"topic","name":"bills","physical":"legacy-` + id + `"}]}`
	case method == http.MethodDelete && strings.Contains(path, "/aliases/"):
		f.putAlias(id, tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "bills", Physical: "legacy-" + id})
	case method == http.MethodPut && strings.Contains(path, "/hosts/"):
		body = certificateFor(f.t, "kafka."+id+".example")
	case method == http.MethodDelete && strings.Contains(path, "/hosts/"):
		f.putHost(id, "kafka."+id+".example")
	case method == http.MethodPost && strings.HasSuffix(path, "/networks/check"):
		body = `{"address":"10.1.2.3"}`
	case strings.HasSuffix(path, "/networks") && method != http.MethodDelete:
		body = `{"allow":[{"cidr":"10.1.0.0/16"}]}`
	case strings.HasSuffix(path, "/issuers/check"):
		body = `{"token":"a.b.c"}`
	case strings.Contains(path, "/issuers/"):
		if method != http.MethodPut {
			f.putIssuer(id, "bills")
		}
		body = `{"url":"https://login.example.com/bills","audiences":["kafka"]}`
	case strings.Contains(path, "/quotas") && method != http.MethodDelete, strings.HasPrefix(path, "/v1/plans/") && !strings.HasSuffix(path, "/prices"):
		body = `{"limits":{"produce_bytes_per_second":{"limit":1048576}}}`
	case method == http.MethodPatch && path == "/v1/instances/"+id:
		body = `{"plan":"large"}`
	case method == http.MethodPost && strings.HasSuffix(path, "/users"):
		body = `{"name":"bob"}`
	case strings.HasPrefix(path, "/v1/exports/"):
		path = strings.NewReplacer("{export}", f.export(owner).ID(), "{file}", f.export(owner).Files()[0].Name).Replace(path)
	case method == http.MethodPost && path == "/v1/exports":
		e := f.export(owner)
		body = fmt.Sprintf(`{"format":"csv","tenant":"%s","from":"%s","to":"%s"}`, owner, e.From, e.To)
	case strings.Contains(path, "{statement}"):
		f.bill(f.t, owner, id)
		path = strings.Replace(path, "{statement}", fmt.Sprintf("%s-%s", owner, f.lastMonth()), 1)
	case path == "/v1/statements":
		path += "?tenant=" + string(owner)
	case method == http.MethodPut && strings.HasSuffix(path, "/budget"):
		body = `{"mode":"soft","currency":"EUR","amount":"1"}`
	case method == http.MethodPost && strings.HasSuffix(path, "/balance"):
		body = `{"id":"pay-1","currency":"EUR","amount":"1"}`
	case strings.HasSuffix(path, "/prices"):
		body = `{"currency":"EUR","minimum":"1","meters":[]}`
	case path == "/v1/usage":
		path += "?instance=" + id
	case method == http.MethodPost:
		body = `{"id":"` + id + `x","tenant":"` + string(owner) + `"}`
	}
	token := ""
	switch role {
	case "":
	case "none":
		token = f.token("t-acme")
	default:
		token = f.token("t-acme", role)
	}
	a := f.do(token, method, path, body)
	if a.status < http.StatusBadRequest {
		if path == "/v1/instances?limit=500" {
			return fmt.Sprintf("%d sees-it=%t", a.status, strings.Contains(a.body, `"`+id+`"`))
		}
		return fmt.Sprint(a.status)
	}
	return fmt.Sprintf("%d %s", a.status, a.problem(f.t).Code)
}

func documentedRoutes(t *testing.T, f *fixture) []string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(f.do("", http.MethodGet, "/openapi.json", nil).body), &doc); err != nil {
		t.Fatal(err)
	}
	routes := []string{"GET /metrics"}
	for path, methods := range doc.Paths {
		for m := range methods {
			routes = append(routes, strings.ToUpper(m)+" "+path)
		}
	}
	slices.Sort(routes)
	return routes
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	var unready error
	f.cfg.Ready = func() error { return unready }
	f.start()
	get := func(path string) string {
		a := f.do("", http.MethodGet, path, nil)
		return fmt.Sprintf("%d %s", a.status, strings.TrimSpace(a.body))
	}
	if got, want := get("/readyz"), `200 {"status":"ready"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	unready = errors.New("pool main has no broker")
	if got, want := get("/readyz"), `503 {"reason":"pool main has no broker","status":"unready"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := get("/healthz"), `200 {"status":"ok","version":"1.2.3"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnknownRoutes(t *testing.T) {
	f := newFixture(t).start()
	operator := f.token("", "operator")
	for _, c := range []struct {
		method, path, code, allow string
	}{
		{http.MethodGet, "/v2/instances", "no-such-route", ""},
		{http.MethodGet, "/v1/instances/", "no-such-route", ""},
		{http.MethodPut, "/v1/instances", "method-not-allowed", "GET, HEAD, POST"},
		{http.MethodDelete, "/metrics", "method-not-allowed", "GET, HEAD"},
	} {
		a := f.do(operator, c.method, c.path, nil)
		if got := a.problem(t).Code; got != c.code || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q; want %s, %q", c.method, c.path, got, a.header.Get("Allow"), c.code, c.allow)
		}
		if got := f.do("", c.method, c.path, nil).problem(t).Code; got != "unauthenticated" {
			t.Errorf("%s %s without a token: %s", c.method, c.path, got)
		}
	}
}

// The 41st request of a moment is refused, other tokens are not, and a second
// later there are 20 more.
func TestRateLimit(t *testing.T) {
	f := newFixture(t)
	clock := newFakeClock()
	f.cfg.Now = clock.now
	f.start()
	token := f.token("t-acme", "viewer")
	spend := func(n int) (refused int) {
		for range n {
			if a := f.do(token, http.MethodGet, "/v1/instances", nil); a.status == http.StatusTooManyRequests {
				refused++
				if a.header.Get("Retry-After") != "1" || !a.problem(t).Retryable {
					t.Errorf("%v %s", a.header, a.body)
				}
			}
		}
		return refused
	}
	if got := spend(requestBurst + 3); got != 3 {
		t.Errorf("%d refused, want 3", got)
	}
	if a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances", nil); a.status != http.StatusOK {
		t.Errorf("another token got %d", a.status)
	}
	clock.advance(1)
	if got := spend(requestsPerSecond + 2); got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
}

func TestLimiterForgets(t *testing.T) {
	clock := newFakeClock()
	l := newLimiter(clock.now)
	for i := range maxLimited {
		l.allow(fmt.Sprint(i))
	}
	clock.advance(10)
	l.allow("one more")
	if len(l.tokens) != 1 {
		t.Errorf("%d tokens remembered, want 1", len(l.tokens))
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := New(Config{})
	for _, field := range []string{"Store", "Directory", "Secrets", "Gatherer", "Log", "Plans", "Endpoints", "Username", "Mechanisms", "Ready", "DefaultPool", "TokenKey"} {
		if err == nil || !strings.Contains(err.Error(), "admin."+field) {
			t.Errorf("%s is not in: %v", field, err)
		}
	}
}

// A handler that panics answers, and the process goes on.
func TestPanicIsAnswered(t *testing.T) {
	f := newFixture(t)
	f.cfg.Username = func(tenancy.InstanceID, string) string { panic("broken") }
	f.start()
	a := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances", `{"id":"i1","tenant":"t1","admin_user":{"name":"a"}}`)
	if p := a.problem(t); p.Code != "internal" || strings.Contains(a.body, "broken") {
		t.Errorf("%s", a.body)
	}
	if !strings.Contains(f.log.String(), "broken") {
		t.Error("the panic is not in the log")
	}
}
