package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// theOne is the field of settings of which an instance has one.
const theOne = "it"

// ErrAuthentication is of a policy that nobody could satisfy.
var ErrAuthentication = errors.New("invalid authentication")

// Check wraps ErrAuthentication if a policy names a mechanism twice or of nothing
// that can be one.
func (a Authentication) Check() error {
	for i, m := range a.Mechanisms {
		if m == "" || len(m) > 20 { // RFC 4422 3.1
			return fmt.Errorf("%w: mechanism %.40q has %d characters: use 1 to 20", ErrAuthentication, m, len(m))
		}
		if slices.Contains(a.Mechanisms[:i], m) {
			return fmt.Errorf("%w: mechanism %s is there twice", ErrAuthentication, m)
		}
	}
	return nil
}

// Allows reports whether the policy lets clients use a mechanism.
func (a Authentication) Allows(mechanism string) bool {
	return len(a.Mechanisms) == 0 || slices.Contains(a.Mechanisms, mechanism)
}

// Authentication reads an instance's policy, the zero one if it has none;
// ErrNotFound if there is no such instance.
func (s *Store) Authentication(ctx context.Context, id InstanceID) (Authentication, error) {
	fields, err := s.settings(ctx, id, settingsAuthentication)
	if err != nil {
		return Authentication{}, err
	}
	all, err := decodeSettings[Authentication](id, settingsAuthentication, fields)
	if err != nil || len(all) == 0 {
		return Authentication{}, err
	}
	return all[0], nil
}

// PutAuthentication replaces an instance's policy. ErrAuthentication, ErrNotFound
// without such an instance. With ErrUnannounced it was written all the same.
func (s *Store) PutAuthentication(ctx context.Context, id InstanceID, a Authentication) (Revision, error) {
	if err := a.Check(); err != nil {
		return 0, fmt.Errorf("instance %s: %w", id, err)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return 0, fmt.Errorf("authentication of instance %s: %w", id, err)
	}
	return s.change(ctx, id, settingsChange{
		kind: settingsAuthentication, most: 1, put: map[string]string{theOne: string(raw)}, when: whole,
	})
}
