package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

func TestUsers(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	const users = "/v1/instances/orders/users"

	a := f.do(token, http.MethodPost, users, `{"name":"bob"}`)
	made := decodeAs[api.CreatedUser](t, a)
	if a.status != http.StatusCreated || made.Credentials.Username != "bob@orders" || len(made.Credentials.Password) != 32 ||
		a.header.Get("Location") != users+"/bob" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if diff := cmp.Diff(api.ReadyOn{Gateways: 1, Of: 1}, made.ReadyOn); diff != "" {
		t.Error(diff)
	}
	// It can log in at once: the directory has its keys.
	if v, _ := f.directory.View("orders"); len(v.Users["bob"].Credentials) == 0 {
		t.Error("the directory does not have the user yet")
	}
	// A password that was given is not repeated.
	a = f.do(token, http.MethodPost, users, `{"name":"carol","password":"hunter2hunter2"}`)
	if a.status != http.StatusCreated || strings.Contains(a.body, "hunter2") || strings.Contains(a.body, `"password"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if p := f.do(token, http.MethodPost, users, `{"name":"bob","password":"hunter2hunter2"}`).problem(t); p.Code != "user-taken" {
		t.Errorf("%+v", p)
	}
	a = f.do(token, http.MethodGet, users+"/bob", nil)
	if got := decodeAs[api.User](t, a); got.Name != "bob" || strings.Contains(a.body, "key") || strings.Contains(a.body, "salt") {
		t.Errorf("%s", a.body)
	}
	if p := f.do(token, http.MethodGet, users+"/dave", nil).problem(t); p.Code != "user-not-found" {
		t.Errorf("%+v", p)
	}
	if got := f.userNames(token, users+"?limit=2"); !cmp.Equal(got, []string{"alice", "bob", "-> bob"}) {
		t.Errorf("first page %v", got)
	}
	if got := f.userNames(token, users+"?limit=2&after=bob"); !cmp.Equal(got, []string{"carol"}) {
		t.Errorf("second page %v", got)
	}
	if a := f.do(token, http.MethodDelete, users+"/bob", nil); a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if v, _ := f.directory.View("orders"); v.Users["bob"].Name != "" {
		t.Error("the directory still has the user: its sessions would stay")
	}
	if p := f.do(token, http.MethodDelete, users+"/bob", nil).problem(t); p.Code != "user-not-found" {
		t.Errorf("%+v", p)
	}
	if strings.Contains(f.log.String(), "hunter2") || strings.Contains(f.log.String(), made.Credentials.Password) {
		t.Error("a password is in the log")
	}
}

func (f *fixture) userNames(token, path string) []string {
	f.t.Helper()
	page := decodeAs[api.Users](f.t, f.do(token, http.MethodGet, path, nil))
	var names []string
	for _, u := range page.Items {
		names = append(names, u.Name)
	}
	if page.Next != nil {
		names = append(names, "-> "+*page.Next)
	}
	return names
}

// A password is kept as SCRAM keys only.
func TestPasswordIsNotStored(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	if a := f.do(f.token("t-acme", "tenant-admin"), http.MethodPost, "/v1/instances/orders/users", `{"name":"bob","password":"hunter2hunter2"}`); a.status != http.StatusCreated {
		t.Fatal(a.body)
	}
	if strings.Contains(f.redis.Dump(), "hunter2") {
		t.Error("the password is in Redis")
	}
	u, err := f.store.User(t.Context(), tenancy.InstanceID("orders"), "bob")
	if err != nil || len(u.Credentials) != 3 {
		t.Errorf("%d credentials, %v", len(u.Credentials), err)
	}
}

// A user that was made over Kafka's protocol is a user like others, and shows by
// what it can log in: PLAIN is not of it, since nobody here has seen its password.
func TestUserWithOneCredential(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	for mechanism, want := range map[string][]string{
		auth.ScramSHA256: {"SCRAM-SHA-256"},
		auth.ScramSHA512: {"SCRAM-SHA-512"},
	} {
		name := strings.ToLower(mechanism)
		u := tenancy.User{Name: name, CreatedAt: time.Unix(0, 0), Credentials: []tenancy.Credential{{Mechanism: mechanism}}}
		if _, _, err := f.store.PutUser(t.Context(), "orders", u); err != nil {
			t.Fatal(err)
		}
		got := decodeAs[api.User](t, f.do(token, http.MethodGet, "/v1/instances/orders/users/"+name, nil))
		if !slices.Equal(got.Mechanisms, want) {
			t.Errorf("%s has %v, want %v", name, got.Mechanisms, want)
		}
	}
}
