package auth

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/tenancy"
)

func TestLogin(t *testing.T) {
	f := newFixture(t)
	alice := Principal{Instance: "one", User: "alice"}
	for name, tc := range map[string]struct {
		endpoint   tenancy.InstanceID
		user, pass string
		want       Principal
		why        Reason
	}{
		"by endpoint":             {"one", "alice", alicePassword, alice, ""},
		"by name":                 {"", "alice@one", alicePassword, alice, ""},
		"by both":                 {"one", "alice@one", alicePassword, alice, ""},
		"odd characters":          {"one", "bob", bobPassword, Principal{"one", "bob"}, ""},
		"same name elsewhere":     {"two", "alice", "another password", Principal{"two", "alice"}, ""},
		"wrong password":          {"one", "alice", "wrong password", Principal{}, ReasonPasswordWrong},
		"password of elsewhere":   {"two", "alice", alicePassword, Principal{}, ReasonPasswordWrong},
		"no instance":             {"", "alice", alicePassword, Principal{}, ReasonInstanceMissing},
		"empty instance":          {"", "alice@", alicePassword, Principal{}, ReasonInstanceMissing},
		"unknown instance":        {"", "alice@three", alicePassword, Principal{}, ReasonInstanceUnknown},
		"unknown endpoint":        {"three", "alice", alicePassword, Principal{}, ReasonInstanceUnknown},
		"both and they differ":    {"two", "alice@one", alicePassword, Principal{}, ReasonInstanceMismatch},
		"endpoint, empty suffix":  {"one", "alice@", alicePassword, Principal{}, ReasonInstanceMismatch},
		"two suffixes":            {"", "alice@one@two", alicePassword, Principal{}, ReasonUserUnknown},
		"unknown user":            {"one", "mallory", alicePassword, Principal{}, ReasonUserUnknown},
		"only a suffix":           {"", "@one", alicePassword, Principal{}, ReasonUserUnknown},
		"disabled user":           {"one", "carol", alicePassword, Principal{}, ReasonUserDisabled},
		"disabled, bad password":  {"one", "carol", "wrong password", Principal{}, ReasonUserDisabled},
		"suspended instance":      {"asleep", "alice", alicePassword, Principal{}, ReasonInstanceSuspended},
		"budget spent":            {"broke", "alice", alicePassword, Principal{}, ReasonBudgetSpent},
		"deleting instance":       {"", "alice@dying", alicePassword, Principal{}, ReasonInstanceDeleting},
		"case counts in names":    {"one", "Alice", alicePassword, Principal{}, ReasonUserUnknown},
		"case counts in instance": {"", "alice@One", alicePassword, Principal{}, ReasonInstanceUnknown},
	} {
		for _, mechanism := range f.Mechanisms() {
			t.Run(name+"/"+mechanism, func(t *testing.T) {
				f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: testPepper()})}
				got, err := f.login(mechanism, at("192.0.2.1", tc.endpoint), tc.user, tc.pass)
				if why := reason(t, err); why != tc.why || got != tc.want {
					t.Errorf("got %v, %q (%v), want %v, %q", got, why, err, tc.want, tc.why)
				}
			})
		}
	}
}

func TestStartRefusesUnlistedMechanisms(t *testing.T) {
	f := newFixture(t)
	for _, mechanism := range []string{"", "plain", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "GSSAPI"} {
		if c, ok := f.Start(mechanism, Peer{}); ok || c != nil {
			t.Errorf("%q can be started", mechanism)
		}
	}
}

func TestConversationEndsOnce(t *testing.T) {
	f := newFixture(t)
	for _, password := range []string{alicePassword, "wrong password"} {
		c, _ := f.Start(Plain, at("192.0.2.1", "one"))
		c.Step(plainToken("", "alice", password))
		before := c.Principal()
		reply, done, err := c.Step(plainToken("", "alice", alicePassword))
		if reason(t, err) != ReasonConversationEnded || done || reply != nil {
			t.Errorf("after the end: %q, %v, %v", reply, done, err)
		}
		if c.Principal() != before {
			t.Errorf("the principal has become %v", c.Principal())
		}
	}
}

