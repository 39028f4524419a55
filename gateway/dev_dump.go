package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// dumpVersion is that of the file's format.
const dumpVersion = 1

// dump is the whole content of a Redis, as JSON that a person can read.
type dump struct {
	Version int               `json:"version"`
	Keys    map[text]*dumpKey `json:"keys"`
}

// dumpKey is one key; the field of its type is set.
type dumpKey struct {
	Type string `json:"type"`
	// ExpireAt is in Unix milliseconds; 0: never.
	ExpireAt int64            `json:"expire_at,omitempty"`
	String   *text            `json:"string,omitempty"`
	Hash     map[text]text    `json:"hash,omitempty"`
	Set      []text           `json:"set,omitempty"`
	ZSet     map[text]float64 `json:"zset,omitempty"`
	Stream   []dumpEntry      `json:"stream,omitempty"`
	// LastID is the newest id that the stream ever gave, which may be that of
	// an entry that is gone: readers remember it, so it must not come again.
	LastID string `json:"last_id,omitempty"`
}

// dumpEntry is an entry of a stream: its fields and values in turns.
type dumpEntry struct {
	ID     string `json:"id"`
	Values []text `json:"values"`
}

// text is any bytes: as they are where JSON can carry them, else in base64.
type text string

const base64Mark = "base64:"

// MarshalText makes text fit for JSON.
func (t text) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(t)) && !strings.HasPrefix(string(t), base64Mark) {
		return []byte(t), nil
	}
	return []byte(base64Mark + base64.StdEncoding.EncodeToString([]byte(t))), nil
}

// UnmarshalText is the inverse of MarshalText.
func (t *text) UnmarshalText(b []byte) error {
	encoded, ok := strings.CutPrefix(string(b), base64Mark)
	if !ok {
		*t = text(b)
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	*t = text(raw)
	return err
}

// dumpTries is how often a dump begins again because keys came or went meanwhile.
const dumpTries = 100

// takeDump reads everything at one moment: the keys are listed, and then read in
// a transaction which lists them again. If the lists differ it starts over.
func takeDump(ctx context.Context, rdb redis.UniversalClient) (*dump, error) {
	for range dumpTries {
		keys, err := listKeys(ctx, rdb)
		if err != nil {
			return nil, err
		}
		d, same, err := tryDump(ctx, rdb, keys)
		if err != nil || same {
			return d, err
		}
	}
	return nil, fmt.Errorf("keys came and went during each of %d tries to read them", dumpTries)
}

// listKeys returns every key with its type: "type key", sorted by key.
func listKeys(ctx context.Context, rdb redis.UniversalClient) (map[string]string, error) {
	names, err := rdb.Keys(ctx, "*").Result()
	if err != nil {
		return nil, err
	}
	types := make(map[string]*redis.StatusCmd, len(names))
	if _, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range names {
			types[k] = p.Type(ctx, k)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	out := make(map[string]string, len(names))
	for k, t := range types {
		out[k] = t.Val()
	}
	return out, nil
}

func tryDump(ctx context.Context, rdb redis.UniversalClient, keys map[string]string) (d *dump, same bool, err error) {
	var names *redis.StringSliceCmd
	reads := make(map[string]*keyRead, len(keys))
	_, err = rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		names = p.Keys(ctx, "*")
		for k, t := range keys {
			reads[k] = newKeyRead(ctx, p, k, t)
		}
		return nil
	})
	if len(names.Val()) != len(keys) || slices.ContainsFunc(names.Val(), func(k string) bool { return keys[k] == "" }) {
		return nil, false, nil // and an error is about a key that went
	}
	for k, r := range reads {
		if r.kind.Val() != keys[k] {
			return nil, false, nil
		}
	}
	if err != nil {
		return nil, false, err
	}
	d = &dump{Version: dumpVersion, Keys: make(map[text]*dumpKey, len(keys))}
	for k, r := range reads {
		if d.Keys[text(k)], err = r.result(); err != nil {
			return nil, false, fmt.Errorf("key %q: %w", k, err)
		}
	}
	return d, true, nil
}

// keyRead is the pending answers about one key.
type keyRead struct {
	kind   *redis.StatusCmd
	expire *redis.DurationCmd
	str    *redis.StringCmd
	hash   *redis.MapStringStringCmd
	set    *redis.StringSliceCmd
	zset   *redis.ZSliceCmd
	stream *redis.Cmd
	info   *redis.Cmd
}

