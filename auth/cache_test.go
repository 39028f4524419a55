package auth

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// countDerivations counts from now on how often keys are derived for PLAIN.
func (f *fixture) countDerivations() *atomic.Int64 {
	var n atomic.Int64
	derive := f.verifier.derive
	f.verifier.derive = func(mechanism, password string, salt []byte, iter int) (stored, server []byte, err error) {
		n.Add(1)
		return derive(mechanism, password, salt, iter)
	}
	return &n
}

func TestPlainDerivesOncePerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.verifier.slots = newSlots(16, patience) // so that many ask at the same moment
		derivations := f.countDerivations()
		burst := func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for _, step := range []struct {
			after time.Duration
			want  int64
		}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {time.Hour, 3}} {
			time.Sleep(step.after) // virtual
			burst()
			if n := derivations.Load(); n != step.want {
				t.Errorf("after %s more: %d derivations, want %d", step.after, n, step.want)
			}
		}
	})
}

// What is wrong, or unknown, costs one derivation each time, known or not.
func TestPlainFailuresCostTheSame(t *testing.T) {
	f := newFixture(t)
	derivations := f.countDerivations()
	for i, name := range []string{"alice@one", "mallory@one", "carol@one", "dave@one", "alice@asleep", "alice@dying", "alice@three", "alice", "@"} {
		before := derivations.Load()
		for range 2 {
			f.login(Plain, at(fmt.Sprintf("192.0.2.%d", i), ""), name, "wrong password")
		}
		if n := derivations.Load() - before; n != 2 {
			t.Errorf("%s: %d derivations for two failures", name, n)
		}
	}
	if n := f.verifier.right.len(); n != 0 {
		t.Errorf("%d verdicts are kept", n)
	}
	// When limited, nothing is derived.
	f.limiter.exhaust(time.Now(), who("192.0.2.99", "one", ""))
	before := derivations.Load()
	f.login(Plain, at("192.0.2.99", "one"), "alice", alicePassword)
	if derivations.Load() != before {
		t.Error("a limited client has made us derive")
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	v := newVerifier(func() time.Time { return now })
	for i := range maxVerdicts + 100 {
		v.remember(fingerprint{byte(i), byte(i >> 8)}, 0)
	}
	if n := v.right.len(); n != maxVerdicts {
		t.Errorf("%d verdicts are kept", n)
	}
	now = now.Add(verdictTTL)
	v.remember(fingerprint{1, 2, 3}, 0)
	if n := v.right.len(); n != 1 {
		t.Errorf("%d verdicts are kept after all but one expired", n)
	}
}

func TestFingerprintTellsEverythingApart(t *testing.T) {
	v := newVerifier(time.Now)
	cred := tenancy.Credential{Mechanism: ScramSHA256, Salt: []byte("salt"), StoredKey: []byte("key"), Iterations: 8192}
	claims := map[string]claim{"same": {instance: "one", creds: pair{cred, cred}}}
	for name, change := range map[string]func(*claim){
		"instance":   func(c *claim) { c.instance = "two" },
		"salt":       func(c *claim) { c.creds[0].Salt = []byte("salt2") },
		"stored key": func(c *claim) { c.creds[0].StoredKey = []byte("key2") },
		"older key":  func(c *claim) { c.creds[1].StoredKey = []byte("key2") },
		"iterations": func(c *claim) { c.creds[0].Iterations++ },
		"boundaries": func(c *claim) { c.creds[0].Salt, c.creds[0].StoredKey = []byte("saltk"), []byte("ey") },
	} {
		c := claims["same"]
		change(&c)
		claims[name] = c
	}
	seen := make(map[fingerprint]string)
	for name, c := range claims {
		for _, password := range []string{"password one", "password two"} {
			fp := v.fingerprint(c, password)
			if other, ok := seen[fp]; ok {
				t.Errorf("%s and %s have one fingerprint", name, other)
			}
			seen[fp] = name
		}
	}
	if newVerifier(time.Now).fingerprint(claims["same"], "x") == v.fingerprint(claims["same"], "x") {
		t.Error("two processes have one fingerprint")
	}
}

// A flood on one instance takes its half of the slots; another instance gets in at once.
func TestSlotsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(4, patience)
		const work = time.Second
		var flooded, busy atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				release, ok := s.acquire("flooded")
				if !ok {
					busy.Add(1)
					return
				}
				time.Sleep(work) // virtual
				flooded.Add(1)
				release()
			})
		}
		synctest.Wait()
		if n := len(s.common); n != 2 {
			t.Errorf("the flood holds %d of 4 slots", n)
		}
		began := time.Now()
		release, ok := s.acquire("quiet")
		if waited := time.Since(began); !ok || waited != 0 {
			t.Fatalf("the quiet instance has a slot: %v, after %s", ok, waited)
		}
		release()
		wg.Wait()
		// 3 s of patience: two at a time, at 0, 1, 2 and possibly 3 s.
		if done := flooded.Load(); done < 6 || done > 8 || done+busy.Load() != 20 {
			t.Errorf("%d of 20 done, %d turned away", done, busy.Load())
		}
		if len(s.instances) != 0 || len(s.common) != 0 {
			t.Errorf("left behind: %d instances, %d slots", len(s.instances), len(s.common))
		}
	})
}

// Who gives up leaves its place to who waits behind it.
func TestSlotsPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, patience)
		release, _ := s.acquire("two")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, ok := s.acquire("one"); ok {
				t.Error("the first has a slot that is taken")
			}
		})
		time.Sleep(time.Second) // virtual
		wg.Go(func() {
			release, ok := s.acquire("one")
			if !ok {
				t.Error("the second has no slot although one is free")
				return
			}
			release()
		})
		time.Sleep(patience - time.Second/2) // virtual: the first has gone, the second waits
		release()
		wg.Wait()
	})
}

func TestOneSlotIsEnough(t *testing.T) {
	s := newSlots(1, time.Minute)
	for _, id := range []tenancy.InstanceID{"one", "two", ""} {
		release, ok := s.acquire(id)
		if !ok {
			t.Fatalf("%q got no slot", id)
		}
		release()
	}
}

// When no slot is free in time nothing is derived, nothing is charged.
func TestBusyIsNotCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		n := runtime.GOMAXPROCS(0)
		var releases []func()
		for i := range n { // every slot, by two instances that are not ours
			release, ok := f.verifier.slots.acquire(tenancy.InstanceID(fmt.Sprint("x", i)))
			if !ok {
				t.Fatal("no slot")
			}
			releases = append(releases, release)
		}
		derivations := f.countDerivations()
		began := time.Now()
		_, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword)
		if why := reason(t, err); why != ReasonBusy || time.Since(began) != patience || derivations.Load() != 0 {
			t.Errorf("%v after %s, %d derivations", err, time.Since(began), derivations.Load())
		}
		if f.limiter.strangers.len() != 0 {
			t.Error("the client was charged for it")
		}
		for _, release := range releases {
			release()
		}
		if _, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword); err != nil {
			t.Error(err)
		}
	})
}
