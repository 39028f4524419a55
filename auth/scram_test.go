package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/sasl"
	kscram "github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/tenancy"
)

// begin sends the first message of a client and returns salt and nonce of the reply.
func (f *fixture) begin(t *testing.T, mechanism string, peer Peer, name string) (c *Conversation, nonce, salt string) {
	t.Helper()
	c, _ = f.Start(mechanism, peer)
	reply, done, err := c.Step([]byte("n,,n=" + name + ",r=client"))
	if err != nil || done {
		t.Fatalf("%s: done is %v, %v", name, done, err)
	}
	// 32 characters of nonce after the client's.
	m := regexp.MustCompile(`^r=(client[A-Za-z0-9+/]{32}),s=([A-Za-z0-9+/]+=*),i=([0-9]+)$`).FindSubmatch(reply)
	if m == nil || !usual(string(m[2]), string(m[3])) {
		t.Fatalf("%s: the reply has another shape: %q", name, reply)
	}
	return c, string(m[1]), string(m[2])
}

// usual reports whether salt and iterations are of a form in the table.
func usual(salt, iterations string) bool {
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(forms[:], func(f form) bool {
		if strconv.Itoa(f.iterations) != iterations {
			return false
		}
		if f.salt == 0 {
			return len(raw) > 16 && len(raw) <= 26 && strings.Trim(string(raw), "0123456789abcdefghijklmnopqrstuvwxyz") == ""
		}
		return len(raw) == f.salt
	})
}

// An account that is missing or barred cannot be told from a wrong password:
// the same shape, a salt that stays, the same failure.
func TestScramUnknownLooksKnown(t *testing.T) {
	f := newFixture(t)
	other := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: []byte("pepper")}), dir: f.dir}
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		proof := strings.Repeat("AAAA", newHash(mechanism)().Size()/3) + map[string]string{ScramSHA256: "AAA=", ScramSHA512: "AA=="}[mechanism]
		for i, name := range []string{
			"alice@one", "mallory@one", "carol@one", "dave@one", "alice@asleep", "alice@dying", "alice@three", "alice", "@", "=2C@=3D",
		} {
			peer := at("192.0.2."+string(rune('1'+i%9)), "")
			c, nonce, salt := f.begin(t, mechanism, peer, name)
			if _, _, again := other.begin(t, mechanism, peer, name); again != salt {
				t.Errorf("%s: another gateway has salt %s, this one %s", name, again, salt)
			}
			reply, done, err := c.Step([]byte("c=biws,r=" + nonce + ",p=" + proof))
			if reply != nil || done || !errors.Is(err, ErrFailed) {
				t.Errorf("%s: %q, %v, %v", name, reply, done, err)
			}
		}
	}
}

func TestScramSaltDoesNotTellTheState(t *testing.T) {
	f := newFixture(t)
	alice := newUser(t, "alice", alicePassword)
	salts := make(map[string]bool)
	for _, state := range []tenancy.State{tenancy.StateActive, tenancy.StateSuspended, tenancy.StateDeleting} {
		for _, alice.Disabled = range []bool{false, true} {
			f.dir.put("one", state, alice)
			_, _, byName := f.begin(t, ScramSHA256, at("192.0.2.1", ""), "alice@one")
			_, _, byEndpoint := f.begin(t, ScramSHA256, at("192.0.2.1", "one"), "alice")
			salts[byName], salts[byEndpoint] = true, true
		}
	}
	if len(salts) != 1 {
		t.Errorf("one account shows %d salts", len(salts))
	}
	_, _, byName := f.begin(t, ScramSHA256, at("192.0.2.1", ""), "mallory@one")
	_, _, byEndpoint := f.begin(t, ScramSHA256, at("192.0.2.1", "one"), "mallory")
	if byName != byEndpoint {
		t.Error("an unknown user's salt depends on where it is asked")
	}
}

