package auth

import (
	"fmt"
	"testing"
)

// Who comes by the host name of "two" with what is another instance's is the same
// work, one hash, as who has a wrong password there.
func TestOtherNamesCostTheSame(t *testing.T) {
	f := newFixture(t)
	hashes := f.countHashes()
	for i, name := range []string{
		"alice", // has that password in "one" only
		"alice@one", "bob", "bob@one", "carol@one", "mallory@one", "alice@two", "alice@three", "alice@one@two", "alice@two@one", "alice@", "@one", "@",
	} {
		before := hashes.Load()
		for range 2 {
			if _, err := f.login(Plain, at(fmt.Sprintf("192.0.2.%d", i), "two"), name, alicePassword); err == nil {
				t.Errorf("%s got in at another's name", name)
			}
		}
		if n := hashes.Load() - before; n != 2 {
			t.Errorf("%s: %d hashes for two failures", name, n)
		}
	}
}
