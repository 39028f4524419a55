package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"weir/tenancy"
	"weir/upstream"
)

// identityBytes is how long an identity's password is: 256 bits, from the system.
const identityBytes = 32

// IdentityPool is what identities ask of a pool; *upstream.Pool provides it.
type IdentityPool interface {
	Ready() <-chan struct{}
	PerInstance() bool
	KeepIdentity(ctx context.Context, as *upstream.Identity, grants []upstream.Grant) (changed bool, err error)
	RemoveIdentity(ctx context.Context, user string) error
	Identities(ctx context.Context, prefix string) (upstream.Standing, error)
	CanKeepIdentities(ctx context.Context) error
}

// IdentitiesConfig configures NewIdentities.
type IdentitiesConfig struct {
	Store     *tenancy.Store
	Directory *tenancy.Directory
	Pools     map[string]IdentityPool // by name; those that want no identities too
	Sealer    *tenancy.Sealer         // nil only if no pool wants identities
	// Owner is this process in leases, unique among the live gateways.
	Owner string
	Log   *slog.Logger
	Now   func() time.Time // time.Now if nil
	Rand  io.Reader        // crypto/rand if nil
	// Every is how often the pools are surveyed, 10m if zero.
	Every time.Duration
	// Rest is how long an instance that lacks an identity is left to the gateway
	// that creates it, and the pause after an attempt that failed. 3s if zero.
	Rest time.Duration
}

// Identities keep one principal for each instance in the pools that want it: a
// second wall, of the brokers' own (protocol.md 1.3). Its password lies sealed in
// the instance's settings, so that every gateway can make it again. Any goroutine;
// a nil *Identities keeps none.
type Identities struct {
	cfg  IdentitiesConfig
	wake chan struct{} // cap 1: there may be something due

	mu   sync.Mutex
	want map[tenancy.InstanceID]wanted
}

// wanted is an instance to be looked at.
type wanted struct {
	at   time.Time // not before
	lost bool      // even if it has an identity: the pool may not know that
}

// NewIdentities registers with the directory, which must not run yet; Run works.
func NewIdentities(cfg IdentitiesConfig) *Identities {
	cfg.Every = cmp.Or(cfg.Every, 10*time.Minute)
	cfg.Rest = cmp.Or(cfg.Rest, 3*time.Second)
	cfg.Rand = cmp.Or(cfg.Rand, rand.Reader)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k := &Identities{cfg: cfg, wake: make(chan struct{}, 1), want: make(map[tenancy.InstanceID]wanted)}
	cfg.Directory.Watch(func(v *tenancy.View) {
		if k.keeps(v.Instance) && v.Access.Identity == nil {
			k.later(v.Instance.ID, cfg.Rest, false)
		}
	})
	return k
}

// keeps reports whether the instance is to have an identity.
func (k *Identities) keeps(in tenancy.Instance) bool {
	if k == nil || in.State != tenancy.StateActive && in.State != tenancy.StateSuspended {
		return false
	}
	pool := k.cfg.Pools[in.Pool]
	return pool != nil && pool.PerInstance()
}

// Can says what keeps new instances out of a pool; nil if nothing.
func (k *Identities) Can(ctx context.Context, in tenancy.Instance) error {
	if !k.keeps(in) {
		return nil
	}
	return k.cfg.Pools[in.Pool].CanKeepIdentities(ctx)
}

// Ensure makes an instance's identity what its aliases ask for, and returns once
// the pool's brokers obey; at once where it is to have none. rev, if not 0, is the
// change by which the gateways learn of a new one. It may be repeated, and by
// several gateways at once.
func (k *Identities) Ensure(ctx context.Context, in tenancy.Instance) (rev tenancy.Revision, err error) {
	if !k.keeps(in) {
		return 0, nil
	}
	i, rev, err := k.stored(ctx, in)
	if err != nil {
		return rev, err
	}
	return rev, k.put(ctx, in, i)
}

