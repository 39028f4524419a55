package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/tenancy"
)

// suspect is a login that fails, as somebody tries it who wants to know more than that.
type suspect struct {
	name       string
	peer       Peer
	user, pass string
	why        Reason
}

// suspects returns a fixture and what may not be told apart in it: by password, and
// by API key.
func suspects(tb testing.TB) (f *fixture, passwords, keys []suspect) {
	tb.Helper()
	f = newFixture(tb)
	f.limiter.stranger.burst = 1 << 20
	now := time.Now()
	one, _ := f.dir.View("one")
	users := []tenancy.User{one.Users["alice"], one.Users["bob"], one.Users["carol"]}
	for name, until := range map[string]time.Time{"rota1": now.Add(time.Hour), "rota2": now.Add(-time.Hour)} {
		u := newUser(tb, name, alicePassword)
		creds, err := f.Rotate(nil, u, "a new password", until)
		if err != nil {
			tb.Fatal(err)
		}
		u.Credentials = creds
		users = append(users, u)
	}
	f.dir.put("one", tenancy.StateActive, users...)
	f.dir.put("net", tenancy.StateActive, one.Users["alice"])
	k, secret := f.newKey(tb, "one", "alice")
	late, lateSecret := f.newKey(tb, "one", "alice")
	late.ExpiresAt = now
	f.dir.giveKeys("one", k, late)
	f.dir.mu.Lock()
	// The table of networks is the directory's to make: no networks, of a plan that wants some.
	f.dir.views["net"].Instance.Plan = "closed"
	f.dir.mu.Unlock()
	f.defaults = closedPlans(false)

	here, there, fenced := at("192.0.2.1", "one"), at("192.0.2.1", "two"), at("192.0.2.1", "net")
	const wrong = "correct horse batterx" // of the same form as the right one: SASLprep takes its time by that
	passwords = []suspect{
		{"wrong password", here, "alice", wrong, ReasonPasswordWrong}, // all others are compared with this one
		{"wrong password again", here, "alice", wrong, ReasonPasswordWrong},
		{"unknown user", here, f.unknownLikeOurs(), alicePassword, ReasonUserUnknown},
		{"password of another instance", there, "alice", alicePassword, ReasonPasswordWrong},
		{"disabled, right password", here, "carol", alicePassword, ReasonUserDisabled},
		{"from another network, right password", fenced, "alice", alicePassword, ReasonNetwork},
		{"ended password", here, "rota2", alicePassword, ReasonExpired},
		{"wrong, during a rotation", here, "rota1", wrong, ReasonPasswordWrong},
	}
	keys = []suspect{
		{"wrong secret", here, k.ID, secret[1:] + "x", ReasonPasswordWrong},
		{"wrong secret again", here, k.ID, secret[1:] + "x", ReasonPasswordWrong},
		{"unknown key", here, "key-aaaaaaaaaaaaaaaa", secret, ReasonUserUnknown},
		{"key of another instance", there, k.ID, secret, ReasonUserUnknown},
		{"ended key", here, late.ID, lateSecret, ReasonExpired},
	}
	return f, passwords, keys
}

// unknownLikeOurs is a name of nobody's whose phantom has the form of our own
// credentials; the forms of others take other times (phantom.go says why).
func (f *fixture) unknownLikeOurs() string {
	for i := range 1000 {
		name := fmt.Sprintf("n%04d", i) // as long as the others
		if formOf(phantom(f.pepper, ScramSHA256, "one", name)) == forms[0] {
			return name
		}
	}
	return ""
}

// Whatever is wrong, the answer is the same.
func TestFailuresLookTheSame(t *testing.T) {
	f, passwords, keys := suspects(t)
	try := func(s suspect) {
		t.Helper()
		c, _ := f.Start(Plain, s.peer)
		reply, done, err := c.Step(plainToken("", s.user, s.pass))
		if reply != nil || done || !errors.Is(err, ErrFailed) || reason(t, err) != s.why {
			t.Errorf("%s: %q, %v, %v, want %q", s.name, reply, done, err, s.why)
		}
	}
	for _, s := range passwords {
		try(s)
		for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
			c, err := f.open(mechanism, s.peer, s.user, s.pass)
			if why := reason(t, err); why != s.why || c.next != nil {
				t.Errorf("%s by %s: %q, want %q", s.name, mechanism, why, s.why)
			}
		}
	}
	for _, s := range keys {
		try(s)
	}
}
