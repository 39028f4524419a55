//go:build real

package parts

import (
	"testing"
	"time"
)

func TestRedisRestore(t *testing.T) {
	r := StartRedis(t)
	r.Do("SET", "a", "old")
	dump := r.Dump()
	r.Do("SET", "a", "new")
	r.Do("SET", "b", "1")
	r.Restore(dump)
	if a, b := r.Do("GET", "a"), r.Do("GET", "b"); a != "old" || b != "" {
		t.Errorf("after the dump was restored a is %q and b %q, want old and nothing", a, b)
	}
	r.Do("SET", "a", "newest")
	r.Kill()
	r.Start()
	if a := r.Do("GET", "a"); a != "newest" {
		t.Errorf("after the next start a is %q, want newest", a)
	}
}

// What is written while replicas are frozen is lost with the master; what was written
// before is not; and the set goes on.
func TestRedisSets(t *testing.T) {
	for name, start := range map[string]func() RedisSet{
		"sentinel": func() RedisSet { return StartRedisSentinel(t) },
		"cluster":  func() RedisSet { return StartRedisCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			set := start()
			t.Log(set.URL())
			for round := range 2 {
				master := set.Masters()[round%len(set.Masters())]
				key := keyOf(t, master)
				master.Do("SET", key, "kept")
				Await(t, "the replicas have it", 10*time.Second, func() bool { return master.Do("WAIT", "1", "1000") != "0" })
				Lose(set, master, func() { master.Do("SET", key, "lost") })
				begin := time.Now()
				set.AwaitFailover(master)
				t.Logf("failover of %s took %s", master.Addr(), time.Since(begin).Round(time.Millisecond))
				if got := value(set, key); got != "kept" {
					t.Errorf("after the failover %s is %q, want kept", key, got)
				}
				set.Return(master)
				set.AwaitWhole()
			}
		})
	}
}

// keyOf is a key whose slot a node has.
func keyOf(t *testing.T, n *RedisNode) string {
	t.Helper()
	for key := range 1000 {
		key := string(rune('a'+key%26)) + string(rune('a'+key/26))
		if _, err := n.Try("GET", key); err == nil {
			return key
		}
	}
	t.Fatal("no key is at home at " + n.Addr())
	return ""
}

func value(set RedisSet, key string) string {
	for _, n := range set.Masters() {
		if out, err := n.Try("GET", key); err == nil {
			return out
		}
	}
	return ""
}

func TestRedisPromote(t *testing.T) {
	t.Run("sentinel", func(t *testing.T) {
		s := StartRedisSentinel(t)
		s.Masters()[0].Do("SET", "a", "1")
		s.Promote()
		if got := value(s, "a"); got != "1" {
			t.Errorf("a is %q after an orderly failover, want 1", got)
		}
		s.AwaitWhole()
	})
	t.Run("cluster", func(t *testing.T) {
		c := StartRedisCluster(t)
		m := c.Masters()[0]
		key := keyOf(t, m)
		m.Do("SET", key, "1")
		c.Promote(m)
		if got := value(c, key); got != "1" {
			t.Errorf("%s is %q after an orderly failover, want 1", key, got)
		}
		c.AwaitWhole()
	})
}
