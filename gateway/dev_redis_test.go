package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func openRedis(t testing.TB, file string) (*embeddedRedis, redis.UniversalClient) {
	t.Helper()
	e, err := embedRedis(t.Context(), file, discardLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.shut() })
	c := e.client()
	t.Cleanup(func() { c.Close() })
	return e, c
}

// TestRedisSurvivesKill: whatever was written and answered is in the file at
// once, for a process that is killed saves nothing more.
func TestRedisSurvivesKill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "redis.json")
	binary := string([]byte{0, 1, 0xff, '"', '\n'})
	killed, before := openRedis(t, file)
	ctx := t.Context()
	do := func(args ...any) {
		t.Helper()
		if err := before.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	do("SET", "string", binary)
	do("SET", binary, "base64:not")
	do("HSET", "hash", "f", "1", binary, "2")
	do("SADD", "set", "a", binary)
	do("ZADD", "zset", "1.5", "a", "-2e300", binary)
	do("XADD", "stream", "5-1", "k", "v", "k", "again")
	do("XADD", "stream", "9999999999999-9", binary, binary)
	do("XDEL", "stream", "9999999999999-9")
	do("XADD", "emptied", "7-0", "k", "v")
	do("XDEL", "emptied", "7-0")
	do("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", "script")
	do("SET", "lease", "me", "PX", "60000")
	do("DEL", "script")
	if _, err := before.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "tx", "1", 0)
		p.HIncrBy(ctx, "hash", "f", 41)
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	alive, after := openRedis(t, file) // the first is not closed: it was killed
	if diff := cmp.Diff(contents(t, killed, before), contents(t, alive, after)); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
	if v := after.HGet(ctx, "hash", "f").Val(); v != "42" {
		t.Errorf("hash f is %s, want 42", v)
	}
	if ttl := after.PTTL(ctx, "lease").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the lease has %s left, want at most a minute", ttl)
	}
	if id := after.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []string{"k", "v"}}).Val(); id != "9999999999999-10" {
		t.Errorf("the next id is %s, but 9999999999999-9 was given before", id)
	}
}

// TestLongPipeline: on a bare net.Pipe client and server would wait for each
// other, the one to write the last command, the other its first answer.
func TestLongPipeline(t *testing.T) {
	_, c := openRedis(t, filepath.Join(t.TempDir(), "redis.json"))
	value := strings.Repeat("v", 1000)
	const commands = 4000 // more than go-redis has buffers for
	cmds, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for range commands {
			p.Echo(t.Context(), value)
		}
		return nil
	})
	if err != nil || len(cmds) != commands {
		t.Errorf("%d answers, %v", len(cmds), err)
	}
}

// TestExpiry: time passes for keys.
func TestExpiry(t *testing.T) {
	e, c := openRedis(t, filepath.Join(t.TempDir(), "redis.json"))
	if err := c.Set(t.Context(), "k", "v", time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for e.server.Exists("k") {
		select {
		case <-time.After(expireEvery / 10):
		case <-ctx.Done():
			t.Fatal("the key never expires")
		}
	}
}

// contents reads everything, TTLs rounded away.
func contents(t testing.TB, e *embeddedRedis, rdb redis.UniversalClient) *dump {
	t.Helper()
	d, err := takeDump(t.Context(), e.server, rdb)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range d.Keys {
		k.ExpireAt /= 10_000
	}
	return d
}

// TestDumpRoundTrip: restoring a dump and dumping that gives the dump.
func TestDumpRoundTrip(t *testing.T) {
	texts := rapid.Map(rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })),
		func(s string) text { return text{s} })
	keys := rapid.MapOfN(texts, rapid.Custom(func(t *rapid.T) *dumpKey { return drawKey(t, texts) }), 0, 8)
	rapid.Check(t, func(rt *rapid.T) {
		want := &dump{Version: dumpVersion, Keys: keys.Draw(rt, "keys")}
		data, err := json.Marshal(want)
		if err != nil {
			rt.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "redis.json")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			rt.Fatal(err)
		}
		e, c := openRedis(t, file)
		got, err := takeDump(t.Context(), e.server, c)
		if err != nil {
			rt.Fatal(err)
		}
		for _, k := range got.Keys { // sets have no order
			slices.SortFunc(k.Set, compareText)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func compareText(a, b text) int { return strings.Compare(a.Raw, b.Raw) }

func drawKey(t *rapid.T, texts *rapid.Generator[text]) *dumpKey {
	k := &dumpKey{Type: rapid.SampledFrom([]string{"string", "hash", "set", "zset", "stream"}).Draw(t, "type")}
	switch k.Type {
	case "string":
		v := texts.Draw(t, "string")
		k.String = &v
	case "hash":
		k.Hash = rapid.MapOfN(texts, texts, 1, 5).Draw(t, "hash")
	case "set":
		k.Set = rapid.SliceOfNDistinct(texts, 1, 5, rapid.ID[text]).Draw(t, "set")
		slices.SortFunc(k.Set, compareText)
	case "zset":
		k.ZSet = rapid.MapOfN(texts, rapid.Float64Range(-1e300, 1e300), 1, 5).Draw(t, "zset")
	case "stream":
		id := 0
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			id += rapid.IntRange(1, 1000).Draw(t, "step")
			values := rapid.SliceOfN(texts, 1, 3).Draw(t, "values")
			k.Stream = append(k.Stream, dumpEntry{ID: fmt.Sprintf("%d-%d", id, id%3), Values: append(values, values...)})
			k.LastID = k.Stream[len(k.Stream)-1].ID
		}
		if id == 0 || rapid.Bool().Draw(t, "gone") {
			k.LastID = fmt.Sprintf("%d-7", id+1)
		}
	}
	return k
}

func TestDamagedRedisFile(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON": "{", "newer": `{"version":2}`, "unknown type": `{"version":1,"keys":{"a":{"type":"list"}}}`,
		"no value": `{"version":1,"keys":{"a":{"type":"string"}}}`, "base64": `{"version":1,"keys":{"base64:!":{"type":"string"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "redis.json")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := embedRedis(t.Context(), file, discardLog()); err == nil {
				t.Error("was taken for good")
			}
		})
	}
}

// BenchmarkRedisWrite is what a write costs with 1000 instances in the file.
func BenchmarkRedisWrite(b *testing.B) {
	_, c := openRedis(b, filepath.Join(b.TempDir(), "redis.json"))
	value := fmt.Sprintf("%2000d", 1)
	if _, err := c.Pipelined(b.Context(), func(p redis.Pipeliner) error {
		for i := range 1000 {
			p.HSet(b.Context(), fmt.Sprintf("weir:{i-%d}:instance", i), "instance", value)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := c.Set(b.Context(), "k", "v", 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
}
