package rewrite

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"weir/tenancy"
)

// Kinds of parts that a quota's entity can have (Kafka's ClientQuotaEntity).
const (
	quotaUser   = "user"
	quotaClient = "client-id"
	quotaIP     = "ip"
)

// textNoIP says why there are no quotas by address: the addresses that connect
// are the gateway's own concern.
const textNoIP = "Quotas by ip are not supported, only by user and client-id."

// quotaPart is a part of an entity; without a name it is the default.
type quotaPart struct {
	kind string
	name *string
}

// partsOf are an entity's parts, the user first.
func partsOf(e tenancy.QuotaEntity) (parts []quotaPart) {
	add := func(kind string, name *string) {
		if name != nil && *name == "" {
			parts = append(parts, quotaPart{kind, nil})
		} else if name != nil {
			parts = append(parts, quotaPart{kind, name})
		}
	}
	add(quotaUser, e.User)
	add(quotaClient, e.ClientID)
	return parts
}

// entityOf makes an entity of parts, each kind at most once, or says why it is
// none, as Kafka's ClientQuotaControlManager does (INVALID_REQUEST).
func entityOf(parts []quotaPart) (e tenancy.QuotaEntity, text string) {
	ip := false
	for _, part := range parts {
		name := part.name
		if name == nil {
			name = new(string)
		} else if *name == "" {
			return e, "Empty " + part.kind + " not supported"
		}
		switch part.kind {
		case quotaUser:
			e.User = name
		case quotaClient:
			e.ClientID = name
		case quotaIP:
			ip = true
		default:
			return e, "Unhandled client quota entity type: " + part.kind
		}
	}
	switch {
	case ip && len(parts) > 1:
		return e, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
	case ip:
		return e, textNoIP
	case len(parts) == 0:
		return e, "Invalid empty client quota entity"
	}
	if err := e.Check(); err != nil {
		return e, err.Error()
	}
	return e, ""
}

// checkQuota says why a value is none that a key may have, "" if it is.
func checkQuota(key string, value float64) (text string) {
	integral := key == tenancy.QuotaProducerBytes || key == tenancy.QuotaConsumerBytes
	switch {
	case !integral && key != tenancy.QuotaRequestTime && key != tenancy.QuotaMutations:
		return "Invalid configuration key " + key
	case !(value > 0): // not a number neither
		return "Quota " + key + " must be greater than 0"
	case integral && value > math.MaxInt64:
		return "Proposed value for " + key + " is too large for a LONG."
	case math.IsInf(value, 0):
		return "Proposed value for " + key + " is too large for a DOUBLE."
	case integral && math.Mod(value, 1) > 1e-6:
		return key + " cannot be a fractional value."
	}
	return ""
}

// quotaChange is what one request asks of one entity.
type quotaChange struct {
	parts  []quotaPart
	entity tenancy.QuotaEntity
	put    map[string]float64
	remove []string
	code   int16 // not 0: refused
	text   string
}

func (c *quotaChange) refuse(code int16, text string) { c.code, c.text = code, text }

// id tells entities apart, those that are refused too.
func (c *quotaChange) id() string {
	parts := slices.SortedFunc(slices.Values(c.parts), func(a, b quotaPart) int { return cmp.Compare(a.kind, b.kind) })
	var id strings.Builder
	for _, part := range parts {
		name := "-"
		if part.name != nil {
			name = fmt.Sprintf("%q", *part.name)
		}
		_, _ = fmt.Fprintf(&id, "%q=%s,", part.kind, name)
	}
	return id.String()
}
