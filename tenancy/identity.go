package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// IdentityMechanism is how every identity proves itself to brokers.
const IdentityMechanism = "SCRAM-SHA-512"

// IdentityPlace is what the password of an instance's identity is sealed for: in
// another pool it does not open.
func IdentityPlace(pool string) string { return "identity " + pool }

// Identity reads the broker principal of an instance; ErrNotFound if it has none,
// or there is no such instance.
func (s *Store) Identity(ctx context.Context, id InstanceID) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, settingsKey(id, settingsIdentity), theOne).Result()
	if errors.Is(err, redis.Nil) {
		return Identity{}, fmt.Errorf("identity of instance %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("reading the identity of instance %s: %w", id, err)
	}
	var i Identity
	if err := json.Unmarshal([]byte(raw), &i); err != nil {
		return Identity{}, fmt.Errorf("identity of instance %s in redis is broken: %w", id, err)
	}
	return i, nil
}

// AddIdentity gives an instance its broker principal; ErrExists if it has one,
// ErrNotFound without such an instance.
func (s *Store) AddIdentity(ctx context.Context, id InstanceID, i Identity) (Revision, error) {
	return s.putIdentity(ctx, id, i, whenFresh)
}

// ReplaceIdentity gives an instance another one, or a first; ErrNotFound without
// such an instance.
func (s *Store) ReplaceIdentity(ctx context.Context, id InstanceID, i Identity) (Revision, error) {
	return s.putIdentity(ctx, id, i, "")
}

func (s *Store) putIdentity(ctx context.Context, id InstanceID, i Identity, when condition) (Revision, error) {
	i.CreatedAt = i.CreatedAt.UTC().Round(0)
	raw, err := json.Marshal(i) //nolint:gosec // the password is sealed
	if err != nil {
		return 0, fmt.Errorf("identity of instance %s: %w", id, err)
	}
	return s.change(ctx, id, settingsChange{kind: settingsIdentity, most: 1, put: map[string]string{theOne: string(raw)}, when: when})
}
