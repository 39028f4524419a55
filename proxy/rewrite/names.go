package rewrite

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// What Kafka's AclEntry.supportedOperations names for each resource type; of the
// cluster's only those that a tenant can use. The broker's own masks never pass,
// since they show the gateway's rights.
const (
	topicOperations auth.Operations = 1<<opRead | 1<<opWrite | 1<<opCreate | 1<<opDelete | 1<<opAlter |
		1<<opDescribe | 1<<opDescribeConfigs | 1<<opAlterConfigs
	groupOperations   auth.Operations = 1<<opRead | 1<<opDelete | 1<<opDescribe | 1<<opDescribeConfigs | 1<<opAlterConfigs
	clusterOperations auth.Operations = 1<<opCreate | 1<<opAlter | 1<<opDescribe | 1<<opDescribeConfigs | 1<<opAlterConfigs | 1<<opIdempotentWrite

	// operationsNotAsked is what Kafka answers when a client did not ask.
	operationsNotAsked int32 = -1 << 31
)

// operations is the authorized_operations of one resource, if the client asked.
func (x *Exchange) operations(asked bool, t kmsg.ACLResourceType, name string) int32 {
	if !asked {
		return operationsNotAsked
	}
	supported := topicOperations
	switch t {
	case kmsg.ACLResourceTypeGroup:
		supported = groupOperations
	case kmsg.ACLResourceTypeCluster:
		supported = clusterOperations
	}
	may := x.may(t, name)
	if t == kmsg.ACLResourceTypeCluster && !may.Has(opDescribe) {
		return 0 // as KafkaApis
	}
	return int32(may & supported)
}

// topicID is a topic's id (KIP-516); zero means "by name".
type topicID = [16]byte

// metadataTopicID is the id of __cluster_metadata (Kafka's
// Uuid.METADATA_TOPIC_ID): like zero it is nobody's.
func metadataTopicID() topicID { return topicID{15: 1} }

// physicalTopic maps a topic's name; ok is false if the name is not one that a
// topic may have (protocol.md 2.1), which must not be forwarded: the prefix
// would turn it into a legal one. Metadata and CreateTopics answer
// INVALID_TOPIC_EXCEPTION, all others UNKNOWN_TOPIC_OR_PARTITION.
func (s *Session) physicalTopic(virtual string) (physical string, ok bool) {
	physical, err := s.Space.Topic(virtual)
	return physical, err == nil
}

// virtualTopic maps a topic's name of a response. A name of somebody else
// closes the connection: the broker answered for a topic that was not asked for.
func (s *Session) virtualTopic(physical string) (string, error) {
	return s.virtualName(tenancy.KindTopic, physical)
}

// virtualName is virtualTopic for any kind of name.
func (s *Session) virtualName(kind tenancy.Kind, physical string) (string, error) {
	virtual, ok := s.Space.Virtual(kind, physical)
	if !ok {
		return "", s.leak("", string(kind), physical)
	}
	return virtual, nil
}

// ownTopics returns the virtual names of those ids that are topics of this
// instance. Every other id (foreign, unknown, zero, the metadata topic's) is
// absent and answered UNKNOWN_TOPIC_ID, in one and the same shape.
func (x *Exchange) ownTopics(ids []topicID) map[topicID]string {
	ask := make([]topicID, 0, len(ids))
	for _, id := range ids {
		if id != (topicID{}) && id != metadataTopicID() {
			ask = append(ask, id)
		}
	}
	own := make(map[topicID]string, len(ask))
	if len(ask) == 0 {
		return own
	}
	for id, physical := range x.Pool.TopicNames(x.Ctx, x.Space, ask) {
		if virtual, ok := x.Space.Virtual(tenancy.KindTopic, physical); ok {
			own[id] = virtual
		}
	}
	return own
}

