package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// Codes that the topic and config keys answer themselves (Kafka's Errors).
const (
	codeUnknownTopic    int16 = 3   // UNKNOWN_TOPIC_OR_PARTITION
	codeNoLeader        int16 = 5   // LEADER_NOT_AVAILABLE
	codeNotAvailable    int16 = 15  // COORDINATOR_NOT_AVAILABLE
	codeInvalidTopic    int16 = 17  // INVALID_TOPIC_EXCEPTION
	codeTopicDenied     int16 = 29  // TOPIC_AUTHORIZATION_FAILED
	codeClusterDenied   int16 = 31  // CLUSTER_AUTHORIZATION_FAILED
	codeTopicExists     int16 = 36  // TOPIC_ALREADY_EXISTS
	codeReplication     int16 = 38  // INVALID_REPLICATION_FACTOR
	codeAssignment      int16 = 39  // INVALID_REPLICA_ASSIGNMENT
	codeInvalidConfig   int16 = 40  // INVALID_CONFIG
	codeInvalidRequest  int16 = 42  // INVALID_REQUEST
	codePolicyViolation int16 = 44  // POLICY_VIOLATION
	codeUnknownTopicID  int16 = 100 // UNKNOWN_TOPIC_ID
	codeWrongEndpoint   int16 = 114 // MISMATCHED_ENDPOINT_TYPE
	codeNoEndpoint      int16 = 115 // UNSUPPORTED_ENDPOINT_TYPE
)

// consumerReplica is the replica id of every client that is not a broker. Any
// other reads past the high watermark, moves ISR state or reads from followers
// (protocol.md 2.4).
const consumerReplica int32 = -1

// maxPartitions bounds the partitions of one topic until plans do: each costs
// the brokers that hold it open files and memory. Kafka's own bound is 10,000
// new ones in a request (ReplicationControlManager.MAX_PARTITIONS_PER_BATCH).
const maxPartitions = 1000

// forwardTopics splits a request's topics into those that the broker is asked,
// their names mapped in place, and rows for those that are refused.
// name points to a topic's name; refuse makes the row.
func forwardTopics[Q, R any](x *Exchange, topics []Q, name func(*Q) *string, refuse func(*Q, int16) R) (asked []Q, refused []placed[R]) {
	asked = make([]Q, 0, len(topics))
	for i := range topics {
		n := name(&topics[i])
		physical, code := x.topic(*n, x.needs.Topic)
		if code != 0 {
			refused = append(refused, placed[R]{i, refuse(&topics[i], code)})
			continue
		}
		*n = physical
		asked = append(asked, topics[i])
	}
	return asked, refused
}

// unmapTopics maps the names of a broker's rows in place; one of somebody else
// closes the connection.
func unmapTopics[R any](x *Exchange, rows []R, name func(*R) *string) error {
	for i := range rows {
		n := name(&rows[i])
		virtual, err := x.virtualTopic(*n)
		if err != nil {
			return err
		}
		*n = virtual
	}
	return nil
}

// unmapTopicOrNil is unmapTopics for one name that is null where the broker
// knows none.
func (x *Exchange) unmapTopicOrNil(name **string) error {
	if *name == nil || **name == "" {
		*name = nil
		return nil
	}
	virtual, err := x.virtualTopic(**name)
	if err != nil {
		return err
	}
	*name = &virtual
	return nil
}

// describableNames keeps those physical names of this instance's topics that the
// session may describe.
func (x *Exchange) describableNames(physical []string) []string {
	return slices.DeleteFunc(physical, func(name string) bool {
		virtual, ok := x.Space.Virtual(tenancy.KindTopic, name)
		return !ok || !x.allows(virtual, opDescribe)
	})
}

// listTopics returns the physical names of all topics of this instance, in order
// of their virtual names: those under its prefix, and those it has aliases of,
// which may have been deleted since.
func (x *Exchange) listTopics() ([]string, error) {
	names, err := x.Pool.ListTopics(x.Ctx, x.Space.Prefix())
	if err != nil || len(x.Space.Aliases()) == 0 {
		return names, err
	}
	// The prefixed form of an alias is nobody's.
	names = slices.DeleteFunc(names, func(name string) bool {
		_, ok := x.Space.Virtual(tenancy.KindTopic, name)
		return !ok
	})
	for _, a := range x.Space.Aliases() {
		if a.Kind == tenancy.KindTopic {
			names = append(names, a.Physical)
		}
	}
	slices.SortFunc(names, x.byVirtualTopic)
	return slices.Compact(names), nil
}

// byVirtualTopic orders physical names of this instance's topics as a client does.
func (s *Session) byVirtualTopic(a, b string) int {
	va, _ := s.Space.Virtual(tenancy.KindTopic, a)
	vb, _ := s.Space.Virtual(tenancy.KindTopic, b)
	return strings.Compare(va, vb)
}

// shared reports whether a virtual topic is only shared with this instance.
func (s *Session) shared(virtual string) bool {
	a, ok := s.Space.Alias(tenancy.KindTopic, virtual)
	return ok && a.ReadOnly
}

// place adds a row for the subject that stood at place at in the request.
func place[R any](rows *[]placed[R], at int, row R) {
	*rows = append(*rows, placed[R]{at, row})
}

// describeTopics asks the pool about topics by their physical names.
func (x *Exchange) describeTopics(physical []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range physical {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	raw, err := x.Pool.Request(x.Ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := raw.(*kmsg.MetadataResponse)
	if !ok {
		return nil, fmt.Errorf("the answer to Metadata is a %T", raw)
	}
	return resp, nil
}
