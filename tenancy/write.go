package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// A write touches up to three slots (tenant, {weir}, instance), so in a Cluster
// it is not one transaction. Its steps are ordered so that dying between any two
// of them, or never learning whether one was done, leaves something harmless:
//
//	     step                                 dying right after it leaves
//	1    claim the display name               a claim without an instance: whoever wants
//	     (create, rename)                     the name next finds so, and takes it over
//	                                          once it is claimStale old
//	2    announce an intent; when creating,   directories look again a few seconds later and
//	     register the id in the index         find nothing new; the index has an id without
//	                                          a record, which every reader skips
//	3    write the record (compare-and-set)   the change is made. Directories find it when they
//	                                          follow up the intent of step 2, or by the next sweep
//	4    announce the change; when deleting,  (delete, rename) the old name is still claimed, by
//	     take the id out of the index         an instance that does not hold it: as after step 1
//	5    release the old name                 nothing
//
// Step 3 comes after 2, so an instance that exists is always in the index, and a
// change of which directories know nothing at all is one whose writer was paused
// for longer than they wait between 2 and 3 and died then: the sweep is for that.
//
// Two writers cannot both hold a name: step 3 is refused by Redis' clock later
// than claimValid after step 1, and a claim is only taken over after claimStale,
// which leaves 20 s for clocks of Redis nodes to disagree.
const (
	claimValid = 10 * time.Second
	claimStale = 30 * time.Second

	updateTries   = 10 // each lost race means that somebody else won it
	announceTries = 3
)

// CreateInstance writes a new instance (Version must be 0; the stored one is 1)
// with its first users, all or nothing. Everything but CreatedAt must be filled
// in. ErrExists if the id was ever used, ErrNameTaken if the tenant has an
// instance of that name, ErrOwned if a name under its prefix is an alias of another. With ErrUnannounced the instance was created all the same.
func (s *Store) CreateInstance(ctx context.Context, in Instance, users ...User) (Instance, Revision, error) {
	if in.Version != 0 {
		return Instance{}, 0, fmt.Errorf("creating instance %s: version is %d, must be 0", in.ID, in.Version)
	}
	in.Version, in.CreatedAt = 1, in.CreatedAt.UTC().Round(0)
	if err := in.check(); err != nil {
		return Instance{}, 0, err
	}
	if in.State == StateDeleted {
		return Instance{}, 0, fmt.Errorf("creating instance %s: it cannot begin as %s", in.ID, in.State)
	}
	fields, err := encodeUsers(users)
	if err != nil {
		return Instance{}, 0, err
	}
	// Before anything is claimed, so that trying a taken id does not block the name.
	if _, err := s.Instance(ctx, in.ID); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("instance %s: %w", in.ID, ErrExists)
		}
		return Instance{}, 0, err
	}
	claim, err := s.claim(ctx, in, "")
	if err != nil {
		return Instance{}, 0, err
	}
	if _, err := s.announce(ctx, intent, in.ID, indexAdd); err != nil {
		return Instance{}, 0, err
	}
	if err := s.noAliasUnder(ctx, in); err != nil {
		_, _ = s.announce(ctx, intent, in.ID, indexRemove) // what stays there does no harm
		return Instance{}, 0, err
	}
	if err := s.writeInstance(ctx, in, 0, claim.notAfter(), fields...); err != nil {
		return Instance{}, 0, err
	}
	rev, err := s.announceChange(ctx, in.ID, indexAdd)
	return in, rev, err
}

// UpdateInstance applies change to the stored instance and writes it if nobody
// else wrote meanwhile, trying again a few times (change may run more than once);
// an error from change is returned as it is. The id, tenant, cluster id and
// creation time cannot change. A change that changes nothing is announced all the
// same, which finishes a write that was interrupted.
//
// Setting State to StateDeleted removes its users and frees its display name; the
// id stays taken. That is final: of a tombstone, change may only ask for
// StateDeleted once more, anything else is ErrNotFound.
func (s *Store) UpdateInstance(ctx context.Context, id InstanceID, change func(*Instance) error) (Instance, Revision, error) {
	for try := 1; ; try++ {
		in, rev, err := s.tryUpdate(ctx, id, change)
		if !errors.Is(err, ErrConflict) || try == updateTries {
			return in, rev, err
		}
		if !pause(ctx, time.Duration(rand.Int64N(int64(try)*int64(time.Millisecond)))) {
			return Instance{}, 0, fmt.Errorf("updating instance %s: %w", id, ctx.Err())
		}
	}
}

