package rewrite

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCheckConfig(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool())}
	const topic, group = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeGroupConfig
	for _, tt := range []struct {
		kind       kmsg.ConfigResourceType
		key, value string
		want       int16
	}{
		{topic, "retention.ms", "-1", 0},
		{topic, "cleanup.policy", "compact,delete", 0},
		{topic, "segment.bytes", "52428800", 0}, // Kafka Streams' repartition topics
		{topic, "segment.bytes", "52428799", 44},
		{topic, "segment.bytes", "1073741825", 44},
		{topic, "segment.ms", "599999", 44},
		{topic, "max.message.bytes", "8388608", 0},
		{topic, "max.message.bytes", "8388609", 44},
		{topic, "max.message.bytes", "99999999999999999999", 0}, // the broker's to refuse: no number that it takes
		{topic, "segment.bytes", "many", 0},                     // likewise
		{topic, "unclean.leader.election.enable", "true", 40},
		{topic, "remote.storage.enable", "true", 40},
		{topic, "leader.replication.throttled.replicas", "*", 40},
		{topic, "errors.deadletterqueue.group.enable", "true", 40},
		{topic, "Retention.ms", "1", 40},
		{topic, "", "1", 40},
		{topic, "consumer.session.timeout.ms", "1", 40},
		{group, "consumer.session.timeout.ms", "45000", 0},
		{group, "share.auto.offset.reset", "earliest", 0},
		{group, "errors.deadletterqueue.topic.name", "x", 40},
		{group, "retention.ms", "1", 40},
		{kmsg.ConfigResourceTypeBroker, "sasl.jaas.config", "com.sun.security.auth.module.JndiLoginModule", 40}, // CVE-2025-27818
		{kmsg.ConfigResourceTypeUnknown, "retention.ms", "1", 40},
	} {
		code, msg := x.checkConfig(tt.kind, tt.key, &tt.value)
		if code != tt.want || (msg == nil) != (code == 0) {
			t.Errorf("%v %s=%s: code %d (%s), want %d", tt.kind, tt.key, tt.value, code, deref(msg), tt.want)
		}
	}
	if code, _ := x.checkConfig(topic, "segment.bytes", nil); code != 0 {
		t.Errorf("a null value gives %d, want the broker to judge", code)
	}
}
