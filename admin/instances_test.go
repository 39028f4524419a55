package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/tenancy"
)

func TestCreateInstanceBody(t *testing.T) {
	f := newFixture(t)
	f.cfg.Now = func() time.Time { return time.Now().Truncate(time.Second) }
	f.start()
	a := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, "/v1/instances",
		`{"name":"orders","plan":"large","admin_user":{"name":"orders-admin"}}`)
	if a.status != http.StatusCreated {
		t.Fatal(a.status, a.body)
	}
	got := decodeAs[api.CreatedInstance](t, a)
	if !regexp.MustCompile(`^i-[a-z2-7]{8}$`).MatchString(got.ID) {
		t.Errorf("generated id is %q", got.ID)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(got.Credentials.Password) {
		t.Errorf("generated password has %d characters", len(got.Credentials.Password))
	}
	if a.header.Get("Location") != "/v1/instances/"+got.ID || a.header.Get("Weir-Revision") == "" {
		t.Errorf("headers %v", a.header)
	}
	// Everything that differs from run to run gets a fixed word.
	body := strings.NewReplacer(got.ID, "ID", got.Credentials.Password, "PASSWORD",
		got.CreatedAt.Format(time.RFC3339), "TIME").Replace(a.body)
	golden(t, "create_instance.json", indent(t, body))

	read := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders", nil)
	if diff := cmp.Diff(got.Instance, decodeAs[api.Instance](t, read)); diff != "" {
		t.Error(diff)
	}
}

func indent(t *testing.T, body string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// Each bad body is answered with all of its mistakes, changes nothing, and
// never repeats what was sent.
func TestCreateInstanceRefuses(t *testing.T) {
	f := newFixture(t)
	f.cfg.Now = steppingClock()
	f.start()
	f.create("t-acme", "taken")
	f.create("t-other", "foreign")
	f.create("t-acme", "i-prev")
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		where      []string
	}{
		{"not JSON", `{"name":`, 400, "bad-request", []string{"body"}},
		{"nothing", ``, 400, "bad-request", nil},
		{"a list", `[]`, 422, "validation-failed", []string{"body"}},
		{"neither name nor id", `{}`, 422, "validation-failed", []string{"body.name"}},
		{"unknown field", `{"name":"a1","passwd":"hunter2hunter2"}`, 422, "validation-failed", []string{"body.passwd"}},
		{"unknown field of the user", `{"name":"a1","admin_user":{"name":"u","pass":"hunter2hunter2"}}`, 422, "validation-failed", []string{"body.admin_user.pass"}},
		{
			"everything at once", `{"id":"-","name":"A B","tenant":"T","plan":"gold","admin_user":{"name":"a@b","password":"hunter2"},"x":1}`, 422, "validation-failed",
			[]string{"body.admin_user.name", "body.admin_user.password", "body.id", "body.name", "body.x", "body.tenant"},
		},
		{"id like a broker", `{"id":"b1-orders"}`, 422, "validation-failed", []string{"body.id"}},
		{"password of the wrong type", `{"id":"a1","admin_user":{"name":"u","password":12345678901}}`, 422, "validation-failed", []string{"body.admin_user.password"}},
		{"password with a control character", `{"id":"a1","admin_user":{"name":"u","password":"hunter2hunter2\u0007"}}`, 422, "validation-failed", []string{"body.admin_user.password"}},
		{"user without a name", `{"id":"a1","admin_user":{"password":"hunter2hunter2"}}`, 422, "validation-failed", []string{"body.admin_user"}},
		{"empty user name", `{"id":"a1","admin_user":{"name":""}}`, 422, "validation-failed", []string{"body.admin_user.name"}},
		{"id taken", `{"id":"taken","name":"other"}`, 409, "instance-id-taken", []string{"body.id"}},
		{"id taken by somebody else", `{"id":"foreign","name":"other"}`, 409, "instance-id-taken", []string{"body.id"}},
		{"name taken", `{"id":"a1","name":"taken"}`, 409, "instance-name-taken", []string{"body.name"}},
		{"foreign tenant", `{"id":"a1","tenant":"t-other"}`, 404, "tenant-not-found", nil},
		{"1 MiB and a byte", `{"name":"` + strings.Repeat("a", 1<<20-10) + `"}`, 413, "body-too-large", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, "/v1/instances", c.body)
			p := a.problem(t)
			if a.status != c.status || p.Code != c.code {
				t.Errorf("got %d %s, want %d %s: %s", a.status, p.Code, c.status, c.code, a.body)
			}
			var where []string
			for _, e := range p.Errors {
				where = append(where, e.Location)
			}
			if diff := cmp.Diff(c.where, where); diff != "" {
				t.Errorf("%s\n%s", diff, a.body)
			}
			if strings.Contains(a.body, "hunter2") {
				t.Errorf("the password came back: %s", a.body)
			}
		})
	}
	if a := f.do(f.token("", "operator"), http.MethodGet, "/v1/instances", nil); len(decodeAs[api.Instances](t, a).Items) != 3 {
		t.Errorf("something was made: %s", a.body)
	}
	if strings.Contains(f.log.String(), "hunter2") {
		t.Error("the password is in the log")
	}
}

