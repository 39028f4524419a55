package auth

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// countHashes counts from now on how often a PLAIN password is hashed.
func (f *fixture) countHashes() *atomic.Int64 {
	var n atomic.Int64
	f.hash = func(pepper, salt []byte, password string) []byte {
		n.Add(1)
		return plainHash(pepper, salt, password)
	}
	return &n
}

// Every attempt costs one hash, whoever is meant and whatever is wrong.
func TestPlainCostsTheSame(t *testing.T) {
	f := newFixture(t)
	hashes := f.countHashes()
	for i, name := range []string{"alice@one", "mallory@one", "carol@one", "dave@one", "alice@asleep", "alice@dying", "alice@three", "alice", "@"} {
		for _, password := range []string{alicePassword, "wrong password"} {
			before := hashes.Load()
			f.login(Plain, at(fmt.Sprintf("192.0.2.%d", i), ""), name, password)
			if n := hashes.Load() - before; n != 1 {
				t.Errorf("%s with %q: %d hashes", name, password, n)
			}
		}
	}
	// When limited, nothing is hashed.
	f.limiter.exhaust(time.Now(), who("192.0.2.99", "one", ""))
	before := hashes.Load()
	f.login(Plain, at("192.0.2.99", "one"), "alice", alicePassword)
	if hashes.Load() != before {
		t.Error("a limited client has made us hash")
	}
}

// A hash opens nothing under another pepper, and no other salt's.
func TestPlainHashIsKeyed(t *testing.T) {
	seen := map[string]string{}
	for name, h := range map[string][]byte{
		"as it is":         plainHash([]byte("pepper"), []byte("salt"), "password"),
		"another pepper":   plainHash([]byte("pepper2"), []byte("salt"), "password"),
		"another salt":     plainHash([]byte("pepper"), []byte("salt2"), "password"),
		"another password": plainHash([]byte("pepper"), []byte("salt"), "password2"),
		"boundaries":       plainHash([]byte("pepper"), []byte("saltp"), "assword"),
	} {
		if other, ok := seen[string(h)]; ok || len(h) != 32 {
			t.Errorf("%s and %s: %d bytes", name, other, len(h))
		}
		seen[string(h)] = name
	}
}
