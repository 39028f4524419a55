//go:build bench

package quota_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/admin"
)

// callsBound is how often a gateway may ask Redis for leases in a second, however
// many instances are busy.
const callsBound = 5.0

// calls are those for leases that each gateway has made, by its own count: what it
// asks for in one pipeline is one.
type calls []float64

// calls asks every gateway that is there; -1 of others.
func (r *rig) calls() calls {
	all := make(calls, len(r.gateways))
	for i, g := range r.gateways {
		all[i] = -1
		if !g.Ended() {
			all[i] = r.metric(g, "weir_quota_calls_total")
		}
	}
	return all
}

// rate is how many calls the busiest gateway made in a second.
func (c calls) rate(later calls, in time.Duration) (most float64) {
	for i := range c {
		most = max(most, (later[i]-c[i])/in.Seconds())
	}
	return most
}

// metric is the value of one without labels.
func (r *rig) metric(g *gateway, name string) float64 {
	r.t.Helper()
	token, err := admin.NewToken([]byte(tokenKey), admin.Claims{
		Subject: "bench", Roles: []string{"operator"}, Issued: time.Now(), Expires: time.Now().Add(time.Minute),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+g.admin+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("metrics of %s: status %d, %v", g.name, resp.StatusCode, err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n
		}
	}
	r.t.Fatalf("%s has no metric %s", g.name, name)
	return 0
}

// evalsha is how many scripts Redis has run, for leases and all else.
func (r *rig) evalsha() int64 {
	r.t.Helper()
	text, err := r.rdb.Info(r.t.Context(), "commandstats").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "cmdstat_evalsha:calls=")
	n, _, _ := strings.Cut(rest, ",")
	calls, _ := strconv.ParseInt(n, 10, 64)
	return calls
}
