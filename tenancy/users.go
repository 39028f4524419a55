package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"
)

// PutUser creates or replaces a user. Its Version must be the stored one, 0 for
// a new one; the returned one is greater by one. ErrExists if a new one is there
// already, ErrConflict if the version is another, ErrNotFound if there is no such
// instance or no such user to replace, ErrFull beyond MaxUsers. With
// ErrUnannounced the user was written all the same.
func (s *Store) PutUser(ctx context.Context, id InstanceID, u User) (User, Revision, error) {
	expect := u.Version
	u.Version, u.CreatedAt = u.Version+1, u.CreatedAt.UTC().Round(0)
	raw, err := encodeUser(u)
	if err != nil {
		return User{}, 0, err
	}
	rev, err := s.writeUser(ctx, id, u.Name, raw, expect)
	if err != nil && !errors.Is(err, ErrUnannounced) {
		return User{}, 0, err
	}
	return u, rev, err
}

// DeleteUser removes a user with its API keys; ErrNotFound if there is none.
func (s *Store) DeleteUser(ctx context.Context, id InstanceID, name string) (Revision, error) {
	return s.writeUser(ctx, id, name, nil, 0)
}

// DeleteUserVersion removes a user with its API keys if nobody has changed it since
// it was read; ErrNotFound if there is none, ErrConflict if its version is another.
func (s *Store) DeleteUserVersion(ctx context.Context, id InstanceID, name string, version int64) (Revision, error) {
	return s.writeUser(ctx, id, name, nil, version)
}

// writeUser does the steps of write.go for one user; raw is empty to remove it,
// and expect then 0 for any version.
func (s *Store) writeUser(ctx context.Context, id InstanceID, name string, raw []byte, expect int64) (Revision, error) {
	if _, err := s.announce(ctx, intent, id, indexKeep); err != nil {
		return 0, err
	}
	keys := []string{recordKey(id), settingsKey(id, settingsKeys)}
	answer, err := s.run(ctx, s.scripts.user, keys, newStamp(), name, raw, expect, MaxUsers).Text()
	if err != nil {
		return 0, fmt.Errorf("writing user %s of instance %s: %w", name, id, err)
	}
	switch answer {
	case "ok":
		return s.announceChange(ctx, id, indexKeep)
	case "no instance":
		return 0, fmt.Errorf("instance %s: %w", id, ErrNotFound)
	case "missing":
		return 0, fmt.Errorf("user %.80q of instance %s: %w", name, id, ErrNotFound)
	case "exists":
		return 0, fmt.Errorf("user %s of instance %s: %w", name, id, ErrExists)
	case "full":
		return 0, fmt.Errorf("instance %s has %d users, the most it may have: %w", id, MaxUsers, ErrFull)
	default:
		return 0, fmt.Errorf("user %s of instance %s: %w", name, id, ErrConflict)
	}
}

// User reads one user; ErrNotFound if there is none.
func (s *Store) User(ctx context.Context, id InstanceID, name string) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.rdb.HGet(ctx, recordKey(id), userPrefix+name).Result()
	if errors.Is(err, redis.Nil) {
		return User{}, fmt.Errorf("user %.80q of instance %s: %w", name, id, ErrNotFound)
	}
	if err != nil {
		return User{}, fmt.Errorf("reading user %.80q of instance %s: %w", name, id, err)
	}
	return decodeUser(id, name, raw)
}

// Users lists an instance's users in order of name; ErrNotFound if there is no such instance.
func (s *Store) Users(ctx context.Context, id InstanceID) ([]User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fields, err := s.rdb.HGetAll(ctx, recordKey(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the users of instance %s: %w", id, err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("instance %s: %w", id, ErrNotFound)
	}
	byName, err := decodeUsers(id, fields)
	if err != nil {
		return nil, err
	}
	users := make([]User, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		users = append(users, byName[name])
	}
	return users, nil
}

func encodeUser(u User) ([]byte, error) {
	if _, err := ParseUserName(u.Name); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Name, err)
	}
	return raw, nil
}

// encodeUsers turns the first users of an instance into pairs of name and user.
func encodeUsers(users []User) ([]any, error) {
	if len(users) > MaxUsers {
		return nil, fmt.Errorf("%d users, at most %d: %w", len(users), MaxUsers, ErrFull)
	}
	seen := make(map[string]bool, len(users))
	fields := make([]any, 0, 2*len(users))
	for _, u := range users {
		if seen[u.Name] {
			return nil, fmt.Errorf("user %s is there twice: %w", u.Name, ErrExists)
		}
		seen[u.Name] = true
		if u.Version != 0 {
			return nil, fmt.Errorf("creating user %s: version is %d, must be 0", u.Name, u.Version)
		}
		u.Version, u.CreatedAt = 1, u.CreatedAt.UTC().Round(0)
		raw, err := encodeUser(u)
		if err != nil {
			return nil, err
		}
		fields = append(fields, u.Name, raw)
	}
	return fields, nil
}
