package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
	"weir/auth"
	"weir/tenancy"
)

// enters reports whether PLAIN lets a name in with a password, by what is in force.
func (f *fixture) enters(name, password string) bool {
	f.t.Helper()
	a, ok := f.cfg.Secrets.(*auth.Authenticator)
	if !ok {
		f.t.Fatal("another authenticator")
	}
	c, _ := a.Start(auth.Plain, auth.Peer{})
	_, done, err := c.Step([]byte("\x00" + name + "\x00" + password))
	return done && err == nil
}

// A rotation's answer is flat, in force, and shows the password nowhere else.
func TestRotateUser(t *testing.T) {
	f := newFixture(t)
	now := time.Now().Truncate(time.Second)
	f.cfg.Now = func() time.Time { return now }
	f.start()
	made := f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	const path = "/v1/instances/orders/users/alice"
	passwords := []string{made.Credentials.Password}
	for _, tc := range []struct {
		body  string
		grace time.Duration
		valid int // how many of the newest
	}{
		{`{}`, 24 * time.Hour, 2},
		{`{"grace":"168h"}`, 168 * time.Hour, 2},
		{`{"grace":"0s"}`, 0, 1},
	} {
		a := f.do(token, http.MethodPost, path+"/rotate", tc.body)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", tc.body, a.status, a.body)
		}
		got := decodeAs[api.RotatedUser](t, a)
		passwords = append(passwords, got.Password)
		if tc.grace == 0 != (got.PreviousValidUntil == nil) || got.PreviousValidUntil != nil && !got.PreviousValidUntil.Equal(now.Add(tc.grace)) {
			t.Errorf("%s: valid until %v", tc.body, got.PreviousValidUntil)
		}
		if got.Type != "kafka" || got.Username != "alice@orders" || got.Bootstrap != "orders.kafka.example.com:9092" || got.Mechanism != "SCRAM-SHA-512" ||
			!strings.Contains(got.Properties, got.Password) || got.ReadyOn.Of != 1 || a.header.Get("Weir-Revision") == "" {
			t.Errorf("%s: %s", tc.body, a.body)
		}
		for i, p := range passwords {
			if want := len(passwords)-i <= tc.valid; f.enters("alice@orders", p) != want {
				t.Errorf("%s: password %d of %d: want %v", tc.body, i+1, len(passwords), want)
			}
		}
	}
	for _, body := range []string{`{"grace":"-1s"}`, `{"grace":"169h"}`, `{"grace":"a day"}`, `{"password":"hunter2hunter2"}`} {
		if a := f.do(token, http.MethodPost, path+"/rotate", body); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if p := f.do(token, http.MethodPost, "/v1/instances/orders/users/nobody/rotate", `{}`).problem(t); p.Code != "user-not-found" {
		t.Errorf("nobody: %s", p.Code)
	}
	if a := f.do(f.token("t-acme", "viewer"), http.MethodPost, path+"/rotate", `{}`); a.status != http.StatusForbidden {
		t.Errorf("a viewer: %d", a.status)
	}
	for _, p := range passwords {
		if strings.Contains(f.log.String(), p) {
			t.Error("a password is in the log")
		}
	}
}

// What is absent stays as it was.
func TestUpdateUser(t *testing.T) {
	f := newFixture(t).start()
	made := f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	for _, tc := range []struct {
		body     string
		disabled bool
		ends     string
	}{
		{`{"disabled":true}`, true, ""},
		{`{"expires_at":"2020-01-01T01:00:00+01:00"}`, true, "2020-01-01T00:00:00Z"},
		{`{"disabled":false}`, false, "2020-01-01T00:00:00Z"},
		{`{}`, false, "2020-01-01T00:00:00Z"},
		{`{"expires_at":"never"}`, false, ""},
		{`{"expires_at":"2999-01-01T00:00:00Z"}`, false, "2999-01-01T00:00:00Z"},
	} {
		a := f.do(token, http.MethodPatch, "/v1/instances/orders/users/alice", tc.body)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", tc.body, a.status, a.body)
		}
		got := decodeAs[api.UpdatedUser](t, a)
		ends := ""
		if got.ExpiresAt != nil {
			ends = got.ExpiresAt.Format(time.RFC3339)
		}
		if got.Disabled != tc.disabled || ends != tc.ends || got.ReadyOn.Gateways != 1 {
			t.Errorf("%s: %s", tc.body, a.body)
		}
		if want := !tc.disabled && tc.ends != "2020-01-01T00:00:00Z"; f.enters("alice@orders", made.Credentials.Password) != want {
			t.Errorf("%s: a login, want %v", tc.body, want)
		}
	}
	if a := f.do(token, http.MethodPatch, "/v1/instances/orders/users/alice", `{"expires_at":"soon"}`); a.status != http.StatusUnprocessableEntity {
		t.Errorf("soon: %d %s", a.status, a.body)
	}
}

