package tenancy

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

const (
	// MaxKeys is how many API keys an instance may have, of all its users.
	MaxKeys = 1000

	keyPrefix = "key-"
	keyBytes  = 10 // of randomness in an id: 16 characters of base32
	keyHash   = 32 // bytes of an HMAC-SHA-256
)

// NewKeyID draws the id of an API key: "key-" and 80 random bits as 16 characters of
// lower-case base32.
func NewKeyID(rand io.Reader) (string, error) {
	var b [keyBytes]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing the id of an API key: %w", err)
	}
	return keyPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), nil
}

// IsKeyID reports whether a name is of the form of an API key's id: no user may
// have such a name, so that what a client sends is one or the other. It does not
// allocate.
func IsKeyID(name string) bool {
	if len(name) != len(keyPrefix)+16 || name[:len(keyPrefix)] != keyPrefix {
		return false
	}
	for _, r := range name[len(keyPrefix):] {
		if !isLower(r) && (r < '2' || r > '7') {
			return false
		}
	}
	return true
}

// Check says what keeps a key from being stored.
func (k Key) Check() error {
	_, err := ParseUserName(k.User)
	switch {
	case err != nil:
		return err
	case !IsKeyID(k.ID):
		return fmt.Errorf("key id %.80q is none: draw one with NewKeyID", k.ID)
	case len(k.Hash) != keyHash:
		return fmt.Errorf("key %s: its hash has %d bytes, must have %d", k.ID, len(k.Hash), keyHash)
	}
	if err := CheckComment(k.Comment); err != nil {
		return fmt.Errorf("key %s: %w", k.ID, err)
	}
	return nil
}

// CreateKey writes a new key. That its user is there is the caller's to see: a key
// of a user that is not there lets nobody in. ErrNotFound without such an instance,
// ErrExists if the id is taken, ErrFull beyond MaxKeys. With ErrUnannounced it was
// written all the same.
func (s *Store) CreateKey(ctx context.Context, id InstanceID, k Key) (Revision, error) {
	k.CreatedAt = k.CreatedAt.UTC().Round(0)
	if err := k.Check(); err != nil {
		return 0, err
	}
	raw, err := json.Marshal(k)
	if err != nil {
		return 0, fmt.Errorf("key %s: %w", k.ID, err)
	}
	return s.change(ctx, id, settingsChange{
		kind: settingsKeys, most: MaxKeys, put: map[string]string{k.ID: string(raw)}, when: whenFresh,
	})
}

// DeleteKey removes a key; ErrNotFound if there is none.
func (s *Store) DeleteKey(ctx context.Context, id InstanceID, key string) (Revision, error) {
	return s.change(ctx, id, settingsChange{kind: settingsKeys, remove: []string{key}, when: whenThere})
}

// Keys lists an instance's keys in order of id; ErrNotFound if there is no such
// instance.
func (s *Store) Keys(ctx context.Context, id InstanceID) ([]Key, error) {
	fields, err := s.settings(ctx, id, settingsKeys)
	if err != nil {
		return nil, err
	}
	return decodeSettings[Key](id, settingsKeys, fields)
}
