package metering

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Keys. Those of an instance share a slot of Redis Cluster. All end by themselves.
//
//	weir:{<instance>}:usage:<hour>    hash: count_codec.go; countsKept
//	weir:{usage:<hour>}:instances     set of instances with counts; countsKept
//	weir:{weir}:fleet:<hour>          hash: <gateway>/<epoch> -> open|final; countsKept
//	weir:{weir}:late                  hash: "<hour> <instance>" -> stamp: counted after the hour was sealed, or about then; lateKept
//	weir:{weir}:held:<pool>           string: scripts/held.lua; heldKept
//	weir:{<instance>}:doubts          hash: <partition>:<offset> -> doubts_store.go; doubtsKept
//	weir:{weir}:doubts                set of instances that have some; doubtsKept
const (
	keyLate = "weir:{weir}:late"

	countsKept = 8 * 24 * time.Hour
	lateKept   = 35 * 24 * time.Hour
	heldKept   = 24 * time.Hour

	// storeTimeout bounds one round trip. Nobody waits for it but the pusher and the
	// sealer; the embedded Redis of weir dev was seen to take half a second under load.
	storeTimeout = time.Second
	// scanned is how many members one step of a scan asks for.
	scanned = 1000
)

func countsKey(id tenancy.InstanceID, h Hour) string {
	return "weir:{" + string(id) + "}:usage:" + h.String()
}
func instancesKey(h Hour) string { return "weir:{usage:" + h.String() + "}:instances" }
func fleetKey(h Hour) string     { return "weir:{weir}:fleet:" + h.String() }
func heldKey(pool string) string { return "weir:{weir}:held:" + pool }

// Scripts, run by EVALSHA (see tenancy/redis.go).
var (
	//go:embed scripts/push.lua
	pushLua string
	//go:embed scripts/late.lua
	lateLua string
	//go:embed scripts/held.lua
	heldLua string
	//go:embed scripts/doubts.lua
	doubtsLua string
	//go:embed scripts/answer.lua
	answerLua string
	//go:embed scripts/fleet.lua
	fleetLua string
)

// StoreConfig says where counts are kept.
type StoreConfig struct {
	Redis redis.UniversalClient
	Now   func() time.Time // time.Now if nil
	// SealAfter is how long after its end an hour is sealed; SealAfter if zero.
	SealAfter time.Duration
}

// Store is the counts of all gateways in Redis. Any goroutine. Everything that is
// written may be written again, in any order.
type Store struct {
	rdb       redis.UniversalClient
	now       func() time.Time
	sealAfter time.Duration
	scripts   storeScripts
	seed      maphash.Seed // of knownHour.seqs

	mu sync.Mutex
	// What this process knows to be in Redis, by which it sees that Redis has lost it.
	known map[Hour]*knownHour
	late  lateMarks
	held  map[string]int64 // by pool: the newest minute that was seen to be claimed
}

type storeScripts struct{ push, late, held, doubts, answer, fleet *redis.Script }

func (s *storeScripts) all() []*redis.Script {
	return []*redis.Script{s.push, s.late, s.held, s.doubts, s.answer, s.fleet}
}

// NewStore returns the Store in a Redis. Nothing is asked yet.
func NewStore(cfg StoreConfig) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{
		rdb: cfg.Redis, now: cfg.Now, sealAfter: cmp.Or(cfg.SealAfter, SealAfter), seed: maphash.MakeSeed(),
		scripts: storeScripts{
			push: redis.NewScript(pushLua), late: redis.NewScript(lateLua), held: redis.NewScript(heldLua),
			doubts: redis.NewScript(doubtsLua), answer: redis.NewScript(answerLua), fleet: redis.NewScript(fleetLua),
		},
		known: map[Hour]*knownHour{}, late: lateMarks{todo: map[lateHour]time.Time{}, made: map[lateHour]time.Time{}}, held: map[string]int64{},
	}
}

// Counts gives all counts of an instance in an hour, in no order: they add up. damaged
// says of each that cannot be read why not.
func (s *Store) Counts(ctx context.Context, id tenancy.InstanceID, hour Hour) (counts []Count, damaged []error, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	fields, err := s.rdb.HGetAll(ctx, countsKey(id, hour)).Result()
	if err != nil {
		return nil, nil, fmt.Errorf("usage of instance %s in hour %s: %w", id, hour, err)
	}
	return readCounts(id, hour, fields)
}