func TestValidFollowsTheDirectory(t *testing.T) {
	f := newFixture(t)
	alice := newUser(t, "alice", alicePassword)
	disabled := alice
	disabled.Disabled = true
	ended, ending := alice, alice
	ended.ExpiresAt, ending.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
	p := Principal{Instance: "one", User: "alice"}
	for _, tc := range []struct {
		name  string
		state tenancy.State
		users []tenancy.User
		want  bool
	}{
		{"as it was", tenancy.StateActive, []tenancy.User{alice}, true},
		{"password changed", tenancy.StateActive, []tenancy.User{newUser(t, "alice", "a new password")}, false},
		{"disabled", tenancy.StateActive, []tenancy.User{disabled}, false},
		{"ended", tenancy.StateActive, []tenancy.User{ended}, false},
		{"ends some day", tenancy.StateActive, []tenancy.User{ending}, true},
		{"enabled again", tenancy.StateActive, []tenancy.User{alice}, true},
		{"user removed", tenancy.StateActive, nil, false},
		{"suspended", tenancy.StateSuspended, []tenancy.User{alice}, false},
		{"deleting", tenancy.StateDeleting, []tenancy.User{alice}, false},
		{"deleted", tenancy.StateDeleted, nil, false},
	} {
		f.dir.put("one", tc.state, tc.users...)
		if got := f.valid(p, alice); got != tc.want {
			t.Errorf("%s: valid is %v, want %v", tc.name, got, tc.want)
		}
	}
	if f.valid(Principal{}, alice) || f.valid(Principal{Instance: "three", User: "alice"}, alice) {
		t.Error("a principal of no instance is valid")
	}
}

func TestRevokedBetweenTheSteps(t *testing.T) {
	f := newFixture(t)
	c, _ := f.Start(ScramSHA256, at("192.0.2.1", "one"))
	client, _ := scramHash(ScramSHA256).NewClientUnprepped("alice", alicePassword, "")
	conv := client.NewConversation()
	first, _ := conv.Step("")
	reply, _, err := c.Step([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	final, _ := conv.Step(string(reply))
	f.dir.put("one", tenancy.StateSuspended, newUser(t, "alice", alicePassword))
	if _, done, err := c.Step([]byte(final)); done || reason(t, err) != ReasonRevoked {
		t.Errorf("done is %v, %v", done, err)
	}
	if c.Principal() != (Principal{}) {
		t.Errorf("principal %v", c.Principal())
	}
}

func TestChangedPasswordAtNextLogin(t *testing.T) {
	f := newFixture(t)
	for _, mechanism := range f.Mechanisms() {
		f.dir.put("one", tenancy.StateActive, newUser(t, "alice", alicePassword))
		if _, err := f.login(mechanism, at("192.0.2.1", "one"), "alice", alicePassword); err != nil {
			t.Fatal(err)
		}
		// The same version, as of a user deleted and made again.
		f.dir.put("one", tenancy.StateActive, newUser(t, "alice", "a new password"))
		if _, err := f.login(mechanism, at("192.0.2.1", "one"), "alice", alicePassword); reason(t, err) != ReasonPasswordWrong {
			t.Errorf("%s with the old password: %v", mechanism, err)
		}
		if _, err := f.login(mechanism, at("192.0.2.1", "one"), "alice", "a new password"); err != nil {
			t.Errorf("%s with the new password: %v", mechanism, err)
		}
	}
}

// What a client sends as a name may be a password, so a failure names only what exists.
func TestFailureNamesOnlyWhatExists(t *testing.T) {
	f := newFixture(t)
	_, err := f.login(Plain, at("192.0.2.1", ""), "s3cret-name@s3cret-instance", "s3cret-password")
	if got, _ := errors.AsType[*Failure](err); got.Instance != "" || got.User != "" || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%#v", got)
	}
	_, err = f.login(Plain, at("192.0.2.1", ""), "alice@one", "s3cret-password")
	if got, _ := errors.AsType[*Failure](err); got.Instance != "one" || got.User != "alice" || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%#v", got)
	}
}

func TestNewWithoutPepper(t *testing.T) {
	var out bytes.Buffer
	cfg := Config{Directory: newFixture(t).dir, Log: slog.New(slog.NewTextHandler(&out, nil))}
	if bytes.Equal(New(cfg).pepper, New(cfg).pepper) {
		t.Error("two authenticators have the same pepper")
	}
	if !strings.Contains(out.String(), "pepper") {
		t.Errorf("nothing was said of it: %q", out.String())
	}
}

func TestConcurrentLogins(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for i := range 24 {
		mechanism := f.Mechanisms()[i%3]
		wg.Go(func() {
			got, err := f.login(mechanism, at("192.0.2.1", ""), "alice@one", alicePassword)
			if want := (Principal{"one", "alice"}); err != nil || got != want {
				t.Errorf("%s: %v, %v", mechanism, got, err)
			}
		})
		wg.Go(func() {
			if _, err := f.login(mechanism, at("192.0.2.2", ""), rand.Text()+"@two", "wrong password"); err == nil {
				t.Errorf("%s: a stranger got in", mechanism)
			}
		})
		wg.Go(func() {
			f.dir.put("two", tenancy.StateActive)
			f.Check(Principal{"two", "alice"}, Proof{Mechanism: ScramSHA256}, Peer{})
		})
	}
	wg.Wait()
}
