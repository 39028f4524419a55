package rewrite

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// AlterClientQuotas (49, KIP-546) changes the instance's sub-quotas, as Kafka's
// ClientQuotaControlManager does, with these differences: no quotas by ip; an
// entity that is named twice is left as it is (Kafka says so and makes the first
// change all the same); more quotas than an instance may have are
// POLICY_VIOLATION for all of the request. 1: flexible.
func alterClientQuotas(x *Exchange, req *kmsg.AlterClientQuotasRequest) (outcome[*kmsg.AlterClientQuotasResponse], error) {
	changes := planQuotas(req)
	if code := x.cluster(x.needs.Cluster); code != 0 {
		refuseQuotas(changes, code, *standardText(code))
	} else if !req.ValidateOnly {
		x.alterQuotas(changes)
	}
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	for _, c := range changes {
		entry := kmsg.NewAlterClientQuotasResponseEntry()
		if entry.ErrorCode = c.code; c.code != 0 {
			entry.ErrorMessage = &c.text
		}
		for _, part := range c.parts {
			e := kmsg.NewAlterClientQuotasResponseEntryEntity()
			e.Type, e.Name = part.kind, part.name
			entry.Entity = append(entry.Entity, e)
		}
		resp.Entries = append(resp.Entries, entry)
	}
	return answer(resp), nil
}

func refuseQuotas(changes []*quotaChange, code int16, text string) {
	for _, c := range changes {
		c.refuse(code, text)
	}
}

// planQuotas says what is to be done with each entity that the request names.
func planQuotas(req *kmsg.AlterClientQuotasRequest) []*quotaChange {
	var changes []*quotaChange
	seen := make(map[string]*quotaChange, len(req.Entries))
	for i := range req.Entries {
		c := planQuota(&req.Entries[i])
		id := c.id()
		if first, ok := seen[id]; ok {
			first.refuse(codeInvalidRequest, "Ignoring duplicate entity")
			continue
		}
		seen[id] = c
		changes = append(changes, c)
	}
	return changes
}

func planQuota(entry *kmsg.AlterClientQuotasRequestEntry) *quotaChange {
	c := &quotaChange{put: map[string]float64{}}
	places := make(map[string]int, len(entry.Entity)) // by kind
	for _, e := range entry.Entity {
		part := quotaPart{e.Type, e.Name}
		// Kafka makes a map of them: the last of a kind counts.
		if i, ok := places[e.Type]; ok {
			c.parts[i] = part
			continue
		}
		places[e.Type] = len(c.parts)
		c.parts = append(c.parts, part)
	}
	var text string
	if c.entity, text = entityOf(c.parts); text != "" {
		c.refuse(codeInvalidRequest, text)
		return c
	}
	named := make(map[string]bool, len(entry.Ops))
	for _, op := range entry.Ops {
		switch {
		case named[op.Key]:
			c.refuse(codeInvalidRequest, "Duplicate quota key "+op.Key+" not updating quota for this entity")
			return c
		case op.Remove:
			c.remove = append(c.remove, op.Key)
		default:
			if text := checkQuota(op.Key, op.Value); text != "" {
				c.refuse(codeInvalidRequest, text)
				return c
			}
			c.put[op.Key] = op.Value
		}
		named[op.Key] = true
	}
	return c
}

// alterQuotas makes all changes that are not refused, together.
func (x *Exchange) alterQuotas(changes []*quotaChange) {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c *quotaChange) bool { return c.code != 0 })
	present, err := x.Store.Quotas(x.Ctx, x.Instance)
	if code := storeCode(err); code != 0 {
		refuseQuotas(changes, code, *standardText(code))
		return
	}
	values := make(map[string]map[string]float64, len(present))
	for _, q := range present {
		values[(&quotaChange{parts: partsOf(q.Entity)}).id()] = q.Values
	}
	var put []tenancy.Quota
	var remove []tenancy.QuotaKey
	for _, c := range changes {
		is := values[c.id()]
		for _, key := range c.remove {
			if _, ok := is[key]; ok {
				remove = append(remove, tenancy.QuotaKey{Entity: c.entity, Key: key})
			}
		}
		maps.DeleteFunc(c.put, func(key string, value float64) bool { return is[key] == value })
		if len(c.put) > 0 {
			put = append(put, tenancy.Quota{Entity: c.entity, Values: c.put})
		}
	}
	if len(put)+len(remove) == 0 {
		return
	}
	rev, err := x.Store.ChangeQuotas(x.Ctx, x.Instance, put, remove)
	switch code := storeCode(err); {
	case errors.Is(err, tenancy.ErrFull):
		refuseQuotas(changes, code, fmt.Sprintf("An instance may have %d quotas at most", tenancy.MaxQuotas))
	case code != 0:
		refuseQuotas(changes, code, *standardText(code))
	case err == nil:
		x.applied(rev)
	}
}
