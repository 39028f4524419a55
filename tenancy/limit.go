package tenancy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// LimitName is one bound that an instance, or a user or client id within it, is
// held to: the word for it in plans, REST, CLI and metrics.
type LimitName string

// Limits by their names. A rate is what may be used in a second over all gateways
// together; the others bound what is there at any time.
const (
	LimitProduceBytes       LimitName = "produce_bytes_per_second"       // Produce requests, whole frames
	LimitFetchBytes         LimitName = "fetch_bytes_per_second"         // Fetch and ShareFetch answers, whole frames
	LimitRequests           LimitName = "requests_per_second"            // of all keys
	LimitRequestTime        LimitName = "request_percentage"             // time that gateways work on requests, in percent of one core (Kafka's request_percentage)
	LimitConnectionAttempts LimitName = "connection_attempts_per_second" // KIP-612
	LimitTopicMutations     LimitName = "topic_mutations_per_second"     // partitions created and deleted (KIP-599)

	LimitConnections  LimitName = "connections"
	LimitPartitions   LimitName = "partitions"
	LimitTopics       LimitName = "topics"
	LimitGroups       LimitName = "groups"
	LimitMessageBytes LimitName = "message_bytes" // one record batch, as Kafka's max.message.bytes
	LimitStorageBytes LimitName = "storage_bytes" // of one replica of each partition
)

// Limit is a bound.
type Limit struct {
	// Value is greater than 0: units in a second for a rate, else units.
	Value float64 `json:"value"`
	// Burst is how many units of a rate may be used at once after a rest; 0: a
	// quarter of a second's (operations.md D.4). Always 0 for what is no rate.
	Burst float64 `json:"burst,omitempty"`
}

// Limits are bounds by name; a name that is absent is not bounded.
type Limits map[LimitName]Limit

// LimitKind is what all limits of a name have in common.
type LimitKind struct {
	Rate     bool // has a burst
	Integral bool // the value is a whole number
	Min, Max float64
	Unit     string // of the value, for people: "bytes/s"
	// SubQuota is the key of Kafka's protocol for the same bound of a user or
	// client id (QuotaConfig); "" if they have none.
	SubQuota string
}

const maxBytes = 1 << 50 // 1 PiB, exact in a float64

var limitKinds = map[LimitName]LimitKind{ //nolint:gochecknoglobals // read-only table
	LimitProduceBytes:       {Rate: true, Integral: true, Min: 1024, Max: maxBytes, Unit: "bytes/s", SubQuota: QuotaProducerBytes},
	LimitFetchBytes:         {Rate: true, Integral: true, Min: 1024, Max: maxBytes, Unit: "bytes/s", SubQuota: QuotaConsumerBytes},
	LimitRequests:           {Rate: true, Min: 1, Max: 1e9, Unit: "requests/s"},
	LimitRequestTime:        {Rate: true, Min: 0.1, Max: 1e6, Unit: "% of a core", SubQuota: QuotaRequestTime},
	LimitConnectionAttempts: {Rate: true, Min: 0.1, Max: 1e6, Unit: "attempts/s"},
	LimitTopicMutations:     {Rate: true, Min: 0.01, Max: 1e6, Unit: "partitions/s", SubQuota: QuotaMutations},
	LimitConnections:        {Integral: true, Min: 1, Max: 1e9, Unit: "connections"},
	LimitPartitions:         {Integral: true, Min: 1, Max: 1e9, Unit: "partitions"},
	LimitTopics:             {Integral: true, Min: 1, Max: 1e9, Unit: "topics"},
	LimitGroups:             {Integral: true, Min: 1, Max: 1e9, Unit: "groups"},
	LimitMessageBytes:       {Integral: true, Min: 1024, Max: 1 << 30, Unit: "bytes"},
	LimitStorageBytes:       {Integral: true, Min: 1 << 20, Max: maxBytes, Unit: "bytes"},
}

// LimitNames are all names, in a fixed order: rates first.
func LimitNames() []LimitName {
	return []LimitName{
		LimitProduceBytes, LimitFetchBytes, LimitRequests, LimitRequestTime, LimitConnectionAttempts, LimitTopicMutations,
		LimitConnections, LimitPartitions, LimitTopics, LimitGroups, LimitMessageBytes, LimitStorageBytes,
	}
}

// KindOf is what is common to a name's limits; ok is false for a name that is none.
func KindOf(name LimitName) (k LimitKind, ok bool) {
	k, ok = limitKinds[name]
	return k, ok
}

// Check says what keeps a limit from being one of that name: the value and the
// allowed range.
func (l Limit) Check(name LimitName) error {
	k, ok := limitKinds[name]
	switch {
	case !ok:
		return fmt.Errorf("limit %.80q is unknown", name)
	case !(l.Value >= k.Min && l.Value <= k.Max): // not a number neither
		text := fmt.Sprintf("%s is %s, must be from %s to %s %s", name, number(l.Value), number(k.Min), number(k.Max), k.Unit)
		if k.bytes() {
			text += fmt.Sprintf(", %s to %s", FormatAmount(name, k.Min), FormatAmount(name, k.Max))
		}
		return errors.New(text)
	case k.Integral && l.Value != math.Trunc(l.Value):
		return fmt.Errorf("%s is %v, must be a whole number of %s", name, number(l.Value), k.Unit)
	case l.Burst == 0:
		return nil
	case !k.Rate:
		return fmt.Errorf("%s has a burst of %s, but is no rate", name, number(l.Burst))
	case !(l.Burst > 0 && l.Burst <= 3600*l.Value):
		return fmt.Errorf("burst of %s is %s, must be from 0 to %s, an hour's worth", name, number(l.Burst), number(3600*l.Value))
	}
	return nil
}

// number is one as people write it: 1125899906842624, not 1.125899906842624e+15.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Source is where an effective limit comes from.
type Source string

// Sources, from the weakest to the strongest.
const (
	SourceNone     Source = "none" // not bounded
	SourcePlan     Source = "plan"
	SourceInstance Source = "instance"
	SourceBudget   Source = "budget" // the tenant's is spent
)

// EffectiveLimit is what an instance is held to.
type EffectiveLimit struct {
	Limit
	Source Source
}

// Effective are an instance's limits: the plan's, overridden by its own, and none higher
// than a restraint lets it be. Every name is there; one that is not bounded has SourceNone
// and Value 0.
func Effective(plan, own Limits, r Restraint) map[LimitName]EffectiveLimit {
	all := make(map[LimitName]EffectiveLimit, len(limitKinds))
	for name := range limitKinds {
		all[name] = EffectiveOf(name, plan, own, r)
	}
	return all
}

// EffectiveOf is one of Effective.
func EffectiveOf(name LimitName, plan, own Limits, r Restraint) EffectiveLimit {
	e := EffectiveLimit{Source: SourceNone}
	if l, ok := own[name]; ok {
		e = EffectiveLimit{l, SourceInstance}
	} else if l, ok := plan[name]; ok {
		e = EffectiveLimit{l, SourcePlan}
	}
	if most, ok := r.limit(name); ok && (e.Source == SourceNone || e.Value > most.Value) {
		e = EffectiveLimit{most, SourceBudget}
	}
	return e
}

// Check says what keeps limits from being used, the first by name.
func (l Limits) Check() error {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if err := l[name].Check(name); err != nil {
			return err
		}
	}
	return nil
}
