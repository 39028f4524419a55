//go:build real

package metering

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/internal/parts"
	"weir/tenancy"
)

// realPusher pushes what a book has to a set of Redis processes, round by round.
func realPusher(t *testing.T, url string) (*Pusher, *fakeBook, *strings.Builder) {
	t.Helper()
	o := &redis.UniversalOptions{
		DialTimeout: 500 * time.Millisecond, DialerRetries: 1, ReadTimeout: time.Second, WriteTimeout: time.Second,
		ContextTimeoutEnabled: true, MaxRetries: 1, DisableIdentity: true,
	}
	kind, rest, _ := strings.Cut(url, "://")
	hosts, master, _ := strings.Cut(rest, "/")
	o.Addrs, o.IsClusterMode = strings.Split(hosts, ","), kind == "redis-cluster"
	if kind == "redis-sentinel" {
		o.MasterName, _, _ = strings.Cut(master, "/")
	}
	rdb := redis.NewUniversalClient(o)
	t.Cleanup(func() { rdb.Close() })
	lines := &strings.Builder{}
	now := time.Now()
	book := newFakeBook("a", &now)
	return NewPusher(PusherConfig{
		Book: book, Store: NewStore(StoreConfig{Redis: rdb}), Gateway: "a", Epoch: testCount("a", 0, 0).Epoch,
		Log: slog.New(slog.NewTextHandler(lines, nil)),
	}), book, lines
}

func use(book *fakeBook, instances int) {
	for i := range instances {
		book.add(tenancy.InstanceID(fmt.Sprintf("i-%d", i)), int64(i))
	}
}

// whole reports whether Redis has what the book has.
func whole(s *Store, book *fakeBook) bool {
	all := map[string]Count{}
	for _, want := range book.counts {
		counts, _, err := s.Counts(context.Background(), want.Instance, want.Hour)
		if err != nil {
			return false
		}
		for _, c := range counts {
			all[countID(&c)] = c
		}
	}
	for id, want := range book.counts {
		if all[id] != *want {
			return false
		}
	}
	return len(book.counts) > 0
}

// What a failover, or a flush, has lost is back soon after, though most instances are
// idle from then on.
func TestRealRedisLosesUsage(t *testing.T) {
	const instances = 300
	for name, start := range map[string]func() parts.RedisSet{
		"sentinel": func() parts.RedisSet { return parts.StartRedisSentinel(t) },
		"cluster":  func() parts.RedisSet { return parts.StartRedisCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			set := start()
			p, book, lines := realPusher(t, set.(interface{ URL() string }).URL())
			round := func() { p.round(context.Background()) }
			heals := func(what string) {
				t.Helper()
				begin := time.Now()
				parts.Await(t, what, time.Minute, func() bool {
					book.add("i-0", 1) // one instance is in use
					round()
					return whole(p.cfg.Store, book)
				})
				t.Logf("%s: whole after %v", what, time.Since(begin).Round(time.Millisecond))
			}
			use(book, instances)
			heals("at the start")
			for range 2 {
				master := set.Masters()[0]
				parts.Lose(set, master, func() {
					use(book, instances)
					round() // of what it says here nobody knows afterwards
				})
				set.AwaitFailover(master)
				heals("after a failover")
				set.Return(master)
				set.AwaitWhole()
			}
			for _, master := range set.Masters() {
				master.Do("FLUSHALL")
			}
			heals("after FLUSHALL")
			t.Log(lines)
		})
	}
}

func BenchmarkPushReal(b *testing.B) { benchmarkPush(b, parts.StartUsualRedis(b).Addr()) }
