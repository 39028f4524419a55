package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrStale is of a list that is not any more what its writer has seen.
var ErrStale = errors.New("changed since it was read")

// Networks lists an instance's networks in a fixed order, and the tag of that
// list, for ReplaceNetworks; ErrNotFound if there is no such instance.
func (s *Store) Networks(ctx context.Context, id InstanceID) (all []Network, tag string, err error) {
	fields, err := s.settings(ctx, id, settingsNetworks)
	if err != nil {
		return nil, "", err
	}
	all, err = decodeNetworks(id, fields)
	return all, settingsTag(fields), err
}

// ChangeNetworks puts networks, of which one that is there gets the new comment,
// and removes others whatever their comment; all or nothing. One in both is there
// afterwards. ErrNetwork if one cannot be, ErrNotFound if there is no such instance
// or one to remove is not there, ErrFull beyond MaxNetworks. With ErrUnannounced
// it was done all the same.
func (s *Store) ChangeNetworks(ctx context.Context, id InstanceID, put, remove []Network) (Revision, error) {
	c, err := networksChange(id, put)
	if err != nil {
		return 0, err
	}
	c.when = whenThere
	for _, n := range remove {
		if _, stays := c.put[n.String()]; !stays && !slices.Contains(c.remove, n.String()) {
			c.remove = append(c.remove, n.String())
		}
	}
	return s.change(ctx, id, c)
}

// ReplaceNetworks makes all the list of an instance's networks, if the one that is
// there has the tag; "": whatever is there. Of one that is there twice the last
// counts. ErrStale if it has not, ErrConflict if the instance changes all the
// time; else as ChangeNetworks. It returns the tag of the new list.
func (s *Store) ReplaceNetworks(ctx context.Context, id InstanceID, all []Network, tag string) (Revision, string, error) {
	c, err := networksChange(id, all)
	if err != nil {
		return 0, "", err
	}
	return s.replace(ctx, id, c, tag)
}

// networksChange puts networks.
func networksChange(id InstanceID, put []Network) (settingsChange, error) {
	c := settingsChange{kind: settingsNetworks, most: MaxNetworks, put: make(map[string]string, len(put))}
	for _, n := range put {
		if err := n.Check(); err != nil {
			return c, fmt.Errorf("instance %s: %w", id, err)
		}
		value, err := json.Marshal(n)
		if err != nil {
			return c, fmt.Errorf("network %s of instance %s: %w", n, id, err)
		}
		c.put[n.String()] = string(value)
	}
	if len(c.put) > MaxNetworks {
		return c, fmt.Errorf("instance %s may have %d %s at most: %w", id, MaxNetworks, settingsNetworks, ErrFull)
	}
	return c, nil
}

// decodeNetworks reads the hash, and insists that each is what its field says: a
// broken one could let in everybody.
func decodeNetworks(id InstanceID, fields map[string]string) ([]Network, error) {
	all, err := decodeSettings[Network](id, settingsNetworks, fields)
	if err != nil {
		return nil, err
	}
	for i, field := range slices.Sorted(maps.Keys(fields)) {
		if field == "" || all[i].String() != field {
			return nil, fmt.Errorf("%s of instance %s: %.80q in redis is broken", settingsNetworks, id, field)
		}
	}
	return all, nil
}
