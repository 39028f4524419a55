package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func who(addr string, id tenancy.InstanceID, user string) attempt {
	return newAttempt(netip.MustParseAddr(addr), id, user)
}

// exhaust fails until nothing more is allowed, or 1000 times, and says how often that was.
func (l *limiter) exhaust(now time.Time, a attempt) (n int) {
	for ; n < 1000 && l.allow(now, a); n++ {
		l.failed(now, a)
	}
	return n
}

func TestLimiterOverTime(t *testing.T) {
	l, now, a := newLimiter(10), time.Unix(1e9, 0), who("192.0.2.1", "one", "")
	for _, step := range []struct {
		after time.Duration
		want  int // failures until it closes
	}{
		{0, 12},
		{0, 0},
		{2999 * time.Millisecond, 0},
		{time.Millisecond, 1},
		{9 * time.Second, 3},
		{36 * time.Second, 12},
		{time.Hour, 12}, // never more than the burst
	} {
		now = now.Add(step.after)
		if n := l.exhaust(now, a); n != step.want {
			t.Errorf("after %s: %d failures, want %d", step.after, n, step.want)
		}
	}
}

func TestLimiterKeys(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, tc := range map[string]struct {
		a, b   attempt
		shared bool
	}{
		"same":                     {who("192.0.2.1", "one", ""), who("192.0.2.1", "one", ""), true},
		"another user":             {who("192.0.2.1", "one", "alice"), who("192.0.2.1", "one", "bob"), true},
		"another instance":         {who("192.0.2.1", "one", ""), who("192.0.2.1", "two", ""), false},
		"known and unknown":        {who("192.0.2.1", "one", ""), who("192.0.2.1", "", ""), false},
		"another address":          {who("192.0.2.1", "one", ""), who("192.0.2.2", "one", ""), false},
		"mapped into IPv6":         {who("192.0.2.1", "one", ""), who("::ffff:192.0.2.1", "one", ""), true},
		"same /64":                 {who("2001:db8::1", "one", ""), who("2001:db8::ffff:1:2:3", "one", ""), true},
		"another /64":              {who("2001:db8::1", "one", ""), who("2001:db8:0:1::1", "one", ""), false},
		"zone":                     {who("fe80::1%eth0", "one", ""), who("fe80::1%eth1", "one", ""), true},
		"an address that is empty": {newAttempt(netip.Addr{}, "one", ""), newAttempt(netip.Addr{}, "one", ""), true},
	} {
		l := newLimiter(10)
		l.exhaust(now, tc.a)
		if shared := !l.allow(now, tc.b); shared != tc.shared {
			t.Errorf("%s: shared is %v", name, shared)
		}
	}
}

func TestLimiterFriends(t *testing.T) {
	l, now := newLimiter(10), time.Unix(1e9, 0)
	alice, bob, anybody := who("192.0.2.1", "one", "alice"), who("192.0.2.1", "one", "bob"), who("192.0.2.1", "one", "")
	l.succeeded(alice)
	if n := l.exhaust(now, bob); n != 12 {
		t.Errorf("a stranger failed %d times", n)
	}
	if l.allow(now, anybody) || !l.allow(now, alice) {
		t.Error("alice is shut out by a stranger behind her address, or the stranger is let in")
	}
	if n := l.exhaust(now, alice); n != 120 {
		t.Errorf("alice failed %d times", n)
	}
	l.succeeded(alice) // by another connection: no tokens back
	if l.allow(now, alice) {
		t.Error("a success has paid for failures")
	}
	if l.allow(now, who("192.0.2.2", "one", "alice")) == false || len(l.friends.byKey) != 1 {
		t.Error("alice is a friend, or shut out, elsewhere too")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l, now := newLimiter(100), time.Unix(1e9, 0)
	friend := who("192.0.2.1", "one", "alice")
	l.succeeded(friend)
	for i := range 1000 {
		l.failed(now, who(fmt.Sprintf("2001:db8:0:%x::1", i), "one", ""))
	}
	if n := l.strangers.len(); n != 100 || len(l.strangers.byKey) != n {
		t.Errorf("%d strangers are kept", n)
	}
	if _, ok := l.friends.peek(friend); !ok {
		t.Error("strangers have pushed a friend out")
	}
	if _, ok := l.strangers.peek(who("2001:db8:0:3e7::1", "one", "").stranger()); !ok {
		t.Error("the newest has been forgotten")
	}
}

// However attempts and time are mixed, no window admits more failures than the
// burst and what has come back in it.
func TestLimiterNeverAdmitsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, start, a := newLimiter(10), time.Unix(1e9, 0), who("192.0.2.1", "one", "")
		now, admitted := start, 0
		for range rapid.IntRange(1, 200).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "pause")))
			if l.allow(now, a) {
				l.failed(now, a)
				admitted++
			}
			if most := 12 + int(now.Sub(start)/(3*time.Second)); admitted > most {
				t.Fatalf("%d failures in %s", admitted, now.Sub(start))
			}
		}
	})
}