func TestScramFranzClient(t *testing.T) {
	f := newFixture(t)
	for name, tc := range map[string]struct {
		auth kscram.Auth
		why  Reason
	}{
		"right":            {kscram.Auth{User: "alice", Pass: alicePassword}, ""},
		"escapes":          {kscram.Auth{User: "bob", Pass: bobPassword}, ""},
		"with instance":    {kscram.Auth{User: "alice@one", Pass: alicePassword}, ""},
		"authzid another":  {kscram.Auth{Zid: "bob", User: "alice", Pass: alicePassword}, ReasonAuthzID},
		"authzid unknown":  {kscram.Auth{Zid: "bob", User: "mallory", Pass: alicePassword}, ReasonAuthzID},
		"wrong":            {kscram.Auth{User: "alice", Pass: "wrong password"}, ReasonPasswordWrong},
		"name with escape": {kscram.Auth{User: "a=b,c", Pass: alicePassword}, ReasonUserUnknown},
	} {
		for _, m := range []sasl.Mechanism{tc.auth.AsSha256Mechanism(), tc.auth.AsSha512Mechanism()} {
			t.Run(name+"/"+m.Name(), func(t *testing.T) {
				f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: []byte("p")})}
				c, _ := f.Start(m.Name(), at("192.0.2.1", "one"))
				session, message, err := m.Authenticate(context.Background(), "")
				for trusted := false; err == nil && !trusted; {
					var reply []byte
					if reply, _, err = c.Step(message); err != nil {
						break
					}
					var clientErr error
					if trusted, message, clientErr = session.Challenge(reply); clientErr != nil {
						t.Fatal(clientErr)
					}
				}
				if why := reason(t, err); why != tc.why || (c.Principal() == Principal{}) != (why != "") {
					t.Errorf("%v as %v, want %q", err, c.Principal(), tc.why)
				}
			})
		}
	}
}

// franz-go sends the header of no authzid in its final message even with one,
// which RFC 5802 section 7 forbids; hence the other client here.
func TestScramAuthzID(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"alice", "alice@one", "bob"} {
		c, _ := f.Start(ScramSHA256, at("192.0.2.1", "one"))
		client, _ := scramHash(ScramSHA256).NewClientUnprepped("alice", alicePassword, name)
		conv := client.NewConversation()
		first, _ := conv.Step("")
		reply, _, err := c.Step([]byte(first))
		if name != "alice" {
			if reason(t, err) != ReasonAuthzID {
				t.Errorf("alice as %s: %v", name, err)
			}
			continue
		}
		final, _ := conv.Step(string(reply))
		if _, done, err := c.Step([]byte(final)); err != nil || !done {
			t.Errorf("alice as herself: %v", err)
		}
	}
}

func TestScramFirstMessages(t *testing.T) {
	f := newFixture(t)
	for message, want := range map[string]Reason{
		"n,,n=alice,r=x":                 "",
		"y,,n=alice,r=x":                 "", // could bind, and sees that we do not offer it
		"n,a=alice,n=alice,r=x":          "",
		"n,,n=alice,r=x,tokenauth=false": "", // unknown extensions are to be ignored
		"p=tls-unique,,n=alice,r=x":      ReasonChannelBinding,
		"p=tls-exporter,,n=alice,r=x":    ReasonChannelBinding,
		"p=,,n=alice,r=x":                ReasonChannelBinding,
		"n,a=bob,n=alice,r=x":            ReasonAuthzID,
		"":                               ReasonMalformed,
		",,,":                            ReasonMalformed,
		"n,,n=alice":                     ReasonMalformed,
		"n,,n=alice,r=":                  ReasonMalformed,
		"n,,n=alice,r=,ext=1":            ReasonMalformed,
		"n,,n=,r=x":                      ReasonMalformed,
		"n,,m=ext,n=alice,r=x":           ReasonMalformed,
		"n,,n=al=ice,r=x":                ReasonMalformed,
		"n,,n=alice\x00,r=x":             ReasonMalformed,
		"n,,n=alice\xff,r=x":             ReasonMalformed,
		"x,,n=alice,r=x":                 ReasonMalformed,
		"n,b=bob,n=alice,r=x":            ReasonMalformed,
		"n,,r=x,n=alice":                 ReasonMalformed,
		"\x00alice\x00password":          ReasonMalformed, // PLAIN
		"n,,n=" + strings.Repeat("a", 256) + ",r=x":     ReasonMalformed,
		"n,,n=alice,r=" + strings.Repeat("x", maxToken): ReasonMalformed,
	} {
		f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: []byte("p")})}
		c, _ := f.Start(ScramSHA256, at("192.0.2.1", "one"))
		reply, done, err := c.Step([]byte(message))
		if why := reason(t, err); why != want || done || (reply == nil) != (why != "") {
			t.Errorf("%.40q: %q, %v, %v, want %q", message, reply, done, err, want)
		}
	}
}

