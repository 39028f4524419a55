package proxy

import (
	"testing"
	"testing/synctest"
	"time"
)

// A session ends with MaxReauth or with its proof, whichever comes first.
func TestLifetime(t *testing.T) {
	for name, tc := range map[string]struct {
		most, proof time.Duration // 0: none
		want        int64         // as the client is told, ms
	}{
		"neither":            {0, 0, 0},
		"only the gateway's": {time.Hour, 0, 3_600_000},
		"only the proof's":   {0, time.Minute, 60_000},
		"proof ends first":   {time.Hour, time.Minute, 60_000},
		"proof ends later":   {time.Minute, time.Hour, 60_000},
		"about to end":       {time.Hour, time.Microsecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &conn{srv: &Server{cfg: Config{MaxReauth: tc.most}}, expires: time.Now().Add(time.Second)}
				var until time.Time
				if tc.proof > 0 {
					until = time.Now().Add(tc.proof)
				}
				if got := c.startLifetime(until); got != tc.want {
					t.Errorf("%d ms, want %d", got, tc.want)
				}
				if c.expires.IsZero() != (tc.want == 0) {
					t.Errorf("ends at %v", c.expires)
				}
			})
		})
	}
}
