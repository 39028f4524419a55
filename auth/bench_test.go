package auth

import (
	"fmt"
	"testing"
)

// The cost of a whole login, the client's part of SCRAM left out. Known and
// unknown accounts should cost the same, but for what is cached; compare them
// with benchstat, since no test can assert it.
func BenchmarkPlain(b *testing.B) {
	for name, tc := range map[string]struct {
		user, password string
	}{
		"cached":         {"alice@one", alicePassword},
		"wrong-password": {"alice@one", "wrong password"},
		"unknown-user":   {"mallory@one", "wrong password"},
		"suspended":      {"alice@asleep", "wrong password"},
	} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			token := plainToken("", tc.user, tc.password)
			for b.Loop() {
				f.limiter = newLimiter(10)
				c, _ := f.Start(Plain, at("192.0.2.1", ""))
				c.Step(token)
			}
		})
	}
}

func BenchmarkScram(b *testing.B) {
	for _, name := range []string{"alice@one", "mallory@one", "alice@asleep", "alice@three"} {
		for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
			b.Run(fmt.Sprintf("%s/%s", mechanism, name), func(b *testing.B) {
				f := newFixture(b)
				first := []byte("n,,n=" + name + ",r=client")
				for b.Loop() {
					f.limiter = newLimiter(10)
					c, _ := f.Start(mechanism, at("192.0.2.1", ""))
					reply, _, _ := c.Step(first)
					nonce := reply[2 : 2+6+32]
					c.Step([]byte("c=biws,r=" + string(nonce) + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
				}
			})
		}
	}
}

func BenchmarkNewCredentials(b *testing.B) {
	for b.Loop() {
		if _, err := NewCredentials(testPepper(), nil, alicePassword); err != nil {
			b.Fatal(err)
		}
	}
}
