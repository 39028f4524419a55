package auth

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// rotate gives a user of instance "one" a new password.
func (f *fixture) rotate(t *testing.T, name, password string, grace time.Duration) {
	t.Helper()
	view, _ := f.dir.View("one")
	user := view.Users[name]
	var until time.Time
	if grace > 0 {
		until = time.Now().Add(grace)
	}
	creds, err := Rotate(testPepper(), nil, user, password, until)
	if err != nil {
		t.Fatal(err)
	}
	user.Credentials = creds
	users := []tenancy.User{user}
	for other, u := range view.Users {
		if other != name {
			users = append(users, u)
		}
	}
	f.dir.put("one", tenancy.StateActive, users...)
}

// The passwords that a user has had, of which the two newest count at the most.
// What may log in may stay, and what may not must go.
func TestRotation(t *testing.T) {
	const first, second, third = alicePassword, "the second password", "the third password"
	type step struct {
		password string
		grace    time.Duration
		after    time.Duration // then waits
	}
	for name, tc := range map[string]struct {
		steps []step
		want  map[string]Reason // password → why it does not count
	}{
		"none":            {nil, map[string]Reason{first: "", second: ReasonPasswordWrong}},
		"with grace":      {[]step{{second, time.Hour, 0}}, map[string]Reason{first: "", second: "", third: ReasonPasswordWrong}},
		"grace is over":   {[]step{{second, time.Hour, time.Hour}}, map[string]Reason{first: ReasonExpired, second: ""}},
		"almost over":     {[]step{{second, time.Hour, time.Hour - 1}}, map[string]Reason{first: "", second: ""}},
		"leaked":          {[]step{{second, 0, 0}}, map[string]Reason{first: ReasonPasswordWrong, second: ""}},
		"twice":           {[]step{{second, time.Hour, 0}, {third, time.Hour, 0}}, map[string]Reason{first: ReasonPasswordWrong, second: "", third: ""}},
		"twice, one gone": {[]step{{second, time.Hour, 0}, {third, 0, 0}}, map[string]Reason{first: ReasonPasswordWrong, second: ReasonPasswordWrong, third: ""}},
		"and back":        {[]step{{second, time.Hour, 0}, {first, time.Hour, 0}}, map[string]Reason{first: "", second: ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				opened := map[string][]*Conversation{}
				open := func(password string) {
					for i, mechanism := range f.Mechanisms() {
						if c, err := f.open(mechanism, at("192.0.2.1", "one"), "alice", password); err == nil {
							opened[password] = append(opened[password], c)
						} else {
							t.Errorf("%d: %s: %v", i, mechanism, err)
						}
					}
				}
				open(first)
				for _, s := range tc.steps {
					f.rotate(t, "alice", s.password, s.grace)
					open(s.password)
					time.Sleep(s.after) // virtual
				}
				for password, want := range tc.want {
					for _, mechanism := range f.Mechanisms() {
						f.limiter = newLimiter(10)
						_, err := f.open(mechanism, at("192.0.2.1", "one"), "alice", password)
						if why := reason(t, err); why != want {
							t.Errorf("%s by %q: %q, want %q", mechanism, password, why, want)
						}
					}
					stay := want
					if want == ReasonPasswordWrong {
						stay = ReasonRevoked
					}
					if name == "and back" && password == first {
						continue // a password that comes back is another one: its sessions of old went with it
					}
					for _, c := range opened[password] {
						if why := f.Check(c.Principal(), c.Proof(), c.peer); why != stay {
							t.Errorf("a session of %q by %s: %q, want %q", password, c.mechanism, why, stay)
						}
					}
				}
			})
		})
	}
}

// Who logs in with a password that is about to end is told so.
func TestProofEndsWithThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.rotate(t, "alice", "a new password", time.Hour)
		for _, mechanism := range f.Mechanisms() {
			for password, want := range map[string]time.Time{alicePassword: time.Now().Add(time.Hour).UTC(), "a new password": {}} {
				c, err := f.open(mechanism, at("192.0.2.1", "one"), "alice", password)
				if err != nil || !c.Proof().Until.Equal(want) {
					t.Errorf("%s: until %v, want %v, %v", mechanism, c.Proof().Until, want, err)
				}
			}
		}
		view, _ := f.dir.View("one")
		alice := view.Users["alice"]
		alice.ExpiresAt = time.Now().Add(time.Minute)
		f.dir.put("one", tenancy.StateActive, alice)
		c, err := f.open(Plain, at("192.0.2.1", "one"), "alice", alicePassword)
		if err != nil || !c.Proof().Until.Equal(alice.ExpiresAt) {
			t.Errorf("until %v, the user ends at %v, %v", c.Proof().Until, alice.ExpiresAt, err)
		}
		time.Sleep(time.Minute) // virtual
		if why := f.Check(c.Principal(), c.Proof(), c.peer); why != ReasonExpired {
			t.Errorf("after the user's end: %q", why)
		}
		if _, err := f.open(Plain, at("192.0.2.1", "one"), "alice", alicePassword); reason(t, err) != ReasonExpired {
			t.Errorf("a login after the user's end: %v", err)
		}
	})
}

