package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// sweep compares everything with Redis, a page at a time: first the ids in the
// index, then the known ones that were not there.
type sweep struct {
	number  uint64
	catchUp bool      // at full speed, and its result is always logged
	next    time.Time // when the next page is due

	after   InstanceID   // the index has been read up to here
	indexed bool         // to its end
	rest    []InstanceID // known, not in the index; valid once indexed

	lost      int   // known here, unknown to Redis
	reindexed int64 // known to Redis, but not in its index
}

// startSweep begins a sweep; catchUp when nothing works until it is done.
func (f *follower) startSweep(catchUp bool) {
	f.sweeps++
	f.sweep = &sweep{number: f.sweeps, catchUp: catchUp}
	f.nextSweep = time.Now().Add(f.dir.cfg.Sweep)
}

// doSweep compares the next page if one is due.
func (f *follower) doSweep(ctx context.Context) error {
	now := time.Now()
	if f.sweep == nil {
		if now.Before(f.nextSweep) {
			return nil
		}
		f.startSweep(false)
	}
	sw := f.sweep
	if !sw.catchUp && now.Before(sw.next) {
		return nil
	}
	if err := f.sweepPage(ctx, sw); err != nil {
		return err
	}
	if sw.indexed && len(sw.rest) == 0 {
		f.endSweep(sw)
		return nil
	}
	pages := len(f.known)/maxPage + 1
	sw.next = now.Add(f.dir.cfg.Sweep / time.Duration(pages))
	return nil
}

func (f *follower) sweepPage(ctx context.Context, sw *sweep) error {
	if sw.indexed {
		n := min(len(sw.rest), maxPage)
		page := sw.rest[:n]
		sw.rest = sw.rest[n:]
		if err := f.compare(ctx, sw, page); err != nil {
			return err
		}
		return f.reindex(ctx, sw, page)
	}
	if sw.after == "" { // plans first: instances are then never seen without them
		if err := f.loadPlans(ctx); err != nil {
			return err
		}
	}
	page, err := f.s.indexPage(ctx, sw.after, maxPage)
	if err != nil {
		return err
	}
	for _, id := range page {
		if r := f.known[id]; r != nil {
			r.seen = sw.number
		}
		sw.after = id
	}
	if err := f.compare(ctx, sw, page); err != nil {
		return err
	}
	if len(page) == maxPage {
		return nil
	}
	sw.indexed = true
	for id, r := range f.known {
		if r.seen != sw.number {
			sw.rest = append(sw.rest, id)
		}
	}
	return nil
}

// compare loads those of a page that are unknown here, or whose stamp in Redis is another.
func (f *follower) compare(ctx context.Context, sw *sweep, page []InstanceID) error {
	var known, differ []InstanceID
	for _, id := range page {
		if f.known[id] != nil {
			known = append(known, id)
		} else {
			differ = append(differ, id)
		}
	}
	stamps, err := pipelined(ctx, f.s, known, func(ctx context.Context, p redis.Pipeliner, id InstanceID) *redis.StringCmd {
		return p.HGet(ctx, recordKey(id), fieldStamp)
	})
	if err != nil {
		return fmt.Errorf("comparing instances with redis: %w", err)
	}
	for i, stamp := range stamps {
		switch {
		case errors.Is(stamp.Err(), redis.Nil):
			sw.lost++
		case stamp.Val() != f.known[known[i]].stamp:
			differ = append(differ, known[i])
		default:
			f.known[known[i]].seen = sw.number
		}
	}
	found, err := f.load(ctx, differ)
	for _, id := range found {
		f.known[id].seen = sw.number
	}
	return err
}

// reindex puts those of a page back into the index that Redis has a living
// record of. Deleting takes an id out of the index only after the tombstone was
// written, so one that lives and is not there was lost (in a Cluster, the index
// is on another node than the records); no new gateway would find it.
func (f *follower) reindex(ctx context.Context, sw *sweep, page []InstanceID) error {
	var members []redis.Z
	for _, id := range page {
		if r := f.known[id]; r != nil && r.seen == sw.number {
			members = append(members, redis.Z{Member: string(id)})
		}
	}
	if len(members) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.s.timeout)
	defer cancel()
	n, err := f.s.rdb.ZAddNX(ctx, keyIndex, members...).Result()
	if err != nil {
		return fmt.Errorf("repairing the index of instances: %w", err)
	}
	sw.reindexed += n
	return nil
}

func (f *follower) endSweep(sw *sweep) {
	if sw.lost > 0 && (sw.catchUp || sw.lost != f.lost) {
		f.log.Warn("redis has lost instances, serving them from the snapshot: restore its data", "lost", sw.lost, "instances", len(f.known))
	}
	if sw.reindexed > 0 {
		f.log.Warn("repaired the index of instances in redis", "added", sw.reindexed)
	}
	f.lost, f.sweep = sw.lost, nil
}

