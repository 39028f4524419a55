package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alicebob/miniredis/v2"
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

// text is any bytes: as they are where JSON can carry them, else in base64. A
// struct, for encoding/json writes map keys of kind string without asking them.
type text struct{ Raw string }

const base64Mark = "base64:"

// MarshalText makes text fit for JSON.
func (t text) MarshalText() ([]byte, error) {
	if utf8.ValidString(t.Raw) && !strings.HasPrefix(t.Raw, base64Mark) {
		return []byte(t.Raw), nil
	}
	return []byte(base64Mark + base64.StdEncoding.EncodeToString([]byte(t.Raw))), nil
}

// UnmarshalText is the inverse of MarshalText.
func (t *text) UnmarshalText(b []byte) error {
	encoded, ok := strings.CutPrefix(string(b), base64Mark)
	if !ok {
		t.Raw = string(b)
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	t.Raw = string(raw)
	return err
}

// takeDump reads everything. Nobody may write meanwhile; the server's own lock
// covers a key only. It reads beside the protocol because that is a hundred
// times as fast; plain is asked for what only the protocol tells.
func takeDump(ctx context.Context, server *miniredis.Miniredis, plain redis.UniversalClient) (*dump, error) {
	db := server.DB(0)
	names := db.Keys()
	d := &dump{Version: dumpVersion, Keys: make(map[text]*dumpKey, len(names))}
	for _, name := range names {
		k, err := takeKey(ctx, db, plain, name)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		if ttl := db.TTL(name); ttl > 0 {
			k.ExpireAt = time.Now().Add(ttl).UnixMilli()
		}
		d.Keys[text{name}] = k
	}
	return d, nil
}

func takeKey(ctx context.Context, db *miniredis.RedisDB, plain redis.UniversalClient, name string) (*dumpKey, error) {
	k := &dumpKey{Type: db.Type(name)}
	switch k.Type {
	case "string":
		v, err := db.Get(name)
		k.String = &text{v}
		return k, err
	case "hash":
		fields, err := db.HKeys(name)
		k.Hash = make(map[text]text, len(fields))
		for _, f := range fields {
			k.Hash[text{f}] = text{db.HGet(name, f)}
		}
		return k, err
	case "set":
		members, err := db.Members(name)
		for _, m := range members {
			k.Set = append(k.Set, text{m})
		}
		return k, err
	case "zset":
		scores, err := db.SortedSet(name)
		k.ZSet = make(map[text]float64, len(scores))
		for m, score := range scores {
			k.ZSet[text{m}] = score
		}
		return k, err
	case "stream":
		return k, k.takeStream(ctx, db, plain, name)
	}
	return nil, fmt.Errorf("type %s is not kept in the file", k.Type)
}

func (k *dumpKey) takeStream(ctx context.Context, db *miniredis.RedisDB, plain redis.UniversalClient, name string) error {
	entries, err := db.Stream(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		entry := dumpEntry{ID: e.ID}
		for _, v := range e.Values {
			entry.Values = append(entry.Values, text{v})
		}
		k.Stream = append(k.Stream, entry)
	}
	info, err := plain.Do(ctx, "XINFO", "STREAM", name).Slice()
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(info); i += 2 {
		if info[i] == "last-generated-id" {
			k.LastID, _ = info[i+1].(string)
		}
	}
	return nil
}

// restore writes everything into an empty Redis.
func (d *dump) restore(ctx context.Context, rdb redis.UniversalClient) error {
	if d.Version != dumpVersion {
		return fmt.Errorf("format %d is not known here, only %d", d.Version, dumpVersion)
	}
	for key, k := range d.Keys {
		if _, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error { return k.restore(ctx, p, key.Raw) }); err != nil {
			return fmt.Errorf("key %q: %w", key.Raw, err)
		}
	}
	return nil
}

func (k *dumpKey) restore(ctx context.Context, p redis.Pipeliner, key string) error {
	switch k.Type {
	case "string":
		if k.String == nil {
			return errors.New("has no value")
		}
		p.Set(ctx, key, k.String.Raw, 0)
	case "hash":
		for f, v := range k.Hash {
			p.HSet(ctx, key, f.Raw, v.Raw)
		}
	case "set":
		for _, m := range k.Set {
			p.SAdd(ctx, key, m.Raw)
		}
	case "zset":
		for m, score := range k.ZSet {
			p.ZAdd(ctx, key, redis.Z{Score: score, Member: m.Raw})
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
			values[i] = v.Raw
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