// From outside a rotation cannot be seen: the salt stays, and so does the work.
func TestRotationDoesNotShow(t *testing.T) {
	f := newFixture(t)
	hashes := f.countHashes()
	show := func() string {
		_, _, short := f.begin(t, ScramSHA256, at("192.0.2.1", "one"), "alice")
		_, _, long := f.begin(t, ScramSHA512, at("192.0.2.1", "one"), "alice")
		before := hashes.Load()
		f.limiter = newLimiter(10)
		f.login(Plain, at("192.0.2.1", "one"), "alice", "wrong password")
		return fmt.Sprint(short, long, hashes.Load()-before)
	}
	want := show()
	for i, grace := range []time.Duration{time.Hour, time.Hour, 0} {
		f.rotate(t, "alice", fmt.Sprint("new password ", i), grace)
		if got := show(); got != want {
			t.Errorf("after rotation %d: %s, was %s", i, got, want)
		}
	}
}

// What was made over Kafka's protocol can be rotated too, with one credential or two.
func TestRotationOfForeignCredentials(t *testing.T) {
	for name, mechanisms := range map[string][]string{"both": {ScramSHA256, ScramSHA512}, "short": {ScramSHA256}, "long": {ScramSHA512}} {
		f := newFixture(t)
		erin := tenancy.User{Name: "erin"}
		for _, m := range mechanisms {
			erin.Credentials = append(erin.Credentials, saltedCredential(t, m, alicePassword, "salt of "+m, 4096))
		}
		f.dir.put("one", tenancy.StateActive, erin)
		f.rotate(t, "erin", "a new password", time.Hour)
		for _, m := range f.Mechanisms() {
			if _, err := f.open(m, at("192.0.2.1", "one"), "erin", "a new password"); err != nil {
				t.Errorf("%s: %s with the new password: %v", name, m, err)
			}
			c, err := f.open(m, at("192.0.2.1", "one"), "erin", alicePassword)
			if had := slices.Contains(mechanisms, m); (err == nil) != had {
				t.Errorf("%s: %s with the old password: %v", name, m, err)
			}
			if err == nil && f.Check(c.Principal(), c.Proof(), c.peer) != "" {
				t.Errorf("%s: %s with the old password may not stay", name, m)
			}
		}
		view, _ := f.dir.View("one")
		creds, err := Rotate(testPepper(), nil, view.Users["erin"], "the third password", time.Time{})
		if err != nil || len(creds) != 3 || creds[0].Iterations != iterations || len(creds[0].Salt) != saltBytes && mechanisms[0] == ScramSHA256 {
			t.Errorf("%s: after the old ones are gone: %d credentials of %d iterations, %v", name, len(creds), creds[0].Iterations, err)
		}
	}
}

// A password that Kafka's protocol replaces leaves the sessions that it opened; one
// that is rotated away takes them with it, also those it inherited.
func TestSessionsOfReplacedPasswords(t *testing.T) {
	now := time.Unix(1e9, 0)
	cred := func(secret string, end time.Time) tenancy.Credential {
		return tenancy.Credential{Mechanism: ScramSHA256, Secret: secret, ExpiresAt: end}
	}
	never, past, later := time.Time{}, now, now.Add(time.Hour)
	for name, tc := range map[string]struct {
		has    []tenancy.Credential
		secret string
		want   Reason
	}{
		"its own":                          {[]tenancy.Credential{cred("x", never)}, "x", ""},
		"its own, ends later":              {[]tenancy.Credential{cred("y", never), cred("x", later)}, "x", ""},
		"its own has ended":                {[]tenancy.Credential{cred("y", never), cred("x", past)}, "x", ReasonExpired},
		"ended for one mechanism only":     {[]tenancy.Credential{cred("x", past), cred("x", later)}, "x", ""},
		"rotated away":                     {[]tenancy.Credential{cred("y", never)}, "x", ReasonRevoked},
		"replaced over Kafka":              {[]tenancy.Credential{cred("", never)}, "x", ""},
		"replaced over Kafka, then ended":  {[]tenancy.Credential{cred("y", never), cred("", past)}, "x", ReasonExpired},
		"ended, with a neighbour of Kafka": {[]tenancy.Credential{cred("x", past), cred("", never)}, "x", ReasonExpired},
		"Kafka's own, replaced":            {[]tenancy.Credential{cred("", never)}, "", ""},
		"Kafka's own, rotated away":        {[]tenancy.Credential{cred("y", never)}, "", ReasonRevoked},
		"no credentials":                   {nil, "x", ReasonRevoked},
	} {
		if why := passwordHolds(tenancy.User{Credentials: tc.has}, tc.secret, now); why != tc.want {
			t.Errorf("%s: %q, want %q", name, why, tc.want)
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	alice := newUser(t, "alice", alicePassword)
	for name, tc := range map[string]struct {
		password string
		until    time.Time
	}{
		"too short":                  {"short", time.Now()},
		"the present one":            {alicePassword, time.Now().Add(time.Hour)},
		"the present one, as leaked": {alicePassword, time.Time{}},
	} {
		if _, err := Rotate(testPepper(), nil, alice, tc.password, tc.until); !errors.Is(err, ErrPassword) || bytes.Contains([]byte(err.Error()), []byte(tc.password)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A password that has ended costs what one that is right does.
func TestEndedPasswordsCostTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.rotate(t, "alice", "a new password", time.Second)
		hashes := f.countHashes()
		for i, want := range []int64{1, 2, 3, 4} {
			if i == 2 {
				time.Sleep(time.Second) // virtual
			}
			_, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword)
			if n := hashes.Load(); n != want || (err == nil) != (i < 2) {
				t.Errorf("login %d: %v, %d hashes, want %d", i, err, n, want)
			}
		}
	})
}