func TestOtherContentTypesAreRefused(t *testing.T) {
	f := newFixture(t).start()
	f.handler = setHeader(f.handler, "Content-Type", "application/xml")
	if p := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, "/v1/instances", `{"id":"a1"}`).problem(t); p.Code != "unsupported-media-type" {
		t.Errorf("%+v", p)
	}
}

func setHeader(next http.Handler, name, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set(name, value)
		next.ServeHTTP(w, r)
	})
}

// An id wins over a name, a name is looked up in the caller's tenant only.
func TestInstanceByIDOrName(t *testing.T) {
	f := newFixture(t).start()
	operator := f.token("t-acme", "operator")
	f.do(operator, http.MethodPost, "/v1/instances", `{"id":"aa","name":"orders"}`)
	f.do(operator, http.MethodPost, "/v1/instances", `{"id":"bb","name":"orders","tenant":"t-other"}`)
	f.do(operator, http.MethodPost, "/v1/instances", `{"id":"orders","name":"three","tenant":"t-third"}`)
	for _, c := range []struct {
		tenant tenancy.TenantID
		path   string
		want   string
	}{
		{"t-acme", "aa", "aa"},
		{"t-acme", "orders", "aa"}, // the id "orders" is somebody else's
		{"t-other", "orders", "bb"},
		{"t-third", "orders", "orders"},
		{"t-acme", "bb", ""},
		{"t-acme", "three", ""},
		{"t-acme", "nothing", ""},
		{"t-acme", "%2e%2e%2fusers", ""},
		{"t-acme", "A%20B", ""},
	} {
		a := f.do(f.token(c.tenant, "viewer"), http.MethodGet, "/v1/instances/"+c.path, nil)
		if c.want == "" {
			if p := a.problem(t); p.Code != "instance-not-found" {
				t.Errorf("%s sees %s: %s", c.tenant, c.path, a.body)
			}
			continue
		}
		if got := decodeAs[api.Instance](t, a).ID; got != c.want {
			t.Errorf("%s of %s is %s, want %s", c.path, c.tenant, got, c.want)
		}
	}
}

func TestListPages(t *testing.T) {
	f := newFixture(t).start()
	for i := range 5 {
		f.create("t-acme", fmt.Sprintf("in-%d", i))
	}
	f.create("t-other", "in-9")
	token := f.token("t-acme", "viewer")
	var got []string
	after := ""
	for {
		page := decodeAs[api.Instances](t, f.do(token, http.MethodGet, "/v1/instances?limit=2&after="+after, nil))
		for _, i := range page.Items {
			got = append(got, i.ID)
		}
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	if diff := cmp.Diff([]string{"in-0", "in-1", "in-2", "in-3", "in-4"}, got); diff != "" {
		t.Error(diff)
	}
	if p := f.do(token, http.MethodGet, "/v1/instances?limit=501", nil).problem(t); p.Code != "validation-failed" || p.Errors[0].Location != "query.limit" {
		t.Errorf("%+v", p)
	}
	if a := f.do(f.token("t-none", "viewer"), http.MethodGet, "/v1/instances", nil); a.body != `{"items":[],"next":null}`+"\n" {
		t.Errorf("nothing is %s", a.body)
	}
}

// Deleting answers at once, again if it is asked again, and what is on its way
// out takes no users any more.
func TestDeleteInstance(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	for range 2 {
		a := f.do(token, http.MethodDelete, "/v1/instances/orders", nil)
		if a.status != http.StatusAccepted || a.header.Get("Location") != "/v1/instances/orders" || decodeAs[api.Instance](t, a).State != "deleting" {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
	}
	if a := f.do(token, http.MethodGet, "/v1/instances/orders", nil); decodeAs[api.Instance](t, a).State != "deleting" {
		t.Errorf("%s", a.body)
	}
	if v, ok := f.directory.View("orders"); !ok || v.Instance.State != tenancy.StateDeleting {
		t.Errorf("the directory does not know: the sessions would stay")
	}
	if p := f.do(token, http.MethodPost, "/v1/instances/orders/users", `{"name":"bob"}`).problem(t); p.Code != "instance-deleting" {
		t.Errorf("%+v", p)
	}
	if p := f.do(token, http.MethodDelete, "/v1/instances/orders/users/alice", nil).problem(t); p.Code != "instance-deleting" {
		t.Errorf("%+v", p)
	}
}

// Without Redis reads and writes fail as such, lists and health go on.
func TestStoreAway(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	f.redis.Close()
	token := f.token("t-acme", "tenant-admin")
	for _, c := range [][3]string{
		{http.MethodGet, "/v1/instances/orders", ""},
		{http.MethodDelete, "/v1/instances/orders", ""},
		{http.MethodPost, "/v1/instances", `{"id":"a1","admin_user":{"name":"u","password":"hunter2hunter2"}}`},
	} {
		p := f.do(token, c[0], c[1], c[2]).problem(t)
		if p.Code != "store-unavailable" || !p.Retryable || strings.Contains(p.Detail, "127.0.0.1") {
			t.Errorf("%v: %+v", c, p)
		}
	}
	if a := f.do(token, http.MethodGet, "/v1/instances", nil); len(decodeAs[api.Instances](t, a).Items) != 1 {
		t.Errorf("%s", a.body)
	}
	if strings.Contains(f.log.String(), "hunter2") {
		t.Error("the password is in the log")
	}
}
