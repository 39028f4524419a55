package auth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/xdg-go/stringprep"

	"weir/tenancy"
)

// fuzzFixture has alice in instance "one" only, with keys of a single
// iteration, so that an execution takes microseconds.
func fuzzFixture(tb testing.TB) *fixture {
	tb.Helper()
	quick := func(mechanism, password string, salt []byte, _ int) (stored, server []byte, err error) {
		return deriveKeys(mechanism, password, salt, 1)
	}
	alice := tenancy.User{Name: "alice"}
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		c := tenancy.Credential{Mechanism: mechanism, Salt: bytes.Repeat([]byte("s"), saltBytes), Iterations: 1}
		var err error
		if c.StoredKey, c.ServerKey, err = quick(mechanism, alicePassword, c.Salt, 1); err != nil {
			tb.Fatal(err)
		}
		alice.Credentials = append(alice.Credentials, c)
	}
	salt := bytes.Repeat([]byte("p"), saltBytes)
	alice.Credentials = append(alice.Credentials, tenancy.Credential{Mechanism: Plain, Salt: salt, StoredKey: plainHash(testPepper(), salt, alicePassword)})
	dir := &directory{views: make(map[tenancy.InstanceID]*tenancy.View)}
	dir.put("one", tenancy.StateActive, alice)
	f := &fixture{Authenticator: New(Config{Directory: dir, Pepper: []byte("pepper")}), dir: dir}
	return f
}

// check holds what every Step must keep to, and returns whether it proved anyone.
func check(t *testing.T, c *Conversation, reply []byte, done bool, err error) bool {
	t.Helper()
	switch {
	case err != nil && (reason(t, err) == "" || done || reply != nil):
		t.Fatalf("%q, %v, %v", reply, done, err)
	case done != (c.Principal() != Principal{}):
		t.Fatalf("done is %v as %v", done, c.Principal())
	case done && c.Principal() != (Principal{"one", "alice"}):
		t.Fatalf("proved to be %v", c.Principal())
	}
	return done
}

func FuzzPlain(f *testing.F) {
	for _, token := range []string{
		"\x00alice@one\x00" + alicePassword, "\x00alice@one\x00wrong password", "alice@one\x00alice@one\x00" + alicePassword,
		"\x00mallory\x00x", "\x00@\x00x", "\x00\x00", "", "\x00alice@one@one\x00x", "\x00alice@one\x00\u0627x",
	} {
		f.Add([]byte(token))
	}
	fix := fuzzFixture(f)
	f.Fuzz(func(t *testing.T, token []byte) {
		fix.limiter = newLimiter(10)
		c, _ := fix.Start(Plain, at("192.0.2.1", ""))
		reply, done, err := c.Step(token)

		part := strings.Split(string(token), "\x00")
		want := len(part) == 3 && part[1] == "alice@one" && (part[0] == "" || part[0] == part[1])
		if want {
			prepared, err := stringprep.SASLprep.Prepare(part[2])
			want = err == nil && prepared == alicePassword
		}
		if check(t, c, reply, done, err) != want {
			t.Errorf("%q: done is %v", token, done)
		}
	})
}

// Whatever two messages come, without a proof made for this conversation they get nowhere.
func FuzzScram(f *testing.F) {
	for _, first := range []string{
		"n,,n=alice@one,r=x", "y,a=alice@one,n=alice@one,r=x", "p=tls-unique,,n=alice@one,r=x",
		"n,,n=mallory@one,r=x", "n,,n==2C=3D,r=x", "n,,m=x,n=alice,r=x", ",,,,", "n,,n=alice@one,r=x,tokenauth=true",
	} {
		f.Add([]byte(first), []byte("c=biws,r=x,p=AAAA"), true)
		f.Add([]byte(first), []byte("c=biws,r=NONCE,x=y,p=AAAA"), false)
	}
	fix := fuzzFixture(f)
	f.Fuzz(func(t *testing.T, first, final []byte, long bool) {
		fix.limiter = newLimiter(10)
		mechanism := ScramSHA256
		if long {
			mechanism = ScramSHA512
		}
		c, _ := fix.Start(mechanism, at("192.0.2.1", ""))
		reply, done, err := c.Step(first)
		if check(t, c, reply, done, err) {
			t.Fatalf("done after %q", first)
		}
		nonce, _, _ := bytes.Cut(bytes.TrimPrefix(reply, []byte("r=")), []byte(","))
		reply, done, err = c.Step(bytes.ReplaceAll(final, []byte("NONCE"), nonce))
		if check(t, c, reply, done, err) || err == nil {
			t.Fatalf("%q, then %q: %q, %v, %v", first, final, reply, done, err)
		}
	})
}

// A client that knows the password succeeds with the one right final message
// and with no other one.
func FuzzScramFinal(f *testing.F) {
	const right = "c=biws,r=NONCE,p=PROOF"
	for _, final := range []string{
		right, "c=biws,r=NONCE,x=y,p=PROOF", "c=eSws,r=NONCE,p=PROOF", "c=biws,r=NONCE,p=PROOF\n", "c=biws,r=NONCE,p=", "p=PROOF", "",
	} {
		f.Add([]byte(final))
	}
	fix := fuzzFixture(f)
	f.Fuzz(func(t *testing.T, template []byte) {
		fix.limiter = newLimiter(10)
		client, err := scramHash(ScramSHA256).NewClientUnprepped("alice@one", alicePassword, "")
		if err != nil {
			t.Fatal(err)
		}
		conv := client.WithMinIterations(1).NewConversation()
		first, _ := conv.Step("")
		c, _ := fix.Start(ScramSHA256, at("192.0.2.1", ""))
		reply, _, err := c.Step([]byte(first))
		if err != nil {
			t.Fatal(err)
		}
		message, err := conv.Step(string(reply))
		if err != nil {
			t.Fatal(err)
		}
		nonce, proof, _ := strings.Cut(strings.TrimPrefix(message, "c=biws,r="), ",p=")
		final := strings.NewReplacer("NONCE", nonce, "PROOF", proof).Replace(string(template))
		reply, done, err := c.Step([]byte(final))
		if check(t, c, reply, done, err) != (string(template) == right) {
			t.Errorf("%q: done is %v, %v", template, done, err)
		}
	})
}
