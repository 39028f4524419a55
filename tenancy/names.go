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

// claim is an instance's hold on a display name within its tenant. The zero
// claim is of a write that needs none.
type claim struct {
	at     int64  // unix ms by the clock of the tenant's Redis node
	former string // the raw claim on the name that the instance had before, "" if none
}

// notAfter is until when the instance that bears the name must be written, unix ms; 0: any time.
func (c claim) notAfter() int64 {
	if c.at == 0 {
		return 0
	}
	return c.at + claimValid.Milliseconds()
}

// holder is who has claimed a name.
type holder struct {
	id  InstanceID
	at  int64 // unix ms
	raw string
}

func parseHolder(raw string) (holder, error) {
	id, rest, _ := strings.Cut(raw, " ")
	ms, _, _ := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return holder{}, fmt.Errorf("the claim %.80q on a name in redis is broken", raw)
	}
	return holder{id: InstanceID(id), at: at, raw: raw}, nil
}

// holder reads who has claimed a name; ErrNotFound if nobody.
func (s *Store) holder(ctx context.Context, t TenantID, name string) (holder, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, namesKey(t), name).Result()
	if errors.Is(err, redis.Nil) {
		return holder{}, fmt.Errorf("instance %.80q of tenant %s: %w", name, t, ErrNotFound)
	}
	if err != nil {
		return holder{}, fmt.Errorf("looking up instance %.80q of tenant %s: %w", name, t, err)
	}
	return parseHolder(raw)
}

// claim claims in's name for it, taking over what a dead writer left behind.
func (s *Store) claim(ctx context.Context, in Instance, former string) (claim, error) {
	stale := ""
	for range 2 {
		got, err := s.run(ctx, s.scripts.claim, []string{namesKey(in.Tenant)},
			in.Name, string(in.ID), newStamp(), stale, former).StringSlice()
		if err != nil {
			return claim{}, fmt.Errorf("claiming the name %q for instance %s: %w", in.Name, in.ID, err)
		}
		if len(got) != 3 {
			return claim{}, fmt.Errorf("claiming the name %q for instance %s: redis answered %d values, not 3", in.Name, in.ID, len(got))
		}
		now, err := strconv.ParseInt(got[1], 10, 64)
		if err != nil {
			return claim{}, fmt.Errorf("claiming the name %q for instance %s: %w", in.Name, in.ID, err)
		}
		if got[0] == "" {
			return claim{at: now, former: got[2]}, nil
		}
		if stale, err = s.staleClaim(ctx, in, got[0], now); err != nil {
			return claim{}, err
		}
	}
	return claim{}, takenError(in)
}

// staleClaim returns the claim if it may be taken over, else ErrNameTaken.
func (s *Store) staleClaim(ctx context.Context, in Instance, raw string, now int64) (string, error) {
	h, err := parseHolder(raw)
	if err != nil {
		return "", err
	}
	young := time.Duration(now-h.at)*time.Millisecond < claimStale
	other, err := s.Instance(ctx, h.id)
	missing := errors.Is(err, ErrNotFound)
	switch {
	case err != nil && !missing:
		return "", err
	case !missing && other.State == StateDeleted:
		return raw, nil // a tombstone bears no name again; who deleted it is about to release it
	case young, !missing && other.holds(in.Tenant, in.Name):
		return "", takenError(in) // young: perhaps its instance is being written just now
	}
	return raw, nil
}

func takenError(in Instance) error {
	return fmt.Errorf("tenant %s has an instance %q: %w", in.Tenant, in.Name, ErrNameTaken)
}

// release gives a name back: the very claim given, or with "" any that the
// instance has on it. Failing is no failure of the write it belongs to: whoever
// wants the name finds that its holder does not bear it, and takes it over.
func (s *Store) release(ctx context.Context, t TenantID, name string, id InstanceID, raw string) {
	_ = s.run(ctx, s.scripts.release, []string{namesKey(t)}, name, string(id), raw).Err()
}
