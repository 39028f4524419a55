package rewrite

import (
	"fmt"
	"math"
	"strconv"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// bounds of a config's value that a tenant may set, both inclusive.
type bounds struct{ min, max int64 }

// free is the bound of a value that the broker alone judges.
func free() bounds { return bounds{math.MinInt64, math.MaxInt64} }

const configMaxMessageBytes = "max.message.bytes"

const (
	minuteMillis = 60_000
	mebibyte     = 1 << 20
)

// topicConfig lists the configs of a topic (Kafka 4.4 TopicConfig) that a tenant
// may see; those that are the operator's are not settable. A config that is
// absent is hidden, refused with INVALID_CONFIG and kept as it is by
// AlterConfigs: an unknown one may name a class or an address (CVE-2025-27818),
// or a topic of somebody else (errors.deadletterqueue.*, protocol.md 2.7), or
// show how the pool is run (remote.*, *.replication.throttled.replicas).
func topicConfig(key string) (b bounds, settable, visible bool) {
	switch key {
	case "cleanup.policy", "compression.type", "delete.retention.ms",
		"message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
		"message.timestamp.difference.max.ms", "min.compaction.lag.ms", "min.insync.replicas",
		"retention.bytes", "retention.ms":
		return free(), true, true
	case configMaxMessageBytes:
		// The upper bound is Confluent Cloud's for shared clusters: what one
		// fetch of a neighbour must be able to wait for.
		return bounds{0, 8 * mebibyte}, true, true
	case "segment.bytes":
		// A segment is three open files on each replica. 50 MiB is the default
		// of Kafka Streams' repartition topics, 1 GiB Kafka's own.
		return bounds{50 * mebibyte, 1024 * mebibyte}, true, true
	case "segment.ms":
		return bounds{10 * minuteMillis, math.MaxInt64}, true, true
	case "max.compaction.lag.ms":
		// The log cleaner's threads are shared by all tenants of a broker.
		return bounds{10 * minuteMillis, math.MaxInt64}, true, true
	case "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
		"file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes",
		"message.downconversion.enable", "message.format.version", "min.cleanable.dirty.ratio",
		"preallocate", "segment.index.bytes", "segment.jitter.ms", "unclean.leader.election.enable":
		return bounds{}, false, true
	}
	return bounds{}, false, false
}

// groupConfig is topicConfig for groups (Kafka 4.4 GroupConfig). The broker
// bounds these itself (group.*.min/max.*).
func groupConfig(key string) (b bounds, settable, visible bool) {
	switch key {
	case "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms",
		"share.session.timeout.ms", "share.heartbeat.interval.ms", "share.record.lock.duration.ms",
		"share.auto.offset.reset", "share.isolation.level", "share.delivery.count.limit",
		"share.partition.max.record.locks", "share.renew.acknowledge.enable",
		"streams.session.timeout.ms", "streams.heartbeat.interval.ms",
		"streams.num.standby.replicas", "streams.initial.rebalance.delay.ms":
		return free(), true, true
	}
	return bounds{}, false, false
}

// config says what a tenant may do with one config of a resource.
func config(kind kmsg.ConfigResourceType, key string) (b bounds, settable, visible bool) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return topicConfig(key)
	case kmsg.ConfigResourceTypeGroupConfig:
		return groupConfig(key)
	}
	return bounds{}, false, false
}

// checkConfig judges a config that a tenant wants to set; code 0 lets it pass.
// A null value, and one that is not a number where one is due, is for the
// broker to judge: it is INVALID_CONFIG there. max.message.bytes has the instance's
// limit of a record batch as an upper bound too, so that nobody sets what Produce
// would not accept.
func (x *Exchange) checkConfig(kind kmsg.ConfigResourceType, key string, value *string) (code int16, msg *string) {
	b, settable, _ := config(kind, key)
	if !settable {
		return codeInvalidConfig, new(fmt.Sprintf("config %q cannot be set here", key))
	}
	if most := x.bounds().MessageBytes; most > 0 && kind == kmsg.ConfigResourceTypeTopic && key == configMaxMessageBytes {
		b.max = min(b.max, most)
	}
	if value == nil || b == free() {
		return 0, nil
	}
	if n, err := strconv.ParseInt(*value, 10, 64); err == nil && (n < b.min || n > b.max) {
		return codePolicyViolation, new(fmt.Sprintf("config %q must be between %d and %d, not %d", key, b.min, b.max, n))
	}
	return 0, nil
}

// physicalResource maps the name of a resource whose configs a tenant may see
// or change; code is not 0 if there is none.
func (x *Exchange) physicalResource(kind kmsg.ConfigResourceType, virtual string) (physical string, code int16) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return x.topic(virtual, x.needs.Topic)
	case kmsg.ConfigResourceTypeGroupConfig:
		physical, code := x.group(virtual, x.needs.Group)
		if code == invalidGroup() {
			code = codeInvalidRequest // KafkaApis: "Group name must not be empty"
		}
		return physical, code
	}
	return "", codeClusterDenied
}

// configKind is the kind of name that a resource with configs has.
func configKind(of kmsg.ConfigResourceType) tenancy.Kind {
	if of == kmsg.ConfigResourceTypeGroupConfig {
		return tenancy.KindGroup
	}
	return tenancy.KindTopic
}
