package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Aliases in the store. A physical name of a pool has at most one alias that
// owns it, which no single slot can promise: as display names are (write.go), it
// is claimed in a hash of the pool before the alias is written to its instance.
//
//	     step                                 dying right after it leaves
//	1    claim the physical names             claims without aliases: taken over by whoever
//	                                          wants the names once they are claimStale old
//	2    look for an instance whose prefix    the same
//	     a name is under
//	3    announce an intent                   as in write.go
//	4    write the aliases                    the change is made; found by the intent or a sweep
//	5    announce the change                  nothing
//
// Removing an alias goes 3, 4, 5 and then gives the claim back; a claim that
// stays is found to be nobody's.
//
// An instance and an alias under its prefix exclude each other: PutAliases claims
// and then looks in the index; CreateInstance registers in the index and then
// looks at the claims. At least one of two at the same time sees the other.

// Aliases lists an instance's aliases in order of kind and virtual name;
// ErrNotFound if there is no such instance.
func (s *Store) Aliases(ctx context.Context, id InstanceID) ([]Alias, error) {
	fields, err := s.settings(ctx, id, settingsAliases)
	if err != nil {
		return nil, err
	}
	return decodeAliases(id, fields)
}

// PutAliases adds aliases to an instance, all or nothing. Beside ErrAliasName:
// ErrExists if the instance has an alias of one of the names, ErrOwned if another
// instance owns a physical name, ErrPrefixed if it is under a prefix, ErrFull beyond
// MaxAliases, ErrNotFound without such an instance, ErrConflict if it took too
// long. With ErrUnannounced they were written all the same.
func (s *Store) PutAliases(ctx context.Context, id InstanceID, aliases ...Alias) (Revision, error) {
	for _, a := range aliases {
		if err := a.Check(id); err != nil {
			return 0, err
		}
	}
	in, err := s.Instance(ctx, id)
	if err != nil {
		return 0, err
	}
	// Before anything is claimed, so that a mistake does not block the names.
	if err := s.freeOfAliases(ctx, id, aliases); err != nil {
		return 0, err
	}
	var notAfter int64
	for _, a := range aliases {
		at, err := s.claimAlias(ctx, in, a)
		if err != nil {
			return 0, err
		}
		if notAfter == 0 {
			notAfter = at + claimValid.Milliseconds()
		}
	}
	for _, a := range aliases {
		if err := s.outsidePrefixes(ctx, a); err != nil {
			return 0, err
		}
	}
	return s.writeAliases(ctx, id, MaxAliases, notAfter, aliases)
}

// DeleteAlias removes the alias of a virtual name; ErrNotFound if there is none.
func (s *Store) DeleteAlias(ctx context.Context, id InstanceID, kind Kind, virtual string) (Revision, error) {
	in, err := s.Instance(ctx, id)
	if err != nil {
		return 0, err
	}
	a, err := s.alias(ctx, id, Alias{Kind: kind, Virtual: virtual}.field())
	if err != nil {
		return 0, err
	}
	// The very claim, so that one made by somebody else meanwhile is not given back.
	claimed, err := s.aliasClaim(ctx, in.Pool, a.claimField(id))
	if err != nil {
		return 0, err
	}
	rev, err := s.writeAliases(ctx, id, 0, 0, []Alias{a})
	if claimed != "" && (err == nil || errors.Is(err, ErrUnannounced)) {
		// Failing is no failure: whoever wants the name finds that nobody has it.
		_ = s.run(ctx, s.scripts.release, []string{aliasClaimsKey(in.Pool)}, a.claimField(id), string(id), claimed).Err()
	}
	return rev, err
}

// alias reads one alias by a field of its instance's hash.
func (s *Store) alias(ctx context.Context, id InstanceID, field string) (Alias, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, settingsKey(id, settingsAliases), field).Result()
	if errors.Is(err, redis.Nil) {
		return Alias{}, fmt.Errorf("alias %.80q of instance %s: %w", field, id, ErrNotFound)
	}
	if err != nil {
		return Alias{}, fmt.Errorf("reading alias %.80q of instance %s: %w", field, id, err)
	}
	var a Alias
	if err := json.Unmarshal([]byte(raw), &a); err != nil {
		return Alias{}, fmt.Errorf("alias %.80q of instance %s in redis is broken: %w", field, id, err)
	}
	return a, nil
}

// freeOfAliases says early what writeAliases would refuse.
func (s *Store) freeOfAliases(ctx context.Context, id InstanceID, aliases []Alias) error {
	has, err := s.settings(ctx, id, settingsAliases)
	if err != nil {
		return err
	}
	if len(has)/2+len(aliases) > MaxAliases {
		return fmt.Errorf("instance %s may have %d aliases at most: %w", id, MaxAliases, ErrFull)
	}
	for _, a := range aliases {
		for _, field := range []string{a.field(), a.backField()} {
			if _, taken := has[field]; taken {
				return fmt.Errorf("instance %s: alias %s %.80q of %.80q: %w", id, a.Kind, a.Virtual, a.Physical, ErrExists)
			}
			if has == nil {
				has = make(map[string]string)
			}
			has[field] = ""
		}
	}
	return nil
}

// writeAliases does steps 3 to 5; most is 0 to remove them.
func (s *Store) writeAliases(ctx context.Context, id InstanceID, most int, notAfter int64, aliases []Alias) (Revision, error) {
	args := []any{newStamp(), most, notAfter}
	for _, a := range aliases {
		raw, err := json.Marshal(a)
		if err != nil {
			return 0, fmt.Errorf("alias of instance %s: %w", id, err)
		}
		args = append(args, a.field(), a.backField(), raw)
	}
	if _, err := s.announce(ctx, intent, id, indexKeep); err != nil {
		return 0, err
	}
	keys := []string{recordKey(id), settingsKey(id, settingsAliases)}
	answer, err := s.run(ctx, s.scripts.alias, keys, args...).Text()
	if err != nil {
		return 0, fmt.Errorf("writing aliases of instance %s: %w", id, err)
	}
	switch answer {
	case "ok":
		return s.announceChange(ctx, id, indexKeep)
	case "full":
		return 0, fmt.Errorf("instance %s may have %d aliases at most: %w", id, MaxAliases, ErrFull)
	case "exists":
		return 0, fmt.Errorf("aliases of instance %s: %w", id, ErrExists)
	case "late":
		return 0, fmt.Errorf("instance %s: more than %s passed since its aliases were claimed: %w", id, claimValid, ErrConflict)
	default:
		return 0, fmt.Errorf("aliases of instance %s: %w", id, ErrNotFound)
	}
}
