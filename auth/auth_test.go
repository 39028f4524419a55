package auth

import (
	"testing"

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
		"deleting instance":       {"", "alice@dying", alicePassword, Principal{}, ReasonInstanceDeleting},
		"case counts in names":    {"one", "Alice", alicePassword, Principal{}, ReasonUserUnknown},
		"case counts in instance": {"", "alice@One", alicePassword, Principal{}, ReasonInstanceUnknown},
	} {
		for _, mechanism := range f.Mechanisms() {
			t.Run(name+"/"+mechanism, func(t *testing.T) {
				f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: []byte("p")})}
				got, err := f.login(mechanism, at("192.0.2.1", tc.endpoint), tc.user, tc.pass)
				if why := reason(t, err); why != tc.why || got != tc.want {
					t.Errorf("got %v, %q (%v), want %v, %q", got, why, err, tc.want, tc.why)
				}
			})
		}
	}
}
