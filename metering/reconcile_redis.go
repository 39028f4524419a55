package metering

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

// Keys of comparisons with the logs:
//
//	weir:{<instance>}:reconcile  hash: base (baseline, JSON), last (Comparison, JSON); countsKept
func reconcileKey(id tenancy.InstanceID) string { return "weir:{" + string(id) + "}:reconcile" }

// reconcilePage is how many instances one round trip reads, each of some hours.
const reconcilePage = 100

// baselines reads what instances are compared with. What cannot be read is as if it
// were not there: there is a new one then.
func (s *RecordStore) baselines(ctx context.Context, ids []tenancy.InstanceID) (map[tenancy.InstanceID]*compared, error) {
	all := make(map[tenancy.InstanceID]*compared, len(ids))
	for page := range slices.Chunk(ids, reconcilePage) {
		cmds := make([]*redis.StringCmd, len(page))
		err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
			for i, id := range page {
				cmds[i] = p.HGet(ctx, reconcileKey(id), "base")
			}
		})
		if err != nil {
			return nil, fmt.Errorf("comparing usage with logs: %w", err)
		}
		for i, id := range page {
			all[id] = &compared{}
			if json.Unmarshal([]byte(cmds[i].Val()), &all[id].base) != nil {
				all[id].base = baseline{}
			}
		}
	}
	return all, nil
}

// saveCompared keeps results, and what is compared with next.
func (s *RecordStore) saveCompared(ctx context.Context, all map[tenancy.InstanceID]*compared) error {
	for page := range slices.Chunk(slices.Sorted(maps.Keys(all)), reconcilePage) {
		err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
			for _, id := range page {
				base, _ := json.Marshal(all[id].base)
				last, _ := json.Marshal(all[id].result)
				p.HSet(ctx, reconcileKey(id), "base", base, "last", last)
				p.Expire(ctx, reconcileKey(id), countsKept)
			}
		})
		if err != nil {
			return fmt.Errorf("comparing usage with logs: %w", err)
		}
	}
	return nil
}

// Comparison is the newest comparison of an instance with its logs; not ok if there was none.
func (s *RecordStore) Comparison(ctx context.Context, id tenancy.InstanceID) (c Comparison, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	switch text, err := s.rdb.HGet(ctx, reconcileKey(id), "last").Result(); {
	case err == redis.Nil: //nolint:errorlint // go-redis returns it as it is
		return Comparison{}, false, nil
	case err != nil:
		return Comparison{}, false, fmt.Errorf("comparison of instance %s with its logs: %w", id, err)
	default:
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return Comparison{}, false, fmt.Errorf("comparison of instance %s with its logs: %w", id, err)
		}
		return c, true, nil
	}
}

// pipelined runs commands in one round trip. A missing key is no error.
func (s *RecordStore) pipelined(ctx context.Context, issue func(context.Context, redis.Pipeliner)) error {
	ctx, cancel := context.WithTimeout(ctx, recordsReadLimit)
	defer cancel()
	p := s.rdb.Pipeline()
	issue(ctx, p)
	cmds, _ := p.Exec(ctx)
	for _, c := range cmds {
		if err := c.Err(); err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
			return err
		}
	}
	return ctx.Err()
}

// metered adds up what instances have counted, up to an hour.
func (r *Reconciler) metered(ctx context.Context, all map[tenancy.InstanceID]*compared, to Hour) (map[tenancy.InstanceID]sums, error) {
	metered := make(map[tenancy.InstanceID]sums, len(all))
	for page := range slices.Chunk(slices.Sorted(maps.Keys(all)), reconcilePage) {
		cmds := make([][]*redis.MapStringStringCmd, len(page))
		err := r.cfg.Records.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
			for i, id := range page {
				for h := all[id].first(); h <= to; h++ {
					cmds[i] = append(cmds[i], p.HGetAll(ctx, countsKey(id, h)))
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("comparing usage with logs: %w", err)
		}
		for i, id := range page {
			var sum sums
			for j, cmd := range cmds[i] {
				h := all[id].first() + Hour(j)
				counts, _, err := readCounts(id, h, cmd.Val()) // what is damaged shows as a difference
				if err != nil {
					return nil, err
				}
				for _, c := range counts {
					if c.Line.Part != "" {
						continue
					}
					sum.base = sum.base.Plus(c.Values)
					if h >= all[id].here.Hour {
						sum.here = sum.here.Plus(c.Values)
					}
				}
			}
			metered[id] = sum
		}
	}
	return metered, nil
}

// first is the hour from which on counts are needed.
func (c *compared) first() Hour {
	if c.base.Topics == nil {
		return c.here.Hour
	}
	return min(c.base.Hour, c.here.Hour)
}
