package rewrite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// The topology of a Kafka Streams application (KIP-1071). The group's coordinator
// keeps it, and creates the topics in it that are internal to the application:
// with the gateway's rights and without asking CreateTopics. So what the broker
// would not check is checked here, before anything is mapped: the policy for new
// topics, and whether the member may create them.

type (
	topology    = kmsg.StreamsGroupHeartbeatRequestTopology
	subtopology = kmsg.StreamsGroupHeartbeatRequestTopologySubtopology
)

// mapTopology maps a topology in place. code is not 0 if it is refused, in
// Kafka's order (KafkaApis.handleStreamsGroupHeartbeat) and words. Entries keep
// their places: copartition groups point to them by number.
func mapTopology(x *Exchange, t *topology) (code int16, msg *string) {
	if code, msg := checkTopologyNames(x, t); code != 0 {
		return code, msg
	}
	for i := range t.Subtopologies {
		if code, msg := x.checkSubtopology(&t.Subtopologies[i]); code != 0 {
			return code, msg
		}
	}
	if code, msg := checkCreatable(x, t); code != 0 {
		return code, msg
	}
	if code, msg := x.topologyFits(t); code != 0 {
		return code, msg
	}
	for i := range t.Subtopologies {
		eachTopic(&t.Subtopologies[i], func(name *string) { *name = x.Space.Physical(tenancy.KindTopic, *name) })
		eachInternal(&t.Subtopologies[i], func(info *kmsg.TopicInfo) {
			info.ReplicationFactor = 0 // the pool's, as for CreateTopics
		})
	}
	return 0, nil
}

// eachTopic calls fn for every topic's name of a subtopology.
func eachTopic(s *subtopology, fn func(name *string)) {
	for i := range s.SourceTopics {
		fn(&s.SourceTopics[i])
	}
	for i := range s.RepartitionSinkTopics {
		fn(&s.RepartitionSinkTopics[i])
	}
	eachInternal(s, func(info *kmsg.TopicInfo) { fn(&info.Topic) })
}

// eachInternal calls fn for every topic that the broker creates.
func eachInternal(s *subtopology, fn func(info *kmsg.TopicInfo)) {
	for i := range s.RepartitionSourceTopics {
		fn(&s.RepartitionSourceTopics[i])
	}
	for i := range s.StateChangelogTopics {
		fn(&s.StateChangelogTopics[i])
	}
}

// checkTopologyNames judges the names: STREAMS_INVALID_TOPOLOGY for those that no
// topic may have, TOPIC_AUTHORIZATION_FAILED if one may not be described.
func checkTopologyNames(x *Exchange, t *topology) (code int16, msg *string) {
	var prohibited, invalid []string
	denied := false
	seen := make(map[string]bool)
	for i := range t.Subtopologies {
		eachTopic(&t.Subtopologies[i], func(name *string) {
			if seen[*name] {
				return
			}
			seen[*name] = true
			switch _, err := x.Space.Topic(*name); {
			case errors.Is(err, tenancy.ErrTopicReserved):
				prohibited = append(prohibited, *name)
			case err != nil:
				invalid = append(invalid, *name)
			case !x.allows(*name, x.needs.Topic):
				denied = true
			}
		})
	}
	switch {
	case len(prohibited) > 0:
		return invalidTopology("Use of Kafka internal topics %s in a Kafka Streams topology is prohibited.", strings.Join(prohibited, ","))
	case len(invalid) > 0:
		return invalidTopology("Topic names %s are not valid topic names.", strings.Join(invalid, ","))
	case denied:
		return codeTopicDenied, standardText(codeTopicDenied)
	}
	return 0, nil
}

func invalidTopology(format string, args ...any) (code int16, msg *string) {
	return kerr.StreamsInvalidTopology.Code, new(fmt.Sprintf(format, args...))
}