// Instances gives those that have counts in an hour, each once, in no order. It ends
// with the first error.
func (s *Store) Instances(ctx context.Context, hour Hour) iter.Seq2[tenancy.InstanceID, error] {
	return func(yield func(tenancy.InstanceID, error) bool) {
		seen := map[string]bool{} // a scan may give a member twice
		for page, err := range scan(ctx, func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
			return s.rdb.SScan(ctx, instancesKey(hour), cursor, "", scanned).Result()
		}) {
			if err != nil {
				yield("", fmt.Errorf("instances with usage in hour %s: %w", hour, err))
				return
			}
			for _, id := range page {
				if seen[id] {
					continue
				}
				seen[id] = true
				if !yield(tenancy.InstanceID(id), nil) {
					return
				}
			}
		}
	}
}

// scan goes through all pages of a scan.
func scan(ctx context.Context, step func(ctx context.Context, cursor uint64) ([]string, uint64, error)) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var cursor uint64
		for {
			call, cancel := context.WithTimeout(ctx, storeTimeout)
			page, next, err := step(call, cursor)
			cancel()
			if !yield(page, err) || err != nil || next == 0 {
				return
			}
			cursor = next
		}
	}
}

// FleetOpen and FleetFinal are what a gateway says of its counts of an hour: that more
// may come, or that Redis has all.
const (
	FleetOpen  = "open"
	FleetFinal = "final"
)

// Fleet is what the gateways that served in an hour say of it, by "<gateway>/<epoch>".
func (s *Store) Fleet(ctx context.Context, hour Hour) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	all, err := s.rdb.HGetAll(ctx, fleetKey(hour)).Result()
	if err != nil {
		return nil, fmt.Errorf("gateways of hour %s: %w", hour, err)
	}
	return all, nil
}

// ClaimMinute claims a minute (since 1970) of a pool for a gateway, which then counts
// what instances held since the last claimed one; 0 if none is known. Not ok: somebody
// has counted it. Said again by the same gateway, the answer is the same.
func (s *Store) ClaimMinute(ctx context.Context, gateway, pool string, minute int64) (last int64, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s.mu.Lock()
	seen := s.held[pool]
	s.mu.Unlock()
	// What was seen may be this very claim, whose answer was lost.
	got, err := s.scripts.held.Run(ctx, s.rdb, []string{heldKey(pool)}, minute, gateway, seen, heldKept.Milliseconds()).Int64Slice()
	if err != nil || len(got) != 2 {
		return 0, false, fmt.Errorf("minute %d of pool %s: redis answered %v: %w", minute, pool, got, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[pool] = max(s.held[pool], got[0])
	if got[1] == 1 {
		s.held[pool] = max(s.held[pool], minute)
	}
	return got[0], got[1] == 1, nil
}

// pipelined runs commands in one round trip, one for each node of a Cluster; each says
// for itself what became of it. With scripts that a Redis does not know they are loaded, and
// run again: commands that were done already must bear it.
func (s *Store) pipelined(ctx context.Context, issue func(context.Context, redis.Pipeliner)) error {
	run := func() error {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		p := s.rdb.Pipeline()
		issue(ctx, p)
		cmds, err := p.Exec(ctx)
		for _, c := range cmds {
			if redis.HasErrorPrefix(c.Err(), "NOSCRIPT") {
				return c.Err()
			}
		}
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	err := run()
	if !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return err
	}
	if err := s.load(ctx); err != nil {
		return fmt.Errorf("scripts of usage: %w", err)
	}
	return run()
}

// load loads all scripts on every master: EVALSHA may go to any.
func (s *Store) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		for _, script := range s.scripts.all() {
			if err := script.Load(ctx, node).Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachMaster calls fn for each master of a Cluster, at once, or for the one Redis.
func (s *Store) eachMaster(ctx context.Context, fn func(context.Context, redis.Cmdable) error) error {
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return fn(ctx, node) })
	}
	return fn(ctx, s.rdb)
}
