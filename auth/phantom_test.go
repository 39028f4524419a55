package auth

import (
	"bytes"
	"fmt"
	"testing"

	"weir/tenancy"
)

func TestPhantomIsOnesOwn(t *testing.T) {
	pepper := []byte("pepper")
	seen := make(map[string]bool)
	for _, p := range []tenancy.Credential{
		phantom(pepper, ScramSHA256, "one", "alice"),
		phantom(pepper, ScramSHA512, "one", "alice"),
		phantom(pepper, ScramSHA256, "two", "alice"),
		phantom(pepper, ScramSHA256, "one", "bob"),
		phantom(pepper, ScramSHA256, "onea", "lice"), // not the same bytes in a row
		phantom([]byte("another"), ScramSHA256, "one", "alice"),
	} {
		if seen[string(p.Salt)] || len(p.Salt) == 0 || len(p.StoredKey) != newHash(p.Mechanism)().Size() {
			t.Errorf("%+v, salt %q", p, p.Salt)
		}
		seen[string(p.Salt)] = true
	}
	if !seen[string(phantom(pepper, ScramSHA256, "one", "alice").Salt)] {
		t.Error("the salt of an unknown user changes")
	}
}

// formOf is the form of a credential, with the length of a salt of digits
// (which varies) as 0.
func formOf(c tenancy.Credential) form {
	f := form{len(c.Salt), c.Iterations}
	if len(c.Salt) != saltBytes && len(bytes.Trim(c.Salt, "0123456789abcdefghijklmnopqrstuvwxyz")) == 0 {
		f.salt = 0
	}
	return f
}

// Whatever pair of usual credentials a user has, some user that does not exist
// looks the same; half of those look like users that we have made.
func TestPhantomsHaveEveryForm(t *testing.T) {
	const names = 8000
	pairs := map[[2]form]int{}
	for i := range names {
		user := fmt.Sprint("user", i)
		short, long := phantom([]byte("p"), ScramSHA256, "one", user), phantom([]byte("p"), ScramSHA512, "one", user)
		pairs[[2]form{formOf(short), formOf(long)}]++
	}
	for _, a := range forms {
		for _, b := range forms {
			n, least, most := pairs[[2]form{a, b}], names/128/2, names/128*2
			if a == forms[0] && b == a {
				least, most = names*45/100, names*55/100
			}
			if n < least || n > most {
				t.Errorf("%v with %v: %d of %d phantoms", a, b, n, names)
			}
		}
	}
}

// A user that was made over Kafka's protocol shows its own salt and iterations; its
// password was never seen here, so it cannot use PLAIN, as on Kafka.
func TestLoginWithForeignCredentials(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		has  string // mechanism of the only credential
		salt string
		iter int
	}{
		{ScramSHA256, "1pkc8m2m3v5bqbj6rp2t5h3s7", 4096},
		{ScramSHA512, "24 bytes of salt, random", 16384},
		{ScramSHA512, "s", 10000},
	} {
		c := saltedCredential(t, tc.has, alicePassword, tc.salt, tc.iter)
		f.dir.put("one", tenancy.StateActive, tenancy.User{Name: "erin", Credentials: []tenancy.Credential{c}})
		for _, mechanism := range f.Mechanisms() {
			f.limiter = newLimiter(10)
			want := Reason("")
			if mechanism != tc.has {
				want = ReasonMechanismUnset
			}
			_, err := f.login(mechanism, at("192.0.2.1", "one"), "erin", alicePassword)
			if why := reason(t, err); why != want {
				t.Errorf("%s with a credential for %s only: %q, want %q", mechanism, tc.has, why, want)
			}
			if _, err := f.login(mechanism, at("192.0.2.1", "one"), "erin", "wrong password"); err == nil {
				t.Errorf("%s with a wrong password gets in", mechanism)
			}
		}
	}
}