func (s *Store) tryUpdate(ctx context.Context, id InstanceID, change func(*Instance) error) (Instance, Revision, error) {
	from, err := s.Instance(ctx, id)
	if err != nil {
		return Instance{}, 0, err
	}
	to := from
	if err := change(&to); err != nil {
		return Instance{}, 0, err
	}
	if from.State == StateDeleted && to.State != StateDeleted {
		return Instance{}, 0, fmt.Errorf("instance %s was deleted: %w", id, ErrNotFound)
	}
	to.Version = from.Version
	if from.State == StateDeleted || to == from {
		return s.finish(ctx, from)
	}
	if err := checkChange(from, to); err != nil {
		return Instance{}, 0, err
	}
	to.Version++

	var hosts map[string]string
	if to.State == StateDeleted {
		hosts = s.hostClaims(ctx, id)
	}
	var claim claim
	if to.Name != from.Name && to.State != StateDeleted {
		if claim, err = s.claim(ctx, to, from.Name); err != nil {
			return Instance{}, 0, err
		}
	}
	if _, err := s.announce(ctx, intent, id, indexKeep); err != nil {
		return Instance{}, 0, err
	}
	if err := s.writeInstance(ctx, to, from.Version, claim.notAfter()); err != nil {
		return Instance{}, 0, err
	}
	in, rev, err := s.finish(ctx, to)
	if claim.former != "" {
		s.release(ctx, from.Tenant, from.Name, id, claim.former)
	}
	for name, claimed := range hosts {
		s.releaseHost(ctx, id, name, claimed)
	}
	return in, rev, err
}

// finish does what follows the write of a record. Doing it again does no harm.
func (s *Store) finish(ctx context.Context, in Instance) (Instance, Revision, error) {
	index := indexKeep
	if in.State == StateDeleted {
		index = indexRemove
	}
	rev, err := s.announceChange(ctx, in.ID, index)
	if in.State == StateDeleted {
		s.release(ctx, in.Tenant, in.Name, in.ID, "")
	}
	return in, rev, err
}

// writeInstance is step 3. Fields are pairs of user name and user.
func (s *Store) writeInstance(ctx context.Context, in Instance, expect, notAfter int64, fields ...any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("instance %s: %w", in.ID, err)
	}
	drop := ""
	if in.State == StateDeleted {
		drop = "drop"
	}
	args := append([]any{newStamp(), expect, raw, notAfter, drop}, fields...)
	answer, err := s.run(ctx, s.scripts.instance, instanceKeys(in.ID), args...).Text()
	if err != nil {
		return fmt.Errorf("writing instance %s: %w", in.ID, err)
	}
	switch answer {
	case "ok":
		return nil
	case "exists":
		return fmt.Errorf("instance %s: %w", in.ID, ErrExists)
	case "missing":
		return fmt.Errorf("instance %s: %w", in.ID, ErrNotFound)
	case "late":
		return fmt.Errorf("instance %s: more than %s passed since its name was claimed: %w", in.ID, claimValid, ErrConflict)
	default:
		return fmt.Errorf("instance %s: %w", in.ID, ErrConflict)
	}
}

// Kinds of entries in the change stream, and what becomes of the index with them.
const (
	intent = "intent"
	change = "change"

	indexKeep   = ""
	indexAdd    = "add"
	indexRemove = "remove"
)

func (s *Store) announce(ctx context.Context, kind string, id InstanceID, index string) (Revision, error) {
	keys := []string{keyChanges, keyRevision, keyIndex}
	rev, err := s.run(ctx, s.scripts.announce, keys, kind, string(id), streamLen, index).Int64()
	if err != nil {
		return 0, fmt.Errorf("announcing a change of instance %s: %w", id, err)
	}
	return Revision(rev), nil
}

// announceChange is step 4. The write is done, so giving up is no way back.
func (s *Store) announceChange(ctx context.Context, id InstanceID, index string) (Revision, error) {
	for try := 1; ; try++ {
		rev, err := s.announce(ctx, change, id, index)
		if err == nil {
			return rev, nil
		}
		if try == announceTries || !pause(ctx, time.Duration(try)*50*time.Millisecond) {
			return 0, fmt.Errorf("%w: %w", ErrUnannounced, err)
		}
	}
}

// pause waits; false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
