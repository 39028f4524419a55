package tenancy

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Errors of the store that callers tell apart.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("exists already")    // instance id or user name taken (also by a tombstone)
	ErrNameTaken = errors.New("name is taken")     // display name taken within the tenant
	ErrConflict  = errors.New("changed meanwhile") // optimistic concurrency lost
)

// Store keeps tenants, instances and users in Redis (standalone, Sentinel or Cluster).
type Store struct{ rdb redis.UniversalClient }

// NewStore returns a store on rdb.
func NewStore(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

// Revision orders changes over all instances; it grows by one with each.
type Revision int64

// CreateInstance writes a new instance (Version must be 0; the stored one is 1) with its first users, all or nothing.
func (s *Store) CreateInstance(ctx context.Context, in Instance, users ...User) (Instance, Revision, error) {
	panic("stub")
}

// Instance reads one instance, tombstones included.
func (s *Store) Instance(ctx context.Context, id InstanceID) (Instance, error) { panic("stub") }

// InstanceByName finds an instance by its tenant and display name.
func (s *Store) InstanceByName(ctx context.Context, t TenantID, name string) (Instance, error) {
	panic("stub")
}

// Instances lists instances that are not deleted in order of id, after the given id; next is "" at the end.
func (s *Store) Instances(ctx context.Context, after InstanceID, limit int) (page []Instance, next InstanceID, err error) {
	panic("stub")
}

// UpdateInstance applies change to the stored instance and writes it if nobody
// else wrote meanwhile, trying again a few times; an error from change is returned as it is.
// Setting State to StateDeleted removes its users and frees its display name; the id stays taken.
func (s *Store) UpdateInstance(ctx context.Context, id InstanceID, change func(*Instance) error) (Instance, Revision, error) {
	panic("stub")
}

// PutUser creates (create=true: ErrExists if there) or replaces a user. Its Version must be the stored one, 0 for a new one.
func (s *Store) PutUser(ctx context.Context, id InstanceID, u User) (User, Revision, error) {
	panic("stub")
}

// User reads one user.
func (s *Store) User(ctx context.Context, id InstanceID, name string) (User, error) { panic("stub") }

// Users lists an instance's users in order of name.
func (s *Store) Users(ctx context.Context, id InstanceID) ([]User, error) { panic("stub") }

// DeleteUser removes a user.
func (s *Store) DeleteUser(ctx context.Context, id InstanceID, name string) (Revision, error) {
	panic("stub")
}

// WaitApplied waits until every live gateway has applied rev, or ctx ends; it says on how many of how many it is in force.
func (s *Store) WaitApplied(ctx context.Context, rev Revision) (ready, of int, err error) {
	panic("stub")
}

// TryLease takes or renews a named lease on one instance for owner (SET NX PX semantics); false if someone else holds it.
func (s *Store) TryLease(ctx context.Context, id InstanceID, name, owner string, ttlMillis int64) (bool, error) {
	panic("stub")
}