// finalFor plays alice's first message and returns her right final one.
func finalFor(t *testing.T, f *fixture) (c *Conversation, final string) {
	t.Helper()
	c, _ = f.Start(ScramSHA256, at("192.0.2.1", "one"))
	client, _ := scramHash(ScramSHA256).NewClientUnprepped("alice", alicePassword, "")
	conv := client.NewConversation()
	first, _ := conv.Step("")
	reply, _, err := c.Step([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	if final, err = conv.Step(string(reply)); err != nil {
		t.Fatal(err)
	}
	return c, final
}

func TestScramFinalMessages(t *testing.T) {
	f := newFixture(t)
	_, foreign := finalFor(t, f)
	for name, change := range map[string]func(string) string{
		"empty":                   func(string) string { return "" },
		"proof cut":               func(s string) string { return s[:len(s)-4] },
		"no proof":                func(s string) string { return s[:strings.LastIndex(s, ",p=")] },
		"empty proof":             func(s string) string { return s[:strings.LastIndex(s, ",p=")] + ",p=" },
		"proof not base64":        func(s string) string { return s[:len(s)-2] + "!!" },
		"proof too long":          func(s string) string { return s[:len(s)-1] + "AAAA=" },
		"another conversation's":  func(string) string { return foreign },
		"nonce cut":               func(s string) string { return strings.Replace(s, ",p=", "", 1) },
		"client's nonce only":     func(s string) string { return regexp.MustCompile(`r=.{10}[^,]*`).ReplaceAllString(s, "r=x") },
		"nonce with more":         func(s string) string { return strings.Replace(s, ",p=", "x,p=", 1) },
		"extension not signed":    func(s string) string { return strings.Replace(s, ",p=", ",x=y,p=", 1) },
		"another header":          func(s string) string { return strings.Replace(s, "c=biws", "c=eSws", 1) },
		"binding of a channel":    func(s string) string { return strings.Replace(s, "c=biws", "c=cD10bHMtdW5pcXVlLCwA", 1) },
		"line break in the proof": func(s string) string { return s[:len(s)-9] + "\n" + s[len(s)-9:] },
		"first message once more": func(string) string { return "n,,n=alice,r=x" },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{Authenticator: New(Config{Directory: f.dir, Pepper: []byte("p")})}
			want := ReasonPasswordWrong
			if strings.Contains(name, "line break") {
				want = ReasonMalformed
			}
			c, final := finalFor(t, f)
			reply, done, err := c.Step([]byte(change(final)))
			if reply != nil || done || reason(t, err) != want {
				t.Fatalf("%q, %v, %v", reply, done, err)
			}
			if _, done, err := c.Step([]byte(final)); done || reason(t, err) != ReasonConversationEnded {
				t.Errorf("the right message after it: %v, %v", done, err)
			}
		})
	}
	c, final := finalFor(t, f)
	if _, done, err := c.Step([]byte(final)); err != nil || !done {
		t.Errorf("unchanged: %v, %v", done, err)
	}
}

func TestScramWithoutRandomness(t *testing.T) {
	f := newFixture(t)
	a := New(Config{Directory: f.dir, Pepper: []byte("p"), Rand: iotest.ErrReader(errors.New("no entropy"))})
	c, _ := a.Start(ScramSHA256, at("192.0.2.1", "one"))
	if _, _, err := c.Step([]byte("n,,n=alice,r=x")); reason(t, err) != ReasonNonceUnobtainable {
		t.Errorf("got %v", err)
	}
}