// Rotate gives an instance's identity a new password. Connections that clients
// have go on; who connects while it changes waits for it.
func (k *Identities) Rotate(ctx context.Context, in tenancy.Instance) (tenancy.Revision, error) {
	i, err := k.draw(in)
	if err != nil {
		return 0, err
	}
	rev, err := k.cfg.Store.ReplaceIdentity(ctx, in.ID, i)
	if err != nil && !errors.Is(err, tenancy.ErrUnannounced) {
		return 0, err
	}
	return rev, k.put(ctx, in, i)
}

// Remove takes an instance's identity out of its pool. Where the pool wants none
// any more, the gateway may have lost the right to: that is said, and no failure.
func (k *Identities) Remove(ctx context.Context, in tenancy.Instance) error {
	if k == nil || k.cfg.Pools[in.Pool] == nil {
		return nil
	}
	pool := k.cfg.Pools[in.Pool]
	if pool.PerInstance() {
		return pool.RemoveIdentity(ctx, userOf(in.ID))
	}
	if _, err := k.cfg.Store.Identity(ctx, in.ID); errors.Is(err, tenancy.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if err := pool.RemoveIdentity(ctx, userOf(in.ID)); err != nil {
		k.cfg.Log.Warn("a principal of a deleted instance stays in its pool: remove it with its ACLs",
			"pool", in.Pool, "principal", "User:"+userOf(in.ID), "err", err)
	}
	return nil
}

// stored is the instance's identity, made if there is none.
func (k *Identities) stored(ctx context.Context, in tenancy.Instance) (tenancy.Identity, tenancy.Revision, error) {
	i, err := k.cfg.Store.Identity(ctx, in.ID)
	if !errors.Is(err, tenancy.ErrNotFound) {
		return i, 0, err
	}
	if i, err = k.draw(in); err != nil {
		return i, 0, err
	}
	rev, err := k.cfg.Store.AddIdentity(ctx, in.ID, i)
	switch {
	case errors.Is(err, tenancy.ErrExists): // another gateway was faster
		i, err = k.cfg.Store.Identity(ctx, in.ID)
		return i, 0, err
	case errors.Is(err, tenancy.ErrUnannounced):
		return i, 0, nil // done, and found by the gateways' sweep
	}
	return i, rev, err
}

// draw makes an identity with a password of its own.
func (k *Identities) draw(in tenancy.Instance) (tenancy.Identity, error) {
	secret := make([]byte, identityBytes)
	if _, err := io.ReadFull(k.cfg.Rand, secret); err != nil {
		return tenancy.Identity{}, fmt.Errorf("drawing a password: %w", err)
	}
	return tenancy.Identity{
		User: userOf(in.ID), Mechanism: tenancy.IdentityMechanism, CreatedAt: k.cfg.Now(),
		Password: k.cfg.Sealer.Seal(in.ID, tenancy.IdentityPlace(in.Pool), []byte(hex.EncodeToString(secret))),
	}, nil
}

// put brings an identity to its pool.
func (k *Identities) put(ctx context.Context, in tenancy.Instance, i tenancy.Identity) error {
	password, err := k.cfg.Sealer.Open(in.ID, tenancy.IdentityPlace(in.Pool), i.Password)
	if err != nil {
		return fmt.Errorf("%w: if its key is lost, POST /v1/instances/%s/identity/rotate makes a new one", err, in.ID)
	}
	aliases, err := k.cfg.Store.Aliases(ctx, in.ID)
	if err != nil {
		return err
	}
	changed, err := k.cfg.Pools[in.Pool].KeepIdentity(ctx, upstream.NewIdentity(i.User, string(password)), grantsOf(in.ID, aliases))
	if err != nil {
		return err
	}
	if changed {
		k.cfg.Log.Info("principal of an instance set in its pool", "pool", in.Pool, "instance", string(in.ID), "principal", "User:"+i.User)
	}
	return k.stillThere(ctx, in)
}

// stillThere takes back what was put for an instance that is being deleted by
// now: its reaper may have been here before.
func (k *Identities) stillThere(ctx context.Context, in tenancy.Instance) error {
	now, err := k.cfg.Store.Instance(ctx, in.ID)
	if err != nil || k.keeps(now) {
		return err
	}
	return k.cfg.Pools[in.Pool].RemoveIdentity(ctx, userOf(in.ID))
}
