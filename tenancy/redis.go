package tenancy

import (
	"context"
	crand "crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// callTimeout bounds each step, and half of what a page of instances may take.
	// A healthy Redis answers in under 1 ms; this leaves room for a retry on a
	// fresh connection, and for a machine that is busy with other things, where
	// the embedded one of weir dev was seen to take a second.
	callTimeout = 2 * time.Second
	// maxPage is how many instances one pipeline reads.
	maxPage = 500
	// streamLen is about how many changes a directory may fall behind before it
	// compares everything instead: at 100 bytes each, 1 MB of Redis.
	streamLen = 10_000
)

// Keys. What must change together shares a slot of Redis Cluster, that is what
// stands between braces. Ids have no braces.
//
//	weir:{<instance>}:instance   hash: instance (JSON), stamp, user:<name> (JSON)
//	weir:{<instance>}:lease:<n>  string: "<unix ms of its end> <owner>"
//	weir:{<instance>}:refused    stream: e (Refusal, JSON); of no instance: weir:{weir}:refused
//	weir:{<tenant>}:names        hash: display name -> claim
//	weir:{pool <pool>}:aliases   hash: "own <kind> <physical name>" or "share <instance> <physical topic>" -> claim
//	weir:{weir}:hosts            hash: host name of an instance's own -> claim
//	weir:{weir}:plans            hash: "<plan> <limit>" -> limit (JSON), stamp
//	weir:{weir}:index            sorted set of ids, all with score 0
//	weir:{weir}:revision         counter
//	weir:{weir}:changes          stream: kind, id, rev
//	weir:{weir}:gateways         hash: gateway -> "<revision> <unix ms>"
//	weir:{weir}:settling         unix ms until which reports may be missing, after they were lost
const (
	keyHosts    = "weir:{weir}:hosts"
	keyPlans    = "weir:{weir}:plans"
	keyIndex    = "weir:{weir}:index"
	keyRevision = "weir:{weir}:revision"
	keyChanges  = "weir:{weir}:changes"
	keyGateways = "weir:{weir}:gateways"
	keySettling = "weir:{weir}:settling"

	fieldInstance = "instance"
	fieldStamp    = "stamp"
	userPrefix    = "user:"
)

func recordKey(id InstanceID) string { return "weir:{" + string(id) + "}:instance" }
func namesKey(t TenantID) string     { return "weir:{" + string(t) + "}:names" }
func leaseKey(id InstanceID, name string) string {
	return "weir:{" + string(id) + "}:lease:" + name
}

// newStamp is unique to one write. Stamps make writes safe to repeat, and tell a
// directory that a record differs from its own even where versions agree by
// chance (a restored dump that was written to since).
func newStamp() string { return crand.Text() }

// Scripts, run by EVALSHA: Redis Functions would have to be loaded on every node of a Cluster by hand.
var (
	//go:embed scripts/announce.lua
	announceLua string
	//go:embed scripts/instance.lua
	instanceLua string
	//go:embed scripts/user.lua
	userLua string
	//go:embed scripts/claim.lua
	claimLua string
	//go:embed scripts/release.lua
	releaseLua string
	//go:embed scripts/tail.lua
	tailLua string
	//go:embed scripts/report.lua
	reportLua string
	//go:embed scripts/applied.lua
	appliedLua string
	//go:embed scripts/lease.lua
	leaseLua string
	//go:embed scripts/settings.lua
	settingsLua string
	//go:embed scripts/plans.lua
	plansLua string
	//go:embed scripts/alias.lua
	aliasLua string
)

type scripts struct {
	announce, instance, user, claim, release, tail, report, applied, lease, settings, alias, plans *redis.Script
}

func newScripts() scripts {
	return scripts{
		announce: redis.NewScript(announceLua),
		instance: redis.NewScript(instanceLua),
		user:     redis.NewScript(userLua),
		claim:    redis.NewScript(claimLua),
		release:  redis.NewScript(releaseLua),
		tail:     redis.NewScript(tailLua),
		report:   redis.NewScript(reportLua),
		applied:  redis.NewScript(appliedLua),
		lease:    redis.NewScript(leaseLua),
		settings: redis.NewScript(settingsLua),
		alias:    redis.NewScript(aliasLua),
		plans:    redis.NewScript(plansLua),
	}
}

// run runs a script.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return script.Run(ctx, s.rdb, keys, args...)
}

// pipelined issues one command for each id in one round trip (one for each node
// of a Cluster). A missing key is not an error here: look at the commands.
func pipelined[C redis.Cmder](ctx context.Context, s *Store, ids []InstanceID,
	issue func(context.Context, redis.Pipeliner, InstanceID) C,
) ([]C, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.timeout)
	defer cancel()
	cmds := make([]C, len(ids))
	if len(ids) == 0 {
		return cmds, nil
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = issue(ctx, p, id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	for _, cmd := range cmds { // err is only the first one
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	return cmds, nil
}

// decodeInstance reads an instance and insists that it is what its key says:
// a view under a wrong id would open one tenant's data to another.
func decodeInstance(id InstanceID, raw string) (Instance, error) {
	var in Instance
	if err := json.Unmarshal([]byte(raw), &in); err != nil {
		return Instance{}, fmt.Errorf("instance %s: its record in redis is broken: %w", id, err)
	}
	if in.ID != id {
		return Instance{}, fmt.Errorf("instance %s: its record in redis is of %.40q", id, in.ID)
	}
	return in, nil
}

// decodeUser reads a user and insists that it is what its field says.
func decodeUser(id InstanceID, name, raw string) (User, error) {
	var u User
	if err := json.Unmarshal([]byte(raw), &u); err != nil {
		return User{}, fmt.Errorf("user %s of instance %s: its record in redis is broken: %w", name, id, err)
	}
	if u.Name != name {
		return User{}, fmt.Errorf("user %s of instance %s: its record in redis is of %.80q", name, id, u.Name)
	}
	return u, nil
}

// decodeUsers reads all users of a record.
func decodeUsers(id InstanceID, fields map[string]string) (map[string]User, error) {
	users := make(map[string]User, max(0, len(fields)-2))
	for field, raw := range fields {
		name, ok := strings.CutPrefix(field, userPrefix)
		if !ok {
			continue
		}
		u, err := decodeUser(id, name, raw)
		if err != nil {
			return nil, err
		}
		users[name] = u
	}
	return users, nil
}
