package tenancy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of the store that callers tell apart.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("exists already")    // instance id or user name taken (also by a tombstone)
	ErrNameTaken = errors.New("name is taken")     // display name taken within the tenant
	ErrConflict  = errors.New("changed meanwhile") // optimistic concurrency lost
	ErrFull      = errors.New("limit reached")     // MaxUsers, MaxACLs, MaxQuotas, MaxAliases
	// ErrOwned is of a physical name of the pool that an alias or a prefix of some instance has.
	ErrOwned = errors.New("belongs to an instance already")
	// ErrPrefixed is the ErrOwned of a name under a prefix: not even a share can have it.
	ErrPrefixed = fmt.Errorf("%w and cannot be shared", ErrOwned)
	// ErrUnannounced comes with a write that is done and will not be undone, but
	// whose announcement failed: gateways find it within DirectoryConfig.Sweep.
	ErrUnannounced = errors.New("written, but not yet announced to gateways")
	// ErrLost is WaitApplied's for a revision that Redis does not know any more:
	// it restarted with less data, and the write may be gone.
	ErrLost = errors.New("lost by redis")
)

// Store keeps instances with their users, ACLs, quotas and aliases in Redis (standalone, Sentinel or Cluster).
// Any goroutine. Redis is asked at most callTimeout a step.
type Store struct {
	rdb     redis.UniversalClient
	scripts scripts
	timeout time.Duration // callTimeout, but for tests on slow machines
}

// Revision orders changes over all instances; it grows by one with each.
// Only Redis losing data makes it smaller.
type Revision int64

// NewStore returns a store on rdb, whoever made it keeps and closes it. It must
// have been made with ContextTimeoutEnabled, or no deadline holds; with
// MaxRetries of at most 2, since the store has loops of its own; and it must read
// from masters only (no ReadOnly, no RouteByLatency), or a directory adopts a lagging copy.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{rdb: rdb, scripts: newScripts(), timeout: callTimeout}
}

// Instance reads one instance, tombstones included; ErrNotFound if the id was never used.
func (s *Store) Instance(ctx context.Context, id InstanceID) (Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, recordKey(id), fieldInstance).Result()
	if errors.Is(err, redis.Nil) {
		return Instance{}, fmt.Errorf("instance %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Instance{}, fmt.Errorf("reading instance %s: %w", id, err)
	}
	return decodeInstance(id, raw)
}

// InstanceByName finds an instance by its tenant and display name; ErrNotFound if there is none.
func (s *Store) InstanceByName(ctx context.Context, t TenantID, name string) (Instance, error) {
	raw, err := s.holder(ctx, t, name)
	if err != nil {
		return Instance{}, err
	}
	in, err := s.Instance(ctx, raw.id)
	if errors.Is(err, ErrNotFound) || err == nil && !in.holds(t, name) {
		// A claim whose instance was never written, or was renamed or deleted since.
		return Instance{}, fmt.Errorf("instance %q of tenant %s: %w", name, t, ErrNotFound)
	}
	return in, err
}

// holds reports whether the display name is in use by in.
func (in Instance) holds(t TenantID, name string) bool {
	return in.Tenant == t && in.Name == name && in.State != StateDeleted
}

// Instances lists at most limit (1 to 500, else 500) instances that are not
// deleted in order of id, after the given id; next is "" at the end, else what
// to give as after.
func (s *Store) Instances(ctx context.Context, after InstanceID, limit int) (page []Instance, next InstanceID, err error) {
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	for {
		ids, err := s.indexPage(ctx, after, maxPage)
		if err != nil {
			return nil, "", err
		}
		records, err := s.readInstances(ctx, ids)
		if err != nil {
			return nil, "", err
		}
		for _, in := range records {
			if len(page) == limit {
				return page, page[limit-1].ID, nil
			}
			page = append(page, in)
		}
		if len(ids) < maxPage {
			return page, "", nil
		}
		after = ids[len(ids)-1]
	}
}

// readInstances reads those of ids that exist and are not deleted.
func (s *Store) readInstances(ctx context.Context, ids []InstanceID) ([]Instance, error) {
	cmds, err := pipelined(ctx, s, ids, func(ctx context.Context, p redis.Pipeliner, id InstanceID) *redis.StringCmd {
		return p.HGet(ctx, recordKey(id), fieldInstance)
	})
	if err != nil {
		return nil, fmt.Errorf("reading instances: %w", err)
	}
	var all []Instance
	for i, cmd := range cmds {
		if errors.Is(cmd.Err(), redis.Nil) {
			continue // registered, not written yet
		}
		in, err := decodeInstance(ids[i], cmd.Val())
		if err != nil {
			return nil, err
		}
		if in.State != StateDeleted {
			all = append(all, in)
		}
	}
	return all, nil
}

// indexPage lists up to n registered ids after the given one. Some may have no record (yet).
func (s *Store) indexPage(ctx context.Context, after InstanceID, n int64) ([]InstanceID, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	low := "-"
	if after != "" {
		low = "(" + string(after)
	}
	by := &redis.ZRangeBy{Min: low, Max: "+", Count: n}
	ids, err := s.rdb.ZRangeByLex(ctx, keyIndex, by).Result()
	if err != nil {
		return nil, fmt.Errorf("listing instance ids: %w", err)
	}
	page := make([]InstanceID, len(ids))
	for i, id := range ids {
		page[i] = InstanceID(id)
	}
	return page, nil
}