// S09: spraying is blocked, a known client passes, and time heals.
func TestSprayAndKnownClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		nat := at("192.0.2.1", "")
		mustLogin := func(mechanism, name string) {
			t.Helper()
			if _, err := f.login(mechanism, nat, name, alicePassword); err != nil {
				t.Errorf("%s as %s: %v", mechanism, name, err)
			}
		}
		mustLogin(ScramSHA512, "alice@one")
		for i := range 30 {
			want := ReasonUserUnknown
			if i >= 12 {
				want = ReasonRateLimited
			}
			_, err := f.login(f.Mechanisms()[i%3], nat, fmt.Sprintf("user%d@one", i), "guess-guess")
			if why := reason(t, err); why != want {
				t.Errorf("guess %d: %q, want %q", i, why, want)
			}
		}
		for _, mechanism := range f.Mechanisms() {
			mustLogin(mechanism, "alice@one")
		}
		if _, err := f.login(Plain, nat, "bob@one", bobPassword); reason(t, err) != ReasonRateLimited {
			t.Errorf("bob, not known there: %v", err)
		}
		if _, err := f.login(Plain, at("192.0.2.2", ""), "bob@one", bobPassword); err != nil {
			t.Errorf("bob from elsewhere: %v", err)
		}
		time.Sleep(3 * time.Second) // virtual
		if _, err := f.login(Plain, nat, "bob@one", bobPassword); err != nil {
			t.Errorf("bob after a pause: %v", err)
		}
	})
}

// An instance that there is not is counted as if there were: otherwise what
// failures elsewhere do to it would tell.
func TestUnknownInstancesAreCountedLikeOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // failures are forgotten with time
		f := newFixture(t)
		fail := func(instance string, want Reason) {
			t.Helper()
			_, err := f.login(ScramSHA256, at("192.0.2.1", ""), "nobody@"+instance, "guess-guess")
			if why := reason(t, err); why != want {
				t.Errorf("%s: %q, want %q", instance, why, want)
			}
		}
		for range 12 {
			fail("made-up", ReasonInstanceUnknown)
			fail("one", ReasonUserUnknown)
		}
		for range 2 {
			fail("made-up", ReasonRateLimited)
			fail("one", ReasonRateLimited)
			fail("another", ReasonInstanceUnknown)
			fail("two", ReasonUserUnknown)
		}
	})
}

// Names that are made up take no more room than there are slots.
func TestMadeUpNamesAreBounded(t *testing.T) {
	l, now := newLimiter(maxTracked), time.Unix(1e9, 0)
	for i := range 10_000 {
		l.failed(now, who("192.0.2.1", tenancy.InstanceID(fmt.Sprint("made-up-", i)), ""))
	}
	if n := l.strangers.len(); n != strangerSlots {
		t.Errorf("%d buckets for one address", n)
	}
}

// Garbage counts too, by the endpoint's instance.
func TestMalformedTokensAreCounted(t *testing.T) {
	f := newFixture(t)
	for i := range 13 {
		c, _ := f.Start(f.Mechanisms()[i%3], at("192.0.2.1", "one"))
		want := ReasonMalformed
		if i == 12 {
			want = ReasonRateLimited
		}
		if _, _, err := c.Step([]byte("garbage")); reason(t, err) != want {
			t.Errorf("token %d: %v, want %q", i, err, want)
		}
	}
	if _, err := f.login(ScramSHA256, at("192.0.2.1", "one"), "alice", alicePassword); reason(t, err) != ReasonRateLimited {
		t.Errorf("a login there after it: %v", err)
	}
	if _, err := f.login(ScramSHA256, at("192.0.2.1", "two"), "alice", "another password"); err != nil {
		t.Errorf("a login at another instance: %v", err)
	}
}

