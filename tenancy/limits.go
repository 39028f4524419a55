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
	c, err := limitsChange(id, put)
	if err != nil {
		return 0, err
	}
	for _, name := range remove {
		c.remove = append(c.remove, string(name))
	}
	return s.change(ctx, id, c)
}

// ReplaceLimits makes all the instance's own limits, if those that are there have the
// tag; "": whatever is there. ErrStale if they have not, ErrConflict if the instance
// changes all the time, ErrNotFound if there is none. It returns the new ones' tag.
func (s *Store) ReplaceLimits(ctx context.Context, id InstanceID, all Limits, tag string) (Revision, string, error) {
	c, err := limitsChange(id, all)
	if err != nil {
		return 0, "", err
	}
	return s.replace(ctx, id, c, tag)
}

// limitsChange puts limits.
func limitsChange(id InstanceID, put Limits) (settingsChange, error) {
	c := settingsChange{kind: settingsLimits, most: len(limitKinds), put: make(map[string]string, len(put))}
	if err := put.Check(); err != nil {
		return c, fmt.Errorf("instance %s: %w", id, err)
	}
	for _, name := range slices.Sorted(maps.Keys(put)) {
		value, err := json.Marshal(put[name])
		if err != nil {
			return c, fmt.Errorf("limit %s: %w", name, err)
		}
		c.put[string(name)] = string(value)
	}
	return c, nil
}

// Limits reads an instance's own limits, and their tag for ReplaceLimits; ErrNotFound
// if there is no such instance.
func (s *Store) Limits(ctx context.Context, id InstanceID) (all Limits, tag string, err error) {
	fields, err := s.settings(ctx, id, settingsLimits)
	if err != nil {
		return nil, "", err
	}
	all, err = decodeLimits(id, fields)
	return all, settingsTag(fields), err
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