// learnTopic tells the pool what a broker's answer said of an id, so that the
// client's next request with that id is not held up by a look-up.
func (s *Session) learnTopic(id topicID, physical string) {
	if id != (topicID{}) {
		s.Pool.LearnTopic(id, physical)
	}
}

// Text is what a client may read of a broker's error message (protocol.md 2.8).
// Kafka writes names into some of them: there this instance's prefix is
// removed, and a text that still names something foreign becomes the code's
// standard text. All other codes only ever have their standard text. Null stays
// null and success has no text.
func (x *Exchange) Text(code int16, msg *string) *string {
	if msg == nil || code == 0 {
		return nil
	}
	if speaks(code) {
		if text, ok := x.told(*msg); ok {
			return &text
		}
	}
	return standardText(code)
}

// told is a broker's text in the client's words; ok is false if it names
// something that is not this instance's. It is judged with the prefix: a topic of
// this instance that is named like another instance ("demo.other.x") tells
// nothing about that one.
func (x *Exchange) told(text string) (told string, ok bool) {
	if x.Foreign == nil || x.foreign(text) {
		return "", false
	}
	if x.namesOddAlias(text) {
		return "", false
	}
	return x.virtualText(text)
}

// standardText is Kafka's general description of a code, which names nothing.
func standardText(code int16) *string {
	text := kerr.UnknownServerError.Description
	if e := kerr.TypedErrorForCode(code); e != nil {
		text = e.Description
	}
	return &text
}

// speaks reports whether Kafka's text for a code says more than the code, and
// names nothing but what the request named.
func speaks(code int16) bool {
	switch code {
	case 17, 36, 37, 38, 39, 40, 42, 44, 69, 128, 130, 131, 132, 134, 135:
		return true
	}
	return false
}

// virtualText replaces physical names by virtual ones. A name is what stands
// between bytes that no topic's name has: in "demo.my-demo.x" of instance demo
// only the first "demo." is a prefix. ok is false if the text names what is not
// this instance's: a topic that collides with one of its own (Kafka takes "demo_x"
// and "demo.x" for the same and prints the other's name).
func (s *Session) virtualText(text string) (virtual string, ok bool) {
	var out strings.Builder
	id := strings.TrimSuffix(s.Space.Prefix(), ".")
	for len(text) > 0 {
		n := 0
		for n < len(text) && nameByte(text[n]) {
			n++
		}
		word := text[:n]
		name := strings.TrimRight(word, ".") // the end of a sentence
		if virtual, aliased := s.aliasedName(name); aliased {
			out.WriteString(virtual + word[len(name):])
		} else {
			if strings.HasPrefix(word, id+"_") {
				return "", false
			}
			out.WriteString(strings.TrimPrefix(word, s.Space.Prefix()))
		}
		if n < len(text) {
			out.WriteByte(text[n])
			n++
		}
		text = text[n:]
	}
	return out.String(), true
}

// aliasedName finds the virtual name of an alias of any kind.
func (s *Session) aliasedName(physical string) (virtual string, ok bool) {
	for _, kind := range []tenancy.Kind{tenancy.KindTopic, tenancy.KindGroup, tenancy.KindTxn} {
		if a, ok := s.Space.AliasOf(kind, physical); ok {
			return a.Virtual, true
		}
	}
	return "", false
}

// namesOddAlias reports whether text names an alias that virtualText cannot find,
// because it is not of a topic's characters.
func (s *Session) namesOddAlias(text string) bool {
	s.oddOnce.Do(func() {
		for _, a := range s.Space.Aliases() {
			if strings.HasSuffix(a.Physical, ".") || strings.ContainsFunc(a.Physical, func(r rune) bool { return r > 127 || !nameByte(byte(r)) }) {
				s.oddNames = append(s.oddNames, a.Physical)
			}
		}
	})
	return slices.ContainsFunc(s.oddNames, func(name string) bool { return strings.Contains(text, name) })
}

// nameByte reports whether c may stand in a topic's name.
func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}
