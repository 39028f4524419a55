package admin

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/tenancy"
	"weir/upstream"
)

const (
	identityLease = "identity"
	// identityLeaseTTL is longer than one attempt takes where all is well.
	identityLeaseTTL = 5 * time.Second
	// identityParallel is how many identities one gateway sets at a time.
	identityParallel = 4
)

// Wanted asks for an instance's identity to be looked at soon. It does not block.
func (k *Identities) Wanted(id tenancy.InstanceID) {
	if k != nil {
		k.later(id, 0, true)
	}
}

// later notes an instance. One that is noted already is not put off, and not
// hurried: it may rest after a failure.
func (k *Identities) later(id tenancy.InstanceID, after time.Duration, lost bool) {
	k.mu.Lock()
	w, noted := k.want[id]
	if !noted {
		w.at = k.cfg.Now().Add(after)
	}
	w.lost = w.lost || lost
	k.want[id] = w
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run keeps identities until ctx ends: it makes those that instances lack, looks
// for what was lost in the pools, and repairs it. Failures are logged and tried again.
func (k *Identities) Run(ctx context.Context) error {
	select {
	case <-k.cfg.Directory.Ready():
	case <-ctx.Done():
		return nil
	}
	var g errgroup.Group
	for name, pool := range k.cfg.Pools {
		if pool.PerInstance() {
			g.Go(func() error { k.watch(ctx, name, pool); return nil })
		}
	}
	g.Go(func() error { k.work(ctx); return nil })
	return g.Wait()
}

// work looks at what is wanted, when it is due.
func (k *Identities) work(ctx context.Context) {
	for {
		due, next := k.due()
		var g errgroup.Group
		g.SetLimit(identityParallel)
		for id, w := range due {
			g.Go(func() error { k.repair(ctx, id, w.lost); return nil })
		}
		_ = g.Wait()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// due takes what is due, and says how long nothing else is.
func (k *Identities) due() (due map[tenancy.InstanceID]wanted, next time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Now()
	due, next = make(map[tenancy.InstanceID]wanted), k.cfg.Every
	for id, w := range k.want {
		if left := w.at.Sub(now); left > 0 {
			next = min(next, left)
			continue
		}
		delete(k.want, id)
		due[id] = w
	}
	return due, next
}

// repair ensures one instance's identity. While another gateway is at it, it looks
// again later: that one may have begun before what is wrong now.
func (k *Identities) repair(ctx context.Context, id tenancy.InstanceID, lost bool) {
	if v, ok := k.cfg.Directory.View(id); ok && v.Access.Identity != nil && !lost {
		return // who created it has made it meanwhile
	}
	in, err := k.cfg.Store.Instance(ctx, id)
	if err == nil && !k.keeps(in) {
		return
	}
	mine := false
	if err == nil {
		mine, err = k.cfg.Store.TryLease(ctx, id, identityLease, k.cfg.Owner, identityLeaseTTL.Milliseconds())
	}
	if mine {
		_, err = k.Ensure(ctx, in)
	}
	if err != nil && ctx.Err() == nil {
		k.cfg.Log.Error("principal of an instance not set in its pool; trying again", "pool", in.Pool, "instance", string(id), "err", err)
	}
	if err != nil || !mine {
		k.later(id, k.cfg.Rest, lost || err != nil) // it may be stored by now, and not in the pool
	}
}

// watch surveys a pool again and again.
func (k *Identities) watch(ctx context.Context, name string, pool IdentityPool) {
	select {
	case <-ctx.Done():
		return
	case <-pool.Ready():
	}
	for {
		pause := k.cfg.Every
		if err := k.survey(ctx, name, pool); err != nil && ctx.Err() == nil {
			pause = min(pause, surveyRetry)
			k.cfg.Log.Error("principals of instances cannot be kept in the pool", "pool", name, "err", err, "retry_in", pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// survey finds instances without an identity, identities that are not as they
// should be, and what is of no instance.
func (k *Identities) survey(ctx context.Context, name string, pool IdentityPool) error {
	if err := pool.CanKeepIdentities(ctx); err != nil {
		return err
	}
	standing, err := pool.Identities(ctx, IdentityUser)
	if err != nil {
		return err
	}
	k.cfg.Directory.Each(func(v *tenancy.View) bool {
		if v.Instance.Pool != name || !k.keeps(v.Instance) {
			return true
		}
		lost := v.Access.Identity != nil
		if !lost || standing.Lacks(userOf(v.Instance.ID), grantsOf(v.Instance.ID, v.Space.Aliases())) {
			k.later(v.Instance.ID, 0, lost)
		}
		return true
	})
	k.reportOrphans(name, standing)
	return nil
}

// reportOrphans warns of principals that look like an instance's but are none's.
// They are left alone: they may be of another Weir that shares the pool.
func (k *Identities) reportOrphans(pool string, standing upstream.Standing) {
	found := make(map[string]bool)
	for user := range standing.Users {
		found[user] = true
	}
	for user := range standing.Grants {
		found[user] = true
	}
	orphans := 0
	for user := range found {
		id := tenancy.InstanceID(strings.TrimPrefix(user, IdentityUser))
		if v, ok := k.cfg.Directory.View(id); ok && v.Instance.Pool == pool {
			continue
		}
		if orphans++; orphans <= surveyLines {
			k.cfg.Log.Warn("a principal of the pool is of no instance; if no other Weir uses the pool, remove it with its ACLs",
				"pool", pool, "principal", "User:"+user)
		}
	}
	if orphans > surveyLines {
		k.cfg.Log.Warn("more principals of the pool are of no instance", "pool", pool, "principals", orphans)
	}
}
