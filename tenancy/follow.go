package tenancy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// blockFor is how long one XREAD waits for an entry: also how long the end of
	// Run may take, since a blocked read does not notice that its context ended.
	blockFor = 250 * time.Millisecond
	// batch is how many entries one XREAD returns at most.
	batch = 500

	retryMin = 50 * time.Millisecond
	retryMax = time.Second
)

// errGap says that entries of the change stream were missed, or belong to
// another history than the one followed so far.
var errGap = errors.New("the change stream does not continue where it was left")

// cursor is an entry of the change stream that has been applied.
type cursor struct {
	id  string   // "1700000000000-0"
	rev Revision // as of that entry
}

// follower keeps a directory current. All of it belongs to Run's goroutine, so
// that an instance's records are applied in the order in which they were read.
//
// It knows three states. Away: a call failed, everything begins anew after a
// pause. Catching up: it has noted the stream's tail, compares everything with
// Redis, and reads the stream from that tail between the pages; what it has
// applied is not known. Current: all entries up to at have been applied; sweeps go
// on slowly.
type follower struct {
	dir *Directory
	s   *Store
	log *slog.Logger

	at        cursor
	current   bool
	joined    bool // was current once: the store counts on its reports
	known     map[InstanceID]*record
	sweep     *sweep // nil between sweeps
	sweeps    uint64 // how many were started
	lost      int    // by the last sweep
	nextSweep time.Time
	rechecks  []recheck // in order of time
	reported  time.Time
	away      bool
	plans     string // stamp of the last change of plans that is in force
	plansLost bool   // said so
}

// record is what the follower remembers of one instance it holds a view of.
type record struct {
	stamp string // of the write that the view is of
	seen  uint64 // the sweep that last saw it in the index
}

// recheck is an intent to follow up.
type recheck struct {
	id InstanceID
	at time.Time
}

func newFollower(d *Directory) *follower {
	return &follower{dir: d, s: d.cfg.Store, log: d.cfg.Log, known: map[InstanceID]*record{}}
}

func (f *follower) run(ctx context.Context) {
	defer f.leave(ctx)
	wait := retryMin
	for ctx.Err() == nil {
		err := f.follow(ctx, func() { wait = retryMin })
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGap):
			f.log.Info("comparing all instances with redis", "reason", err)
			wait = retryMin
		case !f.away:
			f.away = true
			f.log.Warn("redis is away, serving the last snapshot", "instances", len(f.known), "err", err)
		}
		pause(ctx, wait/2+rand.N(wait/2))
		wait = min(2*wait, retryMax)
	}
}