func TestKeys(t *testing.T) {
	f := newFixture(t).start()
	f.create("t-acme", "orders")
	token := f.token("t-acme", "tenant-admin")
	var made []api.CreatedKey
	for _, body := range []string{`{"comment":"the build","expires_in":"1h"}`, `{}`} {
		a := f.do(token, http.MethodPost, "/v1/instances/orders/users/alice/keys", body)
		if a.status != http.StatusCreated || a.header.Get("Location") == "" || a.header.Get("Weir-Revision") == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		k := decodeAs[api.CreatedKey](t, a)
		if k.Mechanism != "PLAIN" || k.Username != k.Key.ID+"@orders" || len(k.Password) != 43 || !f.enters(k.Username, k.Password) {
			t.Errorf("%s", a.body)
		}
		made = append(made, k)
	}
	if first := made[0].Key; first.Comment != "the build" || first.ExpiresAt == nil || first.ExpiresAt.Sub(first.CreatedAt).Round(time.Minute) != time.Hour {
		t.Errorf("%+v", first)
	}
	list := func(query string) api.Keys {
		a := f.do(f.token("t-acme", "viewer"), http.MethodGet, "/v1/instances/orders/keys"+query, nil)
		for _, k := range made {
			if strings.Contains(a.body, k.Password) {
				t.Error("a secret is shown again")
			}
		}
		return decodeAs[api.Keys](t, a)
	}
	if all := list(""); len(all.Items) != 2 || all.Next != nil {
		t.Errorf("%+v", all)
	}
	page := list("?limit=1")
	if len(page.Items) != 1 || page.Next == nil || len(list("?limit=1&after="+*page.Next).Items) != 1 || len(list("?user=bob").Items) != 0 {
		t.Errorf("%+v", page)
	}
	if a := f.do(token, http.MethodDelete, "/v1/instances/orders/keys/"+made[0].Key.ID, nil); a.status != http.StatusNoContent || a.header.Get("Weir-Revision") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if f.enters(made[0].Username, made[0].Password) || !f.enters(made[1].Username, made[1].Password) {
		t.Error("the wrong key is gone")
	}
	for what, p := range map[string]api.Problem{
		"key-not-found":  f.do(token, http.MethodDelete, "/v1/instances/orders/keys/"+made[0].Key.ID, nil).problem(t),
		"user-not-found": f.do(token, http.MethodPost, "/v1/instances/orders/users/bob/keys", `{}`).problem(t),
		"user-taken":     f.do(token, http.MethodPost, "/v1/instances/orders/users", `{"name":"alice"}`).problem(t),
		"not-allowed":    f.do(f.token("t-acme", "viewer"), http.MethodPost, "/v1/instances/orders/users/alice/keys", `{}`).problem(t),
	} {
		if p.Code != what {
			t.Errorf("%s, want %s", p.Code, what)
		}
	}
	for _, body := range []string{`{"expires_in":"1s"}`, `{"expires_in":"x"}`, `{"comment":"` + strings.Repeat("x", 201) + `"}`} {
		if a := f.do(token, http.MethodPost, "/v1/instances/orders/users/alice/keys", body); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", body, a.status)
		}
	}
	rev, err := f.store.PutAuthentication(t.Context(), "orders", tenancy.Authentication{Mechanisms: []string{auth.ScramSHA256}})
	if err != nil || rev == 0 {
		t.Fatal(err)
	}
	if p := f.do(token, http.MethodPost, "/v1/instances/orders/users/alice/keys", `{}`).problem(t); p.Code != "keys-not-allowed" {
		t.Error(p.Code)
	}
}
