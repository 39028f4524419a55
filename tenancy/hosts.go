package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Host names in the store. One belongs to at most one instance of all, which no
// single slot can promise: it is claimed in a hash of its own before it is written
// to its instance, as aliases are (aliases.go, with the same steps). What a dead
// writer leaves behind is taken over.

// Hosts lists an instance's host names in order; ErrNotFound without such an instance.
func (s *Store) Hosts(ctx context.Context, id InstanceID) ([]Host, error) {
	fields, err := s.settings(ctx, id, settingsHosts)
	if err != nil {
		return nil, err
	}
	return decodeHosts(id, fields)
}

// decodeHosts reads the hash, and insists that each is what its field says.
func decodeHosts(id InstanceID, fields map[string]string) ([]Host, error) {
	all, err := decodeSettings[Host](id, settingsHosts, fields)
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if _, ok := fields[h.Name]; !ok {
			return nil, fmt.Errorf("host %.80q of instance %s in redis is broken", h.Name, id)
		}
	}
	return all, nil
}

// PutHost adds a host name made by NewHost, or replaces its certificate, and returns
// what is stored: the time of making of a replaced one stays. ErrOwned if another
// instance has it, ErrFull beyond MaxHosts, ErrNotFound without such an instance,
// ErrConflict if it took too long. With ErrUnannounced it was written all the same.
func (s *Store) PutHost(ctx context.Context, id InstanceID, h Host) (Host, Revision, error) {
	if name, err := ParseHostName(h.Name); err != nil || name != h.Name || h.Chain == "" || len(h.Key) == 0 {
		return Host{}, 0, fmt.Errorf("host %.80q of instance %s is incomplete: %w", h.Name, id, ErrHost)
	}
	has, err := s.Hosts(ctx, id) // before anything is claimed, so that a mistake does not block the name
	if err != nil {
		return Host{}, 0, err
	}
	switch there := slices.IndexFunc(has, func(o Host) bool { return o.Name == h.Name }); {
	case there >= 0:
		h.CreatedAt = has[there].CreatedAt
	case len(has) >= MaxHosts:
		return Host{}, 0, fmt.Errorf("instance %s may have %d host names at most: %w", id, MaxHosts, ErrFull)
	}
	at, err := s.claimHost(ctx, id, h.Name)
	if err != nil {
		return Host{}, 0, err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return Host{}, 0, fmt.Errorf("host %s of instance %s: %w", h.Name, id, err)
	}
	rev, err := s.change(ctx, id, settingsChange{
		kind: settingsHosts, most: MaxHosts, put: map[string]string{h.Name: string(raw)},
		when: whenBefore(at + claimValid.Milliseconds()),
	})
	if err != nil {
		return h, rev, err
	}
	return h, rev, s.confirmHost(ctx, id, h.Name)
}

// confirmHost claims a name once more if it was given back meanwhile, by a removal
// that saw the host before it was written again.
func (s *Store) confirmHost(ctx context.Context, id InstanceID, name string) error {
	raw, err := s.hostClaim(ctx, name)
	if err == nil && raw == "" {
		_, err = s.claimHost(ctx, id, name)
	}
	if errors.Is(err, ErrOwned) {
		_, _ = s.change(ctx, id, settingsChange{kind: settingsHosts, remove: []string{name}, most: MaxHosts})
		return err
	}
	return nil // it is written; directories let one instance have it at most
}

// DeleteHost takes a host name from an instance; ErrNotFound if it has none of that
// name. With ErrUnannounced it was removed all the same.
func (s *Store) DeleteHost(ctx context.Context, id InstanceID, name string) (Revision, error) {
	// The very claim, so that one made by somebody else meanwhile is not given back.
	claimed, err := s.hostClaim(ctx, name)
	if err != nil {
		return 0, err
	}
	rev, err := s.change(ctx, id, settingsChange{kind: settingsHosts, remove: []string{name}, most: MaxHosts, when: whenThere})
	if err == nil || errors.Is(err, ErrUnannounced) {
		s.releaseHost(ctx, id, name, claimed)
	}
	return rev, err
}

// releaseHost gives a claim back. Failing is no failure: whoever wants the name
// finds that nobody has it.
func (s *Store) releaseHost(ctx context.Context, id InstanceID, name, claimed string) {
	if claimed != "" {
		_ = s.run(ctx, s.scripts.release, []string{keyHosts}, name, string(id), claimed).Err()
	}
}

// hostClaims are the claims of all names that an instance has, by name: what to
// give back once it is deleted.
func (s *Store) hostClaims(ctx context.Context, id InstanceID) map[string]string {
	hosts, err := s.Hosts(ctx, id)
	if err != nil {
		return nil // see releaseHost
	}
	claims := make(map[string]string, len(hosts))
	for _, h := range hosts {
		claims[h.Name], _ = s.hostClaim(ctx, h.Name)
	}
	return claims
}

// hostClaim reads who has claimed a name; "" if nobody.
func (s *Store) hostClaim(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, keyHosts, name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("reading the claim on host %.80q: %w", name, err)
	}
	return raw, nil
}

// claimHost claims a name for an instance, taking over what is nobody's any more.
// It returns when, in unix ms by Redis.
func (s *Store) claimHost(ctx context.Context, id InstanceID, name string) (at int64, err error) {
	stale := ""
	for range 2 {
		got, err := s.run(ctx, s.scripts.claim, []string{keyHosts}, name, string(id), newStamp(), stale, "").StringSlice()
		if err != nil {
			return 0, fmt.Errorf("claiming host %s for instance %s: %w", name, id, err)
		}
		if len(got) != 3 {
			return 0, fmt.Errorf("claiming host %s for instance %s: redis answered %d values, not 3", name, id, len(got))
		}
		now, err := strconv.ParseInt(got[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("claiming host %s for instance %s: %w", name, id, err)
		}
		if got[0] == "" {
			return now, nil
		}
		if held, err := s.hostHeld(ctx, name, got[0], now); err != nil {
			return 0, err
		} else if held {
			break
		}
		stale = got[0]
	}
	return 0, fmt.Errorf("host %s: %w", name, ErrOwned)
}

// hostHeld reports whether a claim counts at now, unix ms: it is young, or its
// holder has the name.
func (s *Store) hostHeld(ctx context.Context, name, raw string, now int64) (bool, error) {
	h, err := parseHolder(raw)
	if err != nil {
		return false, err
	}
	if time.Duration(now-h.at)*time.Millisecond < claimStale {
		return true, nil // perhaps it is being written just now
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	has, err := s.rdb.HExists(ctx, settingsKey(h.id, settingsHosts), name).Result()
	if err != nil {
		return false, fmt.Errorf("looking for host %s at instance %s: %w", name, h.id, err)
	}
	return has, nil
}
