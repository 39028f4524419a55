package tenancy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func aliasClaimsKey(pool string) string { return "weir:{pool " + pool + "}:aliases" }

// ownField and claimField are the fields of claims.
func ownField(kind Kind, physical string) string { return "own " + string(kind) + " " + physical }

func (a Alias) claimField(id InstanceID) string {
	if a.ReadOnly {
		return "share " + string(id) + " " + a.Physical
	}
	return ownField(a.Kind, a.Physical)
}

// claimAlias claims an alias's physical name for in, taking over what is nobody's
// any more. It returns when, in unix ms by the pool's Redis node.
func (s *Store) claimAlias(ctx context.Context, in Instance, a Alias) (at int64, err error) {
	stale := ""
	for range 2 {
		got, err := s.run(ctx, s.scripts.claim, []string{aliasClaimsKey(in.Pool)},
			a.claimField(in.ID), string(in.ID), newStamp(), stale, "").StringSlice()
		if err != nil {
			return 0, fmt.Errorf("claiming %s %.80q for instance %s: %w", a.Kind, a.Physical, in.ID, err)
		}
		if len(got) != 3 {
			return 0, fmt.Errorf("claiming %s %.80q for instance %s: redis answered %d values, not 3", a.Kind, a.Physical, in.ID, len(got))
		}
		now, err := strconv.ParseInt(got[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("claiming %s %.80q for instance %s: %w", a.Kind, a.Physical, in.ID, err)
		}
		if got[0] == "" {
			return now, nil
		}
		if held, err := s.claimHolds(ctx, a.claimField(in.ID), got[0], now); err != nil {
			return 0, err
		} else if held {
			return 0, fmt.Errorf("%s %.80q: %w", a.Kind, a.Physical, ErrOwned)
		}
		stale = got[0]
	}
	return 0, fmt.Errorf("%s %.80q: %w", a.Kind, a.Physical, ErrOwned)
}

// claimHolds reports whether a claim (a field and its value) counts at now, unix
// ms: it is young, or its holder has the alias.
func (s *Store) claimHolds(ctx context.Context, field, raw string, now int64) (bool, error) {
	h, err := parseHolder(raw)
	if err != nil {
		return false, err
	}
	if time.Duration(now-h.at)*time.Millisecond < claimStale {
		return true, nil // perhaps its alias is being written just now
	}
	kind, physical := parseClaim(field)
	a, err := s.alias(ctx, h.id, Alias{Kind: kind, Physical: physical}.backField())
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && a.claimField(h.id) == field, err
}

// parseClaim takes a claim's field apart. Neither kinds nor ids have spaces.
func parseClaim(field string) (kind Kind, physical string) {
	parts := strings.SplitN(field, " ", 3)
	if len(parts) != 3 {
		return "", ""
	}
	if parts[0] == "share" {
		return KindTopic, parts[2]
	}
	return Kind(parts[1]), parts[2]
}

// aliasClaim reads the claim of a field; "" if there is none.
func (s *Store) aliasClaim(ctx context.Context, pool, field string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, aliasClaimsKey(pool), field).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("reading the claim %.80q: %w", field, err)
	}
	return raw, nil
}

// AliasOwner says which instance owns a physical name of a pool by an alias;
// ErrNotFound if none does.
func (s *Store) AliasOwner(ctx context.Context, pool string, kind Kind, physical string) (InstanceID, error) {
	field := ownField(kind, physical)
	raw, err := s.aliasClaim(ctx, pool, field)
	if err != nil {
		return "", err
	}
	if raw != "" {
		h, err := parseHolder(raw)
		if err != nil {
			return "", err
		}
		a, err := s.alias(ctx, h.id, Alias{Kind: kind, Physical: physical}.backField())
		if err != nil || !a.ReadOnly {
			return h.id, err
		}
	}
	return "", fmt.Errorf("owner of %s %.80q: %w", kind, physical, ErrNotFound)
}

// outsidePrefixes says ErrPrefixed of an alias whose physical name is under the
// prefix of an instance that exists, is being created, or ever was: topics of a
// deleted one may still be there, and its id is never used again.
func (s *Store) outsidePrefixes(ctx context.Context, a Alias) error {
	label, ok := a.label()
	if !ok {
		return nil
	}
	_, err := s.Instance(ctx, label)
	if errors.Is(err, ErrNotFound) {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		_, err = s.rdb.ZScore(ctx, keyIndex, string(label)).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("looking for instance %s: %w", label, err)
	}
	return fmt.Errorf("%s %.80q is under the prefix of instance %s: %w", a.Kind, a.Physical, label, ErrPrefixed)
}

// noAliasUnder says ErrOwned if a physical name under an instance's prefix has
// been given to somebody by an alias. Its cost grows with the aliases of the
// pool: a call to Redis for each thousand.
func (s *Store) noAliasUnder(ctx context.Context, in Instance) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.timeout)
	defer cancel()
	var cursor uint64
	for {
		fields, next, err := s.rdb.HScan(ctx, aliasClaimsKey(in.Pool), cursor, "* "+in.prefix()+"*", 1000).Result()
		if err != nil {
			return fmt.Errorf("looking for aliases under %s: %w", in.prefix(), err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			_, physical := parseClaim(fields[i])
			if !strings.HasPrefix(physical, in.prefix()) {
				continue
			}
			now, err := s.rdb.Time(ctx).Result()
			if err != nil {
				return fmt.Errorf("asking redis for the time: %w", err)
			}
			if held, err := s.claimHolds(ctx, fields[i], fields[i+1], now.UnixMilli()); err != nil {
				return err
			} else if held {
				return fmt.Errorf("instance %s: the pool's %.80q is an alias of another one: %w", in.ID, physical, ErrOwned)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (in Instance) prefix() string { return NewNamespace(in.ID).Prefix() }