// load reads instances and puts in force what differs from what is known. It
// returns those of ids of which Redis has a living record.
func (f *follower) load(ctx context.Context, ids []InstanceID) (living []InstanceID, err error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if i, ok := slices.BinarySearch(ids, plansID); ok {
		if err := f.loadPlans(ctx); err != nil {
			return nil, err
		}
		ids = slices.Delete(ids, i, i+1)
	}
	records, err := pipelined(ctx, f.s, ids, func(ctx context.Context, p redis.Pipeliner, id InstanceID) *redis.MapStringStringCmd {
		return p.HGetAll(ctx, recordKey(id))
	})
	if err != nil {
		return nil, fmt.Errorf("loading instances: %w", err)
	}
	beside, err := f.loadSettings(ctx, ids, records)
	if err != nil {
		return nil, err
	}
	for i, cmd := range records {
		if f.adopt(ids[i], cmd.Val(), beside[ids[i]]) {
			living = append(living, ids[i])
		}
	}
	return living, nil
}

// loadSettings reads the settings of those whose record is not the known one.
// They are read after the record, so they are never older than its stamp says.
func (f *follower) loadSettings(ctx context.Context, ids []InstanceID, records []*redis.MapStringStringCmd) (map[InstanceID]settings, error) {
	var changed []InstanceID
	for i, cmd := range records {
		if stamp := cmd.Val()[fieldStamp]; stamp != "" && (f.known[ids[i]] == nil || f.known[ids[i]].stamp != stamp) {
			changed = append(changed, ids[i])
		}
	}
	beside := make(map[InstanceID]settings, len(changed))
	kinds := settingsKinds()
	cmds := make(map[InstanceID][]*redis.MapStringStringCmd, len(changed))
	_, err := pipelined(ctx, f.s, changed, func(ctx context.Context, p redis.Pipeliner, id InstanceID) *redis.MapStringStringCmd {
		for _, kind := range kinds {
			cmds[id] = append(cmds[id], p.HGetAll(ctx, settingsKey(id, kind)))
		}
		return cmds[id][0] // an error of any of them is that of the pipeline
	})
	if err != nil {
		return nil, fmt.Errorf("loading settings: %w", err)
	}
	for id, of := range cmds {
		for i, cmd := range of {
			if err := cmd.Err(); err != nil {
				return nil, fmt.Errorf("loading %s of instance %s: %w", kinds[i], id, err)
			}
			if len(cmd.Val()) == 0 {
				continue
			}
			if beside[id] == nil {
				beside[id] = settings{}
			}
			beside[id][kinds[i]] = cmd.Val()
		}
	}
	return beside, nil
}

// adopt puts a record in force unless it is what is known already, and says
// whether it is of a living instance. A missing record is no news, a broken one
// is skipped: in both cases the former view stays.
func (f *follower) adopt(id InstanceID, fields map[string]string, beside settings) (living bool) {
	raw, ok := fields[fieldInstance]
	if !ok {
		return false
	}
	was := f.known[id]
	if was != nil && was.stamp == fields[fieldStamp] {
		return true
	}
	view, err := decodeView(id, raw, fields, beside)
	if err != nil {
		f.log.Error("skipped a broken record in redis, keeping the former view", "instance", string(id), "err", err)
		return false
	}
	if view.Instance.State != StateDeleted {
		r := &record{stamp: fields[fieldStamp]}
		if was != nil {
			r.seen = was.seen
		}
		f.known[id] = r
		f.dir.keep(view)
		f.dir.publish(view)
		return true
	}
	if was != nil {
		delete(f.known, id)
		f.dir.publish(view)
	}
	return false
}

func decodeView(id InstanceID, raw string, fields map[string]string, beside settings) (*View, error) {
	if _, err := ParseInstanceID(string(id)); err != nil {
		return nil, err
	}
	in, err := decodeInstance(id, raw)
	if err != nil {
		return nil, err
	}
	users, err := decodeUsers(id, fields)
	if err != nil {
		return nil, err
	}
	acls, err := decodeSettings[ACL](id, settingsACLs, beside[settingsACLs])
	if err != nil {
		return nil, err
	}
	quotas, err := decodeQuotas(id, beside[settingsQuotas])
	if err != nil {
		return nil, err
	}
	limits, err := decodeLimits(id, beside[settingsLimits])
	if err != nil {
		return nil, err
	}
	aliases, err := decodeAliases(id, beside[settingsAliases])
	if err != nil {
		return nil, err
	}
	access, err := decodeAccess(id, beside)
	if err != nil {
		return nil, err
	}
	return &View{
		Instance: in, Space: NewNamespace(id, aliases...), Users: users,
		ACLs: &ACLs{All: acls}, Limits: limits, Quotas: quotas, Access: access,
	}, nil
}
