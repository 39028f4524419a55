package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// MaxQuotas is how many quotas an instance may have within it, each key of each
// entity counted: a view of it is held in memory by every gateway.
const MaxQuotas = 1000

// maxQuotaName bounds the name of an entity's user or client id, in bytes.
const maxQuotaName = 255

// Keys of quotas (Kafka's QuotaConfig).
const (
	QuotaProducerBytes = "producer_byte_rate"       // bytes a second
	QuotaConsumerBytes = "consumer_byte_rate"       // bytes a second
	QuotaRequestTime   = "request_percentage"       // of one thread's time
	QuotaMutations     = "controller_mutation_rate" // partitions created and deleted a second
)

// QuotaEntity is whom a sub-quota within an instance is for (KIP-13, KIP-546): a
// user, a client id, or both. A nil field is not part of the entity; a pointer to
// "" is its default. At least one is not nil.
type QuotaEntity struct {
	User     *string `json:"user,omitempty"`
	ClientID *string `json:"client_id,omitempty"`
}

// Equal reports whether both are the same entity.
func (e QuotaEntity) Equal(other QuotaEntity) bool {
	return samePart(e.User, other.User) && samePart(e.ClientID, other.ClientID)
}

func samePart(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// Check says what keeps an entity from having quotas.
func (e QuotaEntity) Check() error {
	if e.User == nil && e.ClientID == nil {
		return errors.New("quota entity names neither a user nor a client id")
	}
	for _, name := range []*string{e.User, e.ClientID} {
		if name == nil {
			continue
		}
		if len(*name) > maxQuotaName {
			return fmt.Errorf("quota entity %.80q has %d bytes: use at most %d", *name, len(*name), maxQuotaName)
		}
		if !utf8.ValidString(*name) { // JSON would give two of them one name
			return fmt.Errorf("quota entity %.80q is not valid UTF-8", *name)
		}
	}
	return nil
}

// Quota is what one entity is held to: values greater than 0 by key.
type Quota struct {
	Entity QuotaEntity        `json:"entity"`
	Values map[string]float64 `json:"values"`
}

// Equal reports whether both are the same values of the same entity.
func (q Quota) Equal(other Quota) bool {
	return q.Entity.Equal(other.Entity) && maps.Equal(q.Values, other.Values)
}

// QuotaKey is one key of one entity.
type QuotaKey struct {
	Entity QuotaEntity `json:"entity"`
	Key    string      `json:"key"`
}

// storedQuota is one field of the settings, so that two changes of an entity's
// different keys at the same time do not undo each other.
type storedQuota struct {
	QuotaKey
	Value float64 `json:"value"`
}

// Quotas reads an instance's sub-quotas; ErrNotFound if there is no such instance.
func (s *Store) Quotas(ctx context.Context, id InstanceID) ([]Quota, error) {
	fields, err := s.settings(ctx, id, settingsQuotas)
	if err != nil {
		return nil, err
	}
	return decodeQuotas(id, fields)
}

// ChangeQuotas removes single keys of entities and sets others, all or nothing; what
// neither names stays. One that is not there can be removed too. ErrNotFound if
// there is no such instance, ErrFull beyond MaxQuotas.
func (s *Store) ChangeQuotas(ctx context.Context, id InstanceID, put []Quota, remove []QuotaKey) (Revision, error) {
	c := settingsChange{kind: settingsQuotas, most: MaxQuotas, put: map[string]string{}}
	for _, k := range remove {
		field, err := json.Marshal(k)
		if err = errors.Join(k.Entity.Check(), err); err != nil {
			return 0, fmt.Errorf("instance %s: %w", id, err)
		}
		c.remove = append(c.remove, string(field))
	}
	for _, q := range put {
		if err := q.Entity.Check(); err != nil {
			return 0, fmt.Errorf("instance %s: %w", id, err)
		}
		for key, value := range q.Values {
			if err := c.putQuota(storedQuota{QuotaKey{q.Entity, key}, value}); err != nil {
				return 0, fmt.Errorf("instance %s: %w", id, err)
			}
		}
	}
	if len(c.put) > MaxQuotas {
		return 0, fmt.Errorf("instance %s may have %d %s at most: %w", id, MaxQuotas, settingsQuotas, ErrFull)
	}
	return s.change(ctx, id, c)
}

func (c *settingsChange) putQuota(q storedQuota) error {
	if !slices.Contains([]string{QuotaProducerBytes, QuotaConsumerBytes, QuotaRequestTime, QuotaMutations}, q.Key) {
		return fmt.Errorf("quota key %.80q is unknown", q.Key)
	}
	if !(q.Value > 0) || math.IsInf(q.Value, 0) {
		return fmt.Errorf("quota %s is %v, must be a number greater than 0", q.Key, q.Value)
	}
	field, err := json.Marshal(q.QuotaKey)
	if err != nil {
		return fmt.Errorf("quota %s: %w", q.Key, err)
	}
	value, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("quota %s: %w", q.Key, err)
	}
	c.put[string(field)] = string(value)
	return nil
}

// decodeQuotas puts the values of each entity together; in a fixed order.
func decodeQuotas(id InstanceID, fields map[string]string) ([]Quota, error) {
	stored, err := decodeSettings[storedQuota](id, settingsQuotas, fields)
	if err != nil {
		return nil, err
	}
	var all []Quota
	for _, q := range stored { // those of one entity follow each other: its name is what a field begins with
		if len(all) == 0 || !all[len(all)-1].Entity.Equal(q.Entity) {
			all = append(all, Quota{Entity: q.Entity, Values: map[string]float64{}})
		}
		all[len(all)-1].Values[q.Key] = q.Value
	}
	return all, nil
}
