package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// embeddedRedis is a Redis within this process, reached over pipes only: no
// port is open. What is written is in its file before the writer has its answer,
// so that not even kill -9 loses what somebody was told.
type embeddedRedis struct {
	server *miniredis.Miniredis
	file   string
	log    *slog.Logger

	plain redis.UniversalClient // without the saving hook

	writes atomic.Int64 // write commands that Redis has answered
	mu     sync.Mutex   // one save at a time
	saved  int64        // the value of writes that the file contains; under mu
}

// embedRedis starts a Redis with the content of file, if there is one.
func embedRedis(ctx context.Context, file string, log *slog.Logger) (*embeddedRedis, error) {
	e := &embeddedRedis{server: miniredis.NewMiniRedis(), file: file, log: log}
	e.plain = e.newClient()
	e.server.ClockTTL(true) // else keys would never expire
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e, nil
	case err != nil:
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	var d dump
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("embedded redis: %s: %w; start over with --fresh", file, err)
	}
	if err := d.restore(ctx, e.plain); err != nil {
		return nil, fmt.Errorf("embedded redis: %s: %w; start over with --fresh", file, err)
	}
	return e, nil
}

func (e *embeddedRedis) newClient() redis.UniversalClient {
	return newRedis(&redis.UniversalOptions{
		Addrs:    []string{"embedded:6379"},
		Protocol: 2,
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return e.server.Dial() },
	})
}

// client returns a client whose writes are saved before they return.
func (e *embeddedRedis) client() redis.UniversalClient {
	c := e.newClient()
	c.AddHook(saving{e})
	return c
}

// save returns once the file contains every write that was answered before the
// call. Writers that come while one saves are served together by the next.
func (e *embeddedRedis) save() {
	wanted := e.writes.Load()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.saved >= wanted {
		return
	}
	wanted = e.writes.Load()
	if err := e.dump(); err != nil {
		// Nobody's request fails for it: a full disk is seen here, and the
		// next write tries again.
		e.log.Error("embedded redis not saved", "file", e.file, "err", err)
		return
	}
	e.saved = wanted
}

func (e *embeddedRedis) dump() error {
	d, err := takeDump(context.Background(), e.plain)
	if err != nil {
		return err
	}
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return writeFile(e.file, data)
}

// close saves a last time (for what expired meanwhile) and stops the server.
func (e *embeddedRedis) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.dump()
	err = errors.Join(err, e.plain.Close())
	e.server.Close()
	return err
}

// saving is a redis.Hook.
type saving struct{ redis *embeddedRedis }

// DialHook changes nothing.
func (s saving) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook saves after a command that writes.
func (s saving) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		s.after(cmd)
		return err
	}
}

// ProcessPipelineHook saves once after a pipeline, or a transaction, that writes.
func (s saving) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		s.after(cmds...)
		return err
	}
}

// after also saves when a command failed: a script may have written before it did.
func (s saving) after(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		if writes(cmd.Name()) {
			s.redis.writes.Add(1)
			s.redis.save()
			return
		}
	}
}

// writes says whether a command may change something; an unknown one may.
func writes(name string) bool {
	switch name {
	case "get", "mget", "exists", "type", "ttl", "pttl", "keys", "scan", "ping", "hello", "auth", "select", "client",
		"command", "info", "time", "echo", "subscribe", "psubscribe", "unsubscribe", "publish", "watch", "unwatch", "multi", "exec",
		"hget", "hgetall", "hmget", "hexists", "hlen", "hkeys", "hvals", "hscan",
		"smembers", "sismember", "scard", "sscan", "zrange", "zrangebyscore", "zrangebylex", "zscore", "zcard", "zscan",
		"xrange", "xrevrange", "xread", "xlen", "xinfo", "lrange", "llen", "evalsha_ro", "eval_ro", "script", "strlen":
		return false
	}
	return true
}
