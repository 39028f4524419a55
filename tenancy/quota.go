package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
)

// MaxQuotas is how many entities of an instance may have quotas of their own.
const MaxQuotas = 1000

// QuotaEntity is whom a sub-quota within an instance is for (KIP-13, KIP-546): a
// user, a client id, or both. A nil field is not part of the entity; a pointer to
// "" is its default. At least one is not nil.
type QuotaEntity struct {
	User     *string `json:"user,omitempty"`
	ClientID *string `json:"client_id,omitempty"`
}

// Quota is what one entity is held to, by Kafka's quota keys:
// producer_byte_rate and consumer_byte_rate in bytes a second,
// request_percentage, controller_mutation_rate in mutations a second.
type Quota struct {
	Entity QuotaEntity        `json:"entity"`
	Values map[string]float64 `json:"values"`
}

// Quotas reads an instance's sub-quotas; ErrNotFound if there is no such instance.
func (s *Store) Quotas(ctx context.Context, id InstanceID) ([]Quota, error) {
	fields, err := s.settings(ctx, id, settingsQuotas)
	if err != nil {
		return nil, err
	}
	return decodeSettings[Quota](id, settingsQuotas, fields)
}

// ChangeQuotas replaces and removes the sub-quotas of entities, all or nothing.
// ErrNotFound if there is no such instance, ErrFull beyond MaxQuotas.
func (s *Store) ChangeQuotas(ctx context.Context, id InstanceID, put []Quota, remove []QuotaEntity) (Revision, error) {
	c := settingsChange{kind: settingsQuotas, most: MaxQuotas, put: make(map[string]string, len(put))}
	for _, e := range remove {
		field, err := json.Marshal(e)
		if err != nil {
			return 0, fmt.Errorf("quota of instance %s: %w", id, err)
		}
		c.remove = append(c.remove, string(field))
	}
	for _, q := range put {
		field, err := json.Marshal(q.Entity)
		if err != nil {
			return 0, fmt.Errorf("quota of instance %s: %w", id, err)
		}
		value, err := json.Marshal(q)
		if err != nil {
			return 0, fmt.Errorf("quota of instance %s: %w", id, err)
		}
		c.put[string(field)] = string(value)
	}
	return s.change(ctx, id, c)
}
