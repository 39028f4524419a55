//go:build real

package e2e

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/metering"
	"weir/tenancy"
)

// usageLimit is how long counts may take to be right, on whatever machine: they are
// pushed every two seconds, and after a failover of Redis within the minute.
const usageLimit = 2 * time.Minute

// usage reads what gateways have counted, as it is in the world's Redis.
type usage struct {
	t     *testing.T
	rdb   redis.UniversalClient
	store *metering.Store
	since metering.Hour
}

// usage of what is counted from now on.
func (w *world) usage() *usage {
	w.t.Helper()
	rdb := w.redisClient()
	return &usage{t: w.t, rdb: rdb, store: metering.NewStore(metering.StoreConfig{Redis: rdb}), since: metering.HourOf(time.Now())}
}

// redisClient is one of the world's Redis, whatever that is.
func (w *world) redisClient() redis.UniversalClient {
	w.t.Helper()
	o := &redis.UniversalOptions{ContextTimeoutEnabled: true}
	scheme, hosts, _ := strings.Cut(w.redisURL, "://")
	hosts, o.MasterName, _ = strings.Cut(hosts, "/")
	o.MasterName, _, _ = strings.Cut(o.MasterName, "/")
	o.Addrs = strings.Split(hosts, ",")
	switch scheme {
	case "redis":
		o.MasterName = "" // it was the database
	case "redis-cluster":
		o.IsClusterMode = true
	}
	rdb := redis.NewUniversalClient(o)
	w.t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// counts are all of an instance.
func (u *usage) counts(ctx context.Context, id string) (all []metering.Count, err error) {
	for h := u.since; h <= metering.HourOf(time.Now()); h++ {
		some, _, err := u.store.Counts(ctx, tenancy.InstanceID(id), h)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// of is what was counted of an instance: of the whole by "", and by parts of its
// breakdown. An error is that Redis does not answer.
func (u *usage) of(ctx context.Context, id string) (map[string]metering.Values, error) {
	counts, err := u.counts(ctx, id)
	if err != nil {
		return nil, err
	}
	sums := map[string]metering.Values{}
	for _, c := range counts {
		sums[c.Line.Part] = sums[c.Line.Part].Plus(c.Values)
	}
	return sums, nil
}

// settles looks until what look says is good, and prints the last it said, good or not.
func settles(t *testing.T, limit time.Duration, look func(context.Context) (text string, good bool)) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		text, good := look(ctx)
		cancel()
		switch {
		case good:
			t.Log("\n" + text)
			return
		case time.Now().After(end):
			t.Fatalf("after %s still not right:\n%s", limit, text)
		}
		<-time.After(500 * time.Millisecond)
	}
}

// metric is the sum of a gateway's metric over its labels; 0 if it has none.
func (w *world) metric(g *gateway, name string) float64 {
	w.t.Helper()
	sum, _ := w.metricNow(g, name)
	return sum
}

// metricNow is metric; not ok: there is none, or no answer.
func (w *world) metricNow(g *gateway, name string) (sum float64, ok bool) {
	w.t.Helper()
	status, text, err := w.rest(g, http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		rest, found := strings.CutPrefix(line, name)
		if !found || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "{") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndex(rest, " ")+1:]), 64)
		if err != nil {
			w.t.Fatalf("metric %q: %v", line, err)
		}
		sum, ok = sum+v, true
	}
	return sum, ok
}
