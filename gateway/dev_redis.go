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
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

	plain  redis.UniversalClient // without the saving hook
	relays sync.WaitGroup        // of every connection

	// content is held for reading by who writes, and wholly by who saves or
	// expires keys: what is saved is the content of one moment.
	content sync.RWMutex
	writes  atomic.Int64 // write commands that Redis has answered
	mu      sync.Mutex   // one save at a time
	saved   int64        // the value of writes that the file contains; under mu
	stop    chan struct{}
	clock   sync.WaitGroup
}

// expireEvery is how often time passes for keys that expire. miniredis can do it
// at every command instead, at a cost that grows with the number of keys.
const expireEvery = 100 * time.Millisecond

// embedRedis starts a Redis with the content of file, if there is one.
func embedRedis(ctx context.Context, file string, log *slog.Logger) (*embeddedRedis, error) {
	e := &embeddedRedis{server: miniredis.NewMiniRedis(), file: file, log: log, stop: make(chan struct{})}
	e.plain = e.newClient()
	if err := e.restore(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded redis: %w", err), e.shut())
	}
	e.clock.Go(e.expire)
	return e, nil
}

func (e *embeddedRedis) restore(ctx context.Context) error {
	data, err := os.ReadFile(e.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var d dump
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("%s: %w; start over with --fresh", e.file, err)
	}
	if err := d.restore(ctx, e.plain); err != nil {
		return fmt.Errorf("%s: %w; start over with --fresh", e.file, err)
	}
	return nil
}

// expire lets time pass until stop.
func (e *embeddedRedis) expire() {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-e.stop:
			return
		case now := <-tick.C:
			e.content.Lock()
			e.server.FastForward(now.Sub(last))
			e.content.Unlock()
			last = now
		}
	}
}

func (e *embeddedRedis) newClient() redis.UniversalClient {
	return newRedis(&redis.UniversalOptions{
		Addrs:    []string{"embedded:6379"},
		Protocol: 2,
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return e.dial() },
	})
}

func (e *embeddedRedis) dial() (net.Conn, error) {
	server, err := e.server.Dial()
	if err != nil {
		return nil, err
	}
	return relay(server, &e.relays), nil
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
	e.content.Lock()
	d, err := takeDump(context.Background(), e.server, e.plain)
	e.content.Unlock()
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
	return errors.Join(e.dump(), e.shut())
}

// shut stops without saving.
func (e *embeddedRedis) shut() error {
	close(e.stop)
	e.clock.Wait()
	err := e.plain.Close()
	e.server.Close()
	e.relays.Wait()
	return err
}

// saving is a redis.Hook.
type saving struct{ redis *embeddedRedis }

// DialHook changes nothing.
func (s saving) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook saves after a command that writes.
func (s saving) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return s.saved([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook saves once after a pipeline, or a transaction, that writes.
func (s saving) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return s.saved(cmds, func() error { return next(ctx, cmds) })
	}
}

// saved runs the commands and saves if one may have written; also when they
// failed: a script may have written before it did.
func (s saving) saved(cmds []redis.Cmder, run func() error) error {
	if !slices.ContainsFunc(cmds, writes) {
		return run()
	}
	s.redis.content.RLock()
	err := run()
	s.redis.content.RUnlock()
	s.redis.writes.Add(1)
	s.redis.save()
	return err
}

// writes says whether a command may change something; an unknown one may.
func writes(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "get", "mget", "exists", "type", "ttl", "pttl", "keys", "scan", "ping", "hello", "auth", "select", "client",
		"command", "info", "time", "echo", "subscribe", "psubscribe", "unsubscribe", "publish", "watch", "unwatch", "multi", "exec",
		"hget", "hgetall", "hmget", "hexists", "hlen", "hkeys", "hvals", "hscan",
		"smembers", "sismember", "scard", "sscan", "zrange", "zrangebyscore", "zrangebylex", "zscore", "zcard", "zscan",
		"xrange", "xrevrange", "xread", "xlen", "xinfo", "lrange", "llen", "evalsha_ro", "eval_ro", "script", "strlen":
		return false
	}
	return true
}
