package tenancy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"
)

// maxAttempts is how often a change is tried against others of the instance.
const maxAttempts = 5

// replace makes what a change puts all that there is of its kind, if what is there
// has the tag; "": whatever is there. ErrStale if it has not, ErrConflict if the
// instance changes all the time; else as change. It returns the tag of what is new.
func (s *Store) replace(ctx context.Context, id InstanceID, c settingsChange, tag string) (Revision, string, error) {
	c.when = whole
	for range maxAttempts {
		var err error
		if c.stamp, err = s.stampIf(ctx, id, c.kind, tag); err != nil {
			return 0, "", err
		}
		rev, err := s.change(ctx, id, c)
		if !errors.Is(err, errStamp) {
			return rev, settingsTag(c.put), err
		}
	}
	return 0, "", fmt.Errorf("%s of instance %s: %w", c.kind, id, ErrConflict)
}

// stampIf returns the record's stamp, read before settings that have the tag, so that
// as long as the stamp holds they do; "" without a tag.
func (s *Store) stampIf(ctx context.Context, id InstanceID, kind, tag string) (string, error) {
	if tag == "" {
		return "", nil
	}
	callCtx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stamp, err := s.rdb.HGet(callCtx, recordKey(id), fieldStamp).Result()
	if errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("instance %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("reading instance %s: %w", id, err)
	}
	fields, err := s.settings(ctx, id, kind)
	if err != nil {
		return "", err
	}
	if settingsTag(fields) != tag {
		return "", fmt.Errorf("%s of instance %s: %w", kind, id, ErrStale)
	}
	return stamp, nil
}

// settingsTag is another one for other settings.
func settingsTag(fields map[string]string) string {
	h := sha256.New()
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		putText(h, field)
		putText(h, fields[field])
	}
	const enough = 16 // bytes: two lists with one tag are not found
	return hex.EncodeToString(h.Sum(nil)[:enough])
}
