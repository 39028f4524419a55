package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Settings are what an instance keeps beside its record: ACLs, limits, quotas, aliases
// and its access, each a hash in the same slot (field: what it is; value: JSON). Every
// change renews the record's stamp, by which directories notice it.

// settingsKey is the hash of one kind of settings.
func settingsKey(id InstanceID, kind string) string { return "weir:{" + string(id) + "}:" + kind }

// settings are those of one instance: kind → field → value.
type settings map[string]map[string]string

const (
	settingsACLs    = "acls"
	settingsQuotas  = "quotas"
	settingsLimits  = "limits"
	settingsAliases = "aliases"

	settingsAuthentication = "authentication"
	settingsNetworks       = "networks"
	settingsIssuers        = "issuers"
	settingsClientCAs      = "client_cas"
	settingsHosts          = "hosts"
	settingsKeys           = "keys"
	settingsIdentity       = "identity"
)

// settingsKinds are all kinds of settings.
func settingsKinds() []string {
	return append([]string{settingsACLs, settingsQuotas, settingsLimits, settingsAliases}, accessKinds()...)
}

// instanceKeys are all keys that end with an instance.
func instanceKeys(id InstanceID) []string {
	keys := []string{recordKey(id), refusalsKey(id)}
	for _, kind := range settingsKinds() {
		keys = append(keys, settingsKey(id, kind))
	}
	return keys
}

// settingsChange is one atomic change of one kind of settings.
type settingsChange struct {
	kind   string
	most   int // how many there may be
	remove []string
	put    map[string]string // field → value; replaces
	when   condition
	stamp  string // that the record must have; "": any
}

// condition is under which a change is made; zero: always.
type condition string

const (
	whenFresh condition = "fresh" // none of put is there already, else ErrExists
	whenThere condition = "there" // all of remove are there, else ErrNotFound
	// whole removes whatever put does not have.
	whole condition = "whole"
)

// errStamp is of a record that was changed meanwhile, in whatever part.
var errStamp = errors.New("changed meanwhile")

// whenBefore makes a change until then only, in unix ms by Redis' clock; later it
// is ErrConflict.
func whenBefore(ms int64) condition { return condition("before " + strconv.FormatInt(ms, 10)) }

// change makes a change and announces it. ErrNotFound without such an instance,
// ErrFull beyond most, ErrExists and ErrNotFound as the condition says, errStamp
// if the record has another stamp than it must.
func (s *Store) change(ctx context.Context, id InstanceID, c settingsChange) (Revision, error) {
	if _, err := s.announce(ctx, intent, id, indexKeep); err != nil {
		return 0, err
	}
	args := []any{newStamp(), c.stamp, c.most, string(c.when), len(c.remove)}
	for _, field := range c.remove {
		args = append(args, field)
	}
	for _, field := range slices.Sorted(maps.Keys(c.put)) {
		args = append(args, field, c.put[field])
	}
	keys := []string{recordKey(id), settingsKey(id, c.kind)}
	answer, err := s.run(ctx, s.scripts.settings, keys, args...).Text()
	if err != nil {
		return 0, fmt.Errorf("writing %s of instance %s: %w", c.kind, id, err)
	}
	switch answer {
	case "ok":
		return s.announceChange(ctx, id, indexKeep)
	case "full":
		return 0, fmt.Errorf("instance %s may have %d %s at most: %w", id, c.most, c.kind, ErrFull)
	case "changed":
		return 0, fmt.Errorf("%s of instance %s: %w", c.kind, id, errStamp)
	case "exists":
		return 0, fmt.Errorf("%s of instance %s: %w", c.kind, id, ErrExists)
	case "late":
		return 0, fmt.Errorf("%s of instance %s: more than %s passed since they were claimed: %w", c.kind, id, claimValid, ErrConflict)
	case "missing":
		return 0, fmt.Errorf("%s of instance %s: %w", c.kind, id, ErrNotFound)
	default:
		return 0, fmt.Errorf("instance %s: %w", id, ErrNotFound)
	}
}

// settings reads one kind of settings; ErrNotFound without such an instance.
func (s *Store) settings(ctx context.Context, id InstanceID, kind string) (map[string]string, error) {
	if in, err := s.Instance(ctx, id); err != nil {
		return nil, err
	} else if in.State == StateDeleted {
		return nil, fmt.Errorf("instance %s: %w", id, ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fields, err := s.rdb.HGetAll(ctx, settingsKey(id, kind)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading %s of instance %s: %w", kind, id, err)
	}
	return fields, nil
}

// decodeSettings reads one kind's values in order of their fields.
func decodeSettings[T any](id InstanceID, kind string, fields map[string]string) ([]T, error) {
	all := make([]T, 0, len(fields))
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		var v T
		if err := json.Unmarshal([]byte(fields[field]), &v); err != nil {
			return nil, fmt.Errorf("%s of instance %s: %.80q in redis is broken: %w", kind, id, field, err)
		}
		all = append(all, v)
	}
	return all, nil
}
