package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ChangeLimits sets limits of an instance itself and removes others, all or nothing;
// what neither names stays. ErrNotFound if there is no such instance.
func (s *Store) ChangeLimits(ctx context.Context, id InstanceID, put Limits, remove []LimitName) (Revision, error) {
	if err := put.Check(); err != nil {
		return 0, fmt.Errorf("instance %s: %w", id, err)
	}
	c := settingsChange{kind: settingsLimits, most: len(limitKinds), put: map[string]string{}}
	for _, name := range remove {
		c.remove = append(c.remove, string(name))
	}
	for _, name := range slices.Sorted(maps.Keys(put)) {
		value, err := json.Marshal(put[name])
		if err != nil {
			return 0, fmt.Errorf("limit %s: %w", name, err)
		}
		c.put[string(name)] = string(value)
	}
	return s.change(ctx, id, c)
}

// Limits reads an instance's own limits; ErrNotFound if there is no such instance.
func (s *Store) Limits(ctx context.Context, id InstanceID) (Limits, error) {
	fields, err := s.settings(ctx, id, settingsLimits)
	if err != nil {
		return nil, err
	}
	return decodeLimits(id, fields)
}

func decodeLimits(id InstanceID, fields map[string]string) (Limits, error) {
	limits := make(Limits, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var l Limit
		if err := json.Unmarshal([]byte(fields[name]), &l); err != nil {
			return nil, fmt.Errorf("limit %.80q of instance %s in redis is broken: %w", name, id, err)
		}
		limits[LimitName(name)] = l
	}
	return limits, nil
}