// checkSubtopology judges what stands beside the names: patterns, which would
// match the whole pool's topics should a broker learn to read them, numbers that
// point beyond a list (a broker would fail over them), and new topics by the
// policy for CreateTopics. Zero partitions are as many as the sources have.
func (x *Exchange) checkSubtopology(s *subtopology) (code int16, msg *string) {
	if len(s.SourceTopicRegex) > 0 {
		return codeInvalidRequest, new("Regular expressions for source topics are not supported yet.")
	}
	for _, g := range s.CopartitionGroups {
		if !pointInto(g.SourceTopics, len(s.SourceTopics)) || !pointInto(g.RepartitionSourceTopics, len(s.RepartitionSourceTopics)) ||
			len(g.SourceTopicRegex) > 0 {
			return invalidTopology("Copartition groups of subtopology %s name topics that it does not have.", s.SubtopologyID)
		}
	}
	for _, info := range s.StateChangelogTopics {
		if info.NumPartitions != 0 { // GroupCoordinatorService.throwIfInvalidTopology
			return invalidTopology("Changelog topic %s must have an undefined partition count, but it is set to %d.", info.Topic, info.NumPartitions)
		}
	}
	eachInternal(s, func(info *kmsg.TopicInfo) {
		if code == 0 {
			code, msg = x.checkInternal(info)
		}
	})
	return code, msg
}

// pointInto reports whether all of places are in a list of n.
func pointInto(places []int16, n int) bool {
	return !slices.ContainsFunc(places, func(at int16) bool { return at < 0 || int(at) >= n })
}

// checkInternal holds a topic that the broker may create against the policy for
// new topics.
func (x *Exchange) checkInternal(info *kmsg.TopicInfo) (code int16, msg *string) {
	switch {
	case info.NumPartitions < 0:
		return invalidTopology("Internal topic %s must have a positive number of partitions or 0, not %d.", info.Topic, info.NumPartitions)
	case info.NumPartitions > maxPartitions:
		return invalidTopology("Internal topic %s: %s", info.Topic, *tooManyPartitions(info.NumPartitions))
	case info.ReplicationFactor < -1:
		return invalidTopology("Internal topic %s: replication factor must be positive, 0 or -1, not %d", info.Topic, info.ReplicationFactor)
	}
	for _, c := range info.Configs {
		if code, why := x.checkConfig(kmsg.ConfigResourceTypeTopic, c.Key, &c.Value); code != 0 {
			return invalidTopology("Internal topic %s: %s", info.Topic, *why)
		}
	}
	return 0, nil
}

// checkCreatable refuses a topology with internal topics that are not there and
// that the member may not create.
//
// Kafka lets such a member into the group, where it has nothing to do until
// somebody else has made the topics (status MISSING_INTERNAL_TOPICS). The gateway
// cannot: the broker would create them upon any later heartbeat, which names no
// topic. For the same reason a topic that is deleted while its group lives is
// made anew for a member that could not have made it.
func checkCreatable(x *Exchange, t *topology) (code int16, msg *string) {
	missing := make(map[string]string) // physical → virtual
	for i := range t.Subtopologies {
		eachInternal(&t.Subtopologies[i], func(info *kmsg.TopicInfo) {
			if !x.mayCreate(info.Topic) {
				missing[x.Space.Physical(tenancy.KindTopic, info.Topic)] = info.Topic
			}
		})
	}
	if len(missing) == 0 {
		return 0, nil
	}
	found, err := x.describeTopics(slices.Sorted(maps.Keys(missing)))
	if err != nil {
		return kerr.CoordinatorNotAvailable.Code, standardText(kerr.CoordinatorNotAvailable.Code) // clients try again
	}
	for _, topic := range found.Topics {
		if topic.Topic != nil && topic.ErrorCode != codeUnknownTopic {
			delete(missing, *topic.Topic)
		}
	}
	if len(missing) == 0 {
		return 0, nil
	}
	return codeTopicDenied, new(fmt.Sprintf("Unauthorized to CREATE on topics %s.", strings.Join(slices.Sorted(maps.Values(missing)), ", ")))
}

// mayCreate reports whether the client may create a topic, by the right to it or
// to all (KafkaApis). One that is only shared with the instance is never its to
// make, not even where it has been deleted.
func (x *Exchange) mayCreate(virtual string) bool {
	if a, ok := x.Space.Alias(tenancy.KindTopic, virtual); ok && a.ReadOnly {
		return false
	}
	return x.cluster(opCreate) == 0 || x.allows(virtual, opCreate)
}