// follow catches up and follows until something fails. It calls healthy once it is current.
func (f *follower) follow(ctx context.Context, healthy func()) error {
	f.current = false
	defer f.dir.applied.Store(-1)
	if err := f.begin(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		moved, err := f.readChanges(ctx)
		if err != nil {
			return err
		}
		if err := f.doRechecks(ctx); err != nil {
			return err
		}
		if err := f.doSweep(ctx); err != nil {
			return err
		}
		switch {
		case !f.current && f.sweep == nil:
			if err := f.becomeCurrent(ctx); err != nil {
				return err
			}
			healthy()
		case f.joined && (moved && f.current || time.Since(f.reported) >= heartbeatEvery):
			if _, err := f.report(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// begin notes the stream's tail before anything is compared, so that a change
// during the comparison is seen at least once.
func (f *follower) begin(ctx context.Context) error {
	got, err := f.s.run(ctx, f.s.scripts.tail, []string{keyChanges, keyRevision}, streamLen).Slice()
	if err != nil {
		return fmt.Errorf("reading the tail of the change stream: %w", err)
	}
	if len(got) != 2 {
		return fmt.Errorf("reading the tail of the change stream: redis answered %d values, not 2", len(got))
	}
	id, _ := got[0].(string)
	rev, _ := got[1].(int64)
	f.at = cursor{id: id, rev: Revision(rev)}
	f.startSweep(true)
	if !f.joined {
		return nil
	}
	_, err = f.report(ctx) // it lives, and says at once that it may lag
	return err
}

// becomeCurrent joins the gateways that WaitApplied waits for. Changes announced
// before it joined were not waited for, so it reads until it stands at the
// present revision before anybody may rely on it.
func (f *follower) becomeCurrent(ctx context.Context) error {
	f.current = true
	for {
		present, err := f.report(ctx)
		if err != nil {
			return err
		}
		f.joined = true
		if present <= f.at.rev {
			break
		}
		if _, err := f.readChanges(ctx); err != nil {
			return err
		}
	}
	f.dir.applied.Store(int64(f.at.rev))
	select {
	case <-f.dir.ready:
	default:
		close(f.dir.ready)
	}
	if f.away {
		f.away = false
		f.log.Info("redis is back", "instances", len(f.known), "revision", int64(f.at.rev))
	}
	return nil
}

// readChanges reads the next entries and applies them. It waits for one unless
// there is other work.
func (f *follower) readChanges(ctx context.Context) (moved bool, err error) {
	args := &redis.XReadArgs{Streams: []string{keyChanges, f.at.id}, Count: batch, Block: f.idle()}
	callCtx, cancel := context.WithTimeout(ctx, blockFor+f.s.timeout)
	defer cancel()
	streams, err := f.s.rdb.XRead(callCtx, args).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the change stream: %w", err)
	}
	at, ids := f.at, []InstanceID(nil)
	for _, stream := range streams {
		for _, m := range stream.Messages {
			id, isChange, err := at.advance(m)
			if err != nil {
				return false, err
			}
			if isChange {
				ids = append(ids, id)
			} else if id != "" {
				f.rechecks = append(f.rechecks, recheck{id, time.Now().Add(f.dir.cfg.Recheck)})
			}
		}
	}
	if _, err := f.load(ctx, ids); err != nil {
		return false, err
	}
	f.at = at
	if f.current {
		f.dir.applied.Store(int64(at.rev))
	}
	return len(ids) > 0, nil
}

// advance moves the cursor over one entry. Revisions are dense: a change adds
// one, anything else repeats the latest; everything that is otherwise is a gap.
func (c *cursor) advance(m redis.XMessage) (id InstanceID, isChange bool, err error) {
	kind, _ := m.Values["kind"].(string)
	name, _ := m.Values["id"].(string)
	raw, _ := m.Values["rev"].(string)
	rev, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return "", false, fmt.Errorf("%w: entry %s has revision %.20q", errGap, m.ID, raw)
	}
	expect := c.rev
	if isChange = kind == change; isChange {
		expect++
	}
	if Revision(rev) != expect {
		return "", false, fmt.Errorf("%w: revision %d follows %d", errGap, rev, c.rev)
	}
	c.id, c.rev = m.ID, Revision(rev)
	return InstanceID(name), isChange, nil
}

// idle is how long to wait for changes; negative: not at all.
func (f *follower) idle() time.Duration {
	now := time.Now()
	wait := min(blockFor, f.reported.Add(heartbeatEvery).Sub(now))
	switch {
	case !f.current:
		return -1
	case f.sweep != nil:
		wait = min(wait, f.sweep.next.Sub(now))
	default:
		wait = min(wait, f.nextSweep.Sub(now))
	}
	if len(f.rechecks) > 0 {
		wait = min(wait, f.rechecks[0].at.Sub(now))
	}
	if wait < time.Millisecond {
		return -1 // 0 would block for ever
	}
	return wait
}

// doRechecks reads those instances again whose intents are old enough.
func (f *follower) doRechecks(ctx context.Context) error {
	n := 0
	for n < len(f.rechecks) && n < maxPage && !f.rechecks[n].at.After(time.Now()) {
		n++
	}
	if n == 0 {
		return nil
	}
	ids := make([]InstanceID, n)
	for i, r := range f.rechecks[:n] {
		ids[i] = r.id
	}
	if _, err := f.load(ctx, ids); err != nil {
		return err
	}
	f.rechecks = append(f.rechecks[:0], f.rechecks[n:]...)
	return nil
}

// report is the heartbeat. It returns the present revision, and errGap if Redis
// does not know the entry that this gateway stands on.
func (f *follower) report(ctx context.Context) (present Revision, err error) {
	rev := int64(f.at.rev)
	if !f.current {
		rev = -1
	}
	keys := []string{keyGateways, keyChanges, keyRevision, keySettling}
	got, err := f.s.run(ctx, f.s.scripts.report, keys, f.dir.cfg.Gateway, f.at.id, rev,
		liveFor.Milliseconds(), forgetAfter.Milliseconds(), f.joined, settleFor.Milliseconds()).Int64Slice()
	if err != nil {
		return 0, fmt.Errorf("reporting to redis: %w", err)
	}
	if len(got) != 2 {
		return 0, fmt.Errorf("reporting to redis: it answered %d values, not 2", len(got))
	}
	f.reported = time.Now()
	if f.current && got[0] == 0 {
		return 0, fmt.Errorf("%w: redis does not know revision %d", errGap, rev)
	}
	return Revision(got[1]), nil
}

// leave takes the gateway off the list, so that nobody waits for it.
func (f *follower) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.s.timeout)
	defer cancel()
	if err := f.s.rdb.HDel(ctx, keyGateways, f.dir.cfg.Gateway).Err(); err != nil {
		f.log.Info("could not sign off from redis", "err", err)
	}
}
