package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestRedisWords(t *testing.T) {
	type want struct {
		addrs    []string
		master   string
		user     string
		password string
		db       int
		cluster  bool
		tls      bool
	}
	for _, c := range []struct {
		url  string
		want want
		err  string
	}{
		{url: "redis://h:6380", want: want{addrs: []string{"h:6380"}}},
		{url: "redis://h", want: want{addrs: []string{"h:6379"}}},
		{url: "redis://[::1]", want: want{addrs: []string{"[::1]:6379"}}},
		{url: "redis://[::1]:1/2", want: want{addrs: []string{"[::1]:1"}, db: 2}},
		{url: "rediss://u:p%40ss@h:1/7", want: want{addrs: []string{"h:1"}, user: "u", password: "p@ss", db: 7, tls: true}},
		{url: "redis://:p@h:1", want: want{addrs: []string{"h:1"}, password: "p"}},
		{url: "redis-sentinel://a:1,b:2/mymaster", want: want{addrs: []string{"a:1", "b:2"}, master: "mymaster"}},
		{url: "rediss-sentinel://a:1/m/3", want: want{addrs: []string{"a:1"}, master: "m", db: 3, tls: true}},
		{url: "redis-cluster://a:1,b:2", want: want{addrs: []string{"a:1", "b:2"}, cluster: true}},
		{url: "redis-cluster://a:1/1", err: "database"},
		{url: "redis-sentinel://a:1", err: "master"},
		{url: "redis://a:1,b:2", err: "several hosts"},
		{url: "redis://a:1/x", err: "database"},
		{url: "http://a:1", err: "unknown scheme"},
		{url: "h:6379", err: "no scheme"},
		{url: "redis://u:%zz@h:1", err: "percent"},
	} {
		t.Run(c.url, func(t *testing.T) {
			o := &redis.UniversalOptions{}
			err := parseRedisURL(c.url, o)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error is %v, want %q in it", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := want{o.Addrs, o.MasterName, o.Username, o.Password, o.DB, o.IsClusterMode, o.TLSConfig != nil}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRedisKinds: each form makes the client of its kind.
func TestRedisKinds(t *testing.T) {
	for _, c := range []struct {
		words RedisConfig
		kind  string
	}{
		{RedisConfig{URL: "redis://h:1"}, "Redis<h:1 db:0>"},
		{RedisConfig{URL: "redis-sentinel://h:1/m"}, "Redis<FailoverClient db:0>"},
		{RedisConfig{Addrs: []string{"h:1"}, Master: "m"}, "Redis<FailoverClient db:0>"},
		{RedisConfig{URL: "redis-cluster://h:1"}, "cluster"},
		{RedisConfig{Addrs: []string{"h:1"}}, "cluster"},
		{RedisConfig{Addrs: []string{"h:1", "i:1"}}, "cluster"},
	} {
		rdb, err := c.words.client(".")
		if err != nil {
			t.Fatal(err)
		}
		kind := ""
		switch r := rdb.(type) {
		case *redis.ClusterClient:
			kind = "cluster"
		case *redis.Client:
			kind = r.String()
		}
		if kind != c.kind {
			t.Errorf("%+v makes %s, want %s", c.words, kind, c.kind)
		}
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, words := range []RedisConfig{
		{}, {URL: "redis://h:1", Master: "m"}, {URL: "redis://h:1", Addrs: []string{"h:1"}}, {Addrs: []string{"h"}}, {URL: "redis://:secret@h:1"},
	} {
		if _, err := words.options(); err == nil {
			t.Errorf("%+v was taken", words)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