// Conversations begun together before any has failed do not get around the limit.
func TestParallelGuessesAreLimited(t *testing.T) {
	f := newFixture(t)
	const n = 100
	var final [n]*Conversation
	var nonce [n]string
	for i := range n {
		final[i], nonce[i], _ = f.begin(t, ScramSHA256, at("192.0.2.1", "one"), "alice")
	}
	checked := 0
	for i, c := range final {
		_, _, err := c.Step([]byte("c=biws,r=" + nonce[i] + ",p=AAAA"))
		if reason(t, err) == ReasonPasswordWrong {
			checked++
		}
	}
	if checked != 12 {
		t.Errorf("SCRAM: %d of %d guesses were checked", checked, n)
	}

	hashes := f.countHashes()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			f.login(Plain, at("192.0.2.2", "one"), "alice", fmt.Sprintf("guess number %d", i))
		})
	}
	wg.Wait()
	if most := int64(12 + cap(f.plainSlots.common)); hashes.Load() > most {
		t.Errorf("PLAIN: %d of %d guesses were checked, want at most %d", hashes.Load(), n, most)
	}
}

// The first message of a handshake is refused where every login would be, and where
// too many came to nothing; where somebody has logged in from there it never is.
func TestHandshakesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		enter := func(addr string, id tenancy.InstanceID, want Reason) (paid bool) {
			t.Helper()
			paid, why := f.Enter(at(addr, id))
			if why != want {
				t.Errorf("%s at %q: %q, want %q", addr, id, why, want)
			}
			return paid
		}
		for _, id := range []tenancy.InstanceID{"one", "made-up"} { // there or not
			for range 12 {
				f.login(ScramSHA256, at("192.0.2.1", id), "nobody", "guess-guess")
			}
			enter("192.0.2.1", id, ReasonRateLimited)
		}
		enter("192.0.2.1", "two", "")
		enter("192.0.2.1", "", "")
		enter("192.0.2.2", "one", "")

		// A friend passes, at its instance only.
		f.Entered(Principal{"one", "alice"}, at("192.0.2.1", "one"), false)
		if paid := enter("192.0.2.1", "one", ""); paid {
			t.Error("a friend has been charged")
		}
		enter("192.0.2.1", "made-up", ReasonRateLimited)

		// Of a /64 so many come to nothing at once, and 50 a second later.
		for i := range 2000 {
			if !enter(fmt.Sprintf("2001:db8::%x", i), "one", "") {
				t.Fatal("a stranger is not charged")
			}
		}
		enter("2001:db8::1", "one", ReasonHandshakes)
		enter("2001:db8::1", "made-up", ReasonHandshakes)
		enter("2001:db8::1", "", ReasonHandshakes)
		enter("2001:db8:0:1::1", "one", "")
		f.Entered(Principal{"two", "alice"}, at("2001:db8::2", "two"), true) // one of them has logged in
		enter("2001:db8::1", "one", "")
		enter("2001:db8::1", "one", ReasonHandshakes)
		time.Sleep(time.Second) // virtual
		for range 50 {
			enter("2001:db8::1", "one", "")
		}
		enter("2001:db8::1", "one", ReasonHandshakes)
		enter("2001:db8::1", "two", "")
	})
}

// Thousands of good clients behind one address start together, also for the first time.
func TestManyGoodClientsStart(t *testing.T) {
	f := newFixture(t)
	waiting := 0
	for i := range 10_000 {
		id := tenancy.InstanceID(fmt.Sprint("i-", i%100)) // of many instances, each new there
		paid, why := f.Enter(at("192.0.2.1", id))
		if why != "" {
			t.Fatalf("client %d: %q", i, why)
		}
		if waiting++; paid && waiting > 1000 { // as many as may be at it at once
			f.Entered(Principal{id, "u"}, at("192.0.2.1", id), true)
		}
	}
}