func newKeyRead(ctx context.Context, p redis.Pipeliner, key, kind string) *keyRead {
	r := &keyRead{kind: p.Type(ctx, key), expire: p.PExpireTime(ctx, key)}
	switch kind {
	case "string":
		r.str = p.Get(ctx, key)
	case "hash":
		r.hash = p.HGetAll(ctx, key)
	case "set":
		r.set = p.SMembers(ctx, key)
	case "zset":
		r.zset = p.ZRangeWithScores(ctx, key, 0, -1)
	case "stream":
		r.stream = p.Do(ctx, "XRANGE", key, "-", "+")
		r.info = p.Do(ctx, "XINFO", "STREAM", key)
	}
	return r
}

func (r *keyRead) result() (*dumpKey, error) {
	k := &dumpKey{Type: r.kind.Val(), ExpireAt: max(0, r.expire.Val().Milliseconds())}
	switch k.Type {
	case "string":
		v := text(r.str.Val())
		k.String = &v
	case "hash":
		k.Hash = make(map[text]text)
		for f, v := range r.hash.Val() {
			k.Hash[text(f)] = text(v)
		}
	case "set":
		for _, m := range r.set.Val() {
			k.Set = append(k.Set, text(m))
		}
	case "zset":
		k.ZSet = make(map[text]float64)
		for _, z := range r.zset.Val() {
			member, _ := z.Member.(string)
			k.ZSet[text(member)] = z.Score
		}
	case "stream":
		return k, r.streamResult(k)
	default:
		return nil, fmt.Errorf("type %s is not kept in the file", k.Type)
	}
	return k, nil
}

// streamResult reads raw answers: go-redis's own turn an entry's fields into a
// map and lose their order.
func (r *keyRead) streamResult(k *dumpKey) error {
	info, err := r.info.Slice()
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(info); i += 2 {
		if info[i] == "last-generated-id" {
			k.LastID, _ = info[i+1].(string)
		}
	}
	entries, err := r.stream.Slice()
	if err != nil {
		return err
	}
	for _, e := range entries {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			return fmt.Errorf("entry %v is no pair", e)
		}
		id, _ := pair[0].(string)
		values, _ := pair[1].([]any)
		entry := dumpEntry{ID: id}
		for _, v := range values {
			s, _ := v.(string)
			entry.Values = append(entry.Values, text(s))
		}
		k.Stream = append(k.Stream, entry)
	}
	return nil
}

// restore writes everything into an empty Redis.
func (d *dump) restore(ctx context.Context, rdb redis.UniversalClient) error {
	if d.Version != dumpVersion {
		return fmt.Errorf("format %d is not known here, only %d", d.Version, dumpVersion)
	}
	for key, k := range d.Keys {
		if _, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error { return k.restore(ctx, p, string(key)) }); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

func (k *dumpKey) restore(ctx context.Context, p redis.Pipeliner, key string) error {
	switch k.Type {
	case "string":
		if k.String == nil {
			return fmt.Errorf("has no string")
		}
		p.Set(ctx, key, string(*k.String), 0)
	case "hash":
		for f, v := range k.Hash {
			p.HSet(ctx, key, string(f), string(v))
		}
	case "set":
		for _, m := range k.Set {
			p.SAdd(ctx, key, string(m))
		}
	case "zset":
		for m, score := range k.ZSet {
			p.ZAdd(ctx, key, redis.Z{Score: score, Member: string(m)})
		}
	case "stream":
		k.restoreStream(ctx, p, key)
	default:
		return fmt.Errorf("unknown type %q", k.Type)
	}
	if k.ExpireAt > 0 {
		p.PExpireAt(ctx, key, time.UnixMilli(k.ExpireAt))
	}
	return nil
}

func (k *dumpKey) restoreStream(ctx context.Context, p redis.Pipeliner, key string) {
	last := ""
	for _, e := range k.Stream {
		values := make([]any, len(e.Values))
		for i, v := range e.Values {
			values[i] = string(v)
		}
		p.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: e.ID, Values: values})
		last = e.ID
	}
	if k.LastID != "" && k.LastID != last {
		// XSETID in words that miniredis knows: an entry with that id, gone again.
		p.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: k.LastID, Values: []any{"", ""}})
		p.XDel(ctx, key, k.LastID)
	}
}
