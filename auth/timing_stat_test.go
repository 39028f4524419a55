//go:build timing

package auth

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Times of failures by Welch's t test against a wrong password, 2000 of each and the
// slowest tenth left out, as dudect does; below 4.5 nothing is to be seen, and what is
// less than 100 ns apart is let pass: that is the limit over a LAN (Crosby, Wallach,
// Riedi 2009), and in this process a map that has an entry already takes 30 ns longer.
// It needs a quiet machine: go test -tags timing ./auth -run SameTime.
func TestFailuresTakeTheSameTime(t *testing.T) {
	f, passwords, keys := suspects(t)
	for _, run := range []struct {
		name      string
		mechanism string
		of        []suspect
	}{
		{"PLAIN", Plain, passwords},
		{"SCRAM-SHA-256", ScramSHA256, passwords},
		{"API key", Plain, keys},
	} {
		took := f.times(t, run.mechanism, run.of, 2000)
		for i := 1; i < len(run.of); i++ {
			score, apart := welch(took[0], took[i])
			t.Logf("%s: %s: |t| = %.2f, %.0f ns apart", run.name, run.of[i].name, score, apart)
			if score > 4.5 && apart > 100 {
				t.Errorf("%s: %s can be told from a wrong secret", run.name, run.of[i].name)
			}
		}
	}
}

// times measures n logins of each suspect in random order, nanoseconds.
func (f *fixture) times(t *testing.T, mechanism string, of []suspect, n int) [][]float64 {
	t.Helper()
	order := make([]int, 0, n*len(of))
	for i := range of {
		order = append(order, slices.Repeat([]int{i}, n)...)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	took := make([][]float64, len(of))
	for round, i := range order {
		peer := of[i].peer
		peer.From.Addr = netip.AddrFrom4([4]byte{10, byte(round >> 16), byte(round >> 8), byte(round)})
		c, _ := f.Start(mechanism, peer)
		if mechanism == Plain {
			begin := time.Now()
			_, _, err := c.Step(plainToken("", of[i].user, of[i].pass))
			took[i] = append(took[i], float64(time.Since(begin)))
			if err == nil {
				t.Fatal("a login")
			}
			continue
		}
		took[i] = append(took[i], float64(scramTime(t, c, of[i].user)))
	}
	return took
}

// scramTime is what the server's two steps take for a proof that is wrong.
func scramTime(t *testing.T, c *Conversation, user string) time.Duration {
	t.Helper()
	begin := time.Now()
	reply, _, err := c.Step([]byte("n,,n=" + user + ",r=client"))
	first := time.Since(begin)
	if err != nil {
		t.Fatal(err)
	}
	nonce, _, _ := strings.Cut(strings.TrimPrefix(string(reply), "r="), ",")
	final := []byte("c=biws,r=" + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	begin = time.Now()
	_, _, err = c.Step(final)
	if err == nil {
		t.Fatal("a login")
	}
	return first + time.Since(begin)
}

// welch is |t| of two samples, each without its slowest tenth, and how far their
// means are apart.
func welch(a, b []float64) (score, apart float64) {
	moments := func(x []float64) (mean, variance, n float64) {
		x = slices.Sorted(slices.Values(x))
		x = x[:len(x)*9/10]
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(len(x)-1)
		}
		return mean, variance, float64(len(x))
	}
	ma, va, na := moments(a)
	mb, vb, nb := moments(b)
	apart = math.Abs(ma - mb)
	return apart / math.Sqrt(va/na+vb/nb), apart
}
