package gateway

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"weir/tenancy"
)

// PlanLimitsConfig are the limits of a plan. Each is a value, or {value: ..., burst: ...}.
// Bytes may have a unit: 10MiB, 10MB.
type PlanLimitsConfig struct {
	// Rates, in a second over all gateways together.
	ProduceBytes       *LimitConfig `yaml:"produce_bytes_per_second"`       // of Produce requests
	FetchBytes         *LimitConfig `yaml:"fetch_bytes_per_second"`         // of answers to Fetch
	Requests           *LimitConfig `yaml:"requests_per_second"`            // of all kinds
	RequestTime        *LimitConfig `yaml:"request_percentage"`             // gateways' work, in percent of one core
	ConnectionAttempts *LimitConfig `yaml:"connection_attempts_per_second"` // new connections
	TopicMutations     *LimitConfig `yaml:"topic_mutations_per_second"`     // partitions created and deleted
	// What there may be at any time.
	Connections  *LimitConfig `yaml:"connections"`
	Partitions   *LimitConfig `yaml:"partitions"`
	Topics       *LimitConfig `yaml:"topics"`
	Groups       *LimitConfig `yaml:"groups"`
	MessageBytes *LimitConfig `yaml:"message_bytes"` // of one record batch
	StorageBytes *LimitConfig `yaml:"storage_bytes"` // of one replica of each partition
}

// LimitConfig is one limit: a value, or a mapping with these keys.
type LimitConfig struct {
	// Value, in units of the limit.
	Value string `yaml:"value"`
	// Burst is how much of a rate may be used at once after a rest. Optional; a quarter
	// of a second's if empty.
	Burst string `yaml:"burst"`
}

// byName are those that are there.
func (p *PlanLimitsConfig) byName() map[tenancy.LimitName]*LimitConfig {
	all := map[tenancy.LimitName]*LimitConfig{
		tenancy.LimitProduceBytes: p.ProduceBytes, tenancy.LimitFetchBytes: p.FetchBytes,
		tenancy.LimitRequests: p.Requests, tenancy.LimitRequestTime: p.RequestTime,
		tenancy.LimitConnectionAttempts: p.ConnectionAttempts, tenancy.LimitTopicMutations: p.TopicMutations,
		tenancy.LimitConnections: p.Connections, tenancy.LimitPartitions: p.Partitions,
		tenancy.LimitTopics: p.Topics, tenancy.LimitGroups: p.Groups,
		tenancy.LimitMessageBytes: p.MessageBytes, tenancy.LimitStorageBytes: p.StorageBytes,
	}
	maps.DeleteFunc(all, func(_ tenancy.LimitName, l *LimitConfig) bool { return l == nil })
	return all
}

// limits are those of a plan that was found right.
func (p *PlanLimitsConfig) limits() tenancy.Limits {
	all := tenancy.Limits{}
	for name, l := range p.byName() {
		all[name], _, _ = l.parse(name)
	}
	return all
}

// parse also says at which key a mistake is: "", ".value" or ".burst".
func (l *LimitConfig) parse(name tenancy.LimitName) (out tenancy.Limit, key string, err error) {
	if out.Value, err = tenancy.ParseAmount(name, l.Value); err != nil {
		return out, ".value", err
	}
	if l.Burst != "" {
		if out.Burst, err = tenancy.ParseAmount(name, l.Burst); err != nil {
			return out, ".burst", err
		}
	}
	return out, "", out.Check(name)
}

func (v *validator) planLimits(at string, p *PlanLimitsConfig) {
	all := p.byName()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l, path := all[name], at+"."+string(name)
		if l.Value == "" && !v.isBroken(path) && !v.isBroken(path+".value") {
			v.fail(path, codeMissing, "needed: a value, or {value: ..., burst: ...}")
			continue
		}
		_, key, err := l.parse(name)
		if err == nil || v.isBroken(path) {
			continue
		}
		if _, ok := v.at[path+key]; !ok {
			key = ""
		}
		v.fail(path+key, codeValue, "%s", strings.TrimPrefix(err.Error(), string(name)+" "))
	}
}

// planBook knows what plans bound: what was set while gateways run, else what the
// file says. Any goroutine.
type planBook struct {
	file   map[string]tenancy.Limits // by the names of all plans that there are
	set    func(plan string) tenancy.Limits
	log    *slog.Logger
	merged atomic.Pointer[map[string]tenancy.Limits]
	told   sync.Map // names of plans that are not there
}

// renew reads what was set.
func (b *planBook) renew() {
	all := make(map[string]tenancy.Limits, len(b.file))
	for plan, limits := range b.file {
		merged := tenancy.Limits{}
		maps.Copy(merged, limits)
		maps.Copy(merged, b.set(plan))
		all[plan] = merged
	}
	b.merged.Store(&all)
}

// limits of a plan; none of one that is not there, which is logged once.
func (b *planBook) limits(plan string) tenancy.Limits {
	l, ok := (*b.merged.Load())[plan]
	if !ok {
		if _, said := b.told.LoadOrStore(plan, true); !said {
			b.log.Warn("instances of a plan that this gateway does not know are not bounded: add it to plans in weir.yaml", "plan", plan)
		}
	}
	return l
}
