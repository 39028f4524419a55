package rewrite

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"weir/tenancy"
)

// Groups and transactional ids: what a coordinator keeps.

// maxIDBytes is what an i16 string can hold (Kafka's protocol guide): the
// broker refuses more also where the wire (flexible versions) allows it.
const maxIDBytes = math.MaxInt16

// invalidGroup is what a client is told of a group id that has no physical form.
func invalidGroup() int16 { return kerr.InvalidGroupID.Code }

// placed is a row of an answer that the gateway writes itself, and where in the
// request its subject stood.
type placed[T any] struct {
	at  int
	row T
}

// splice puts own rows (ascending by place) among the broker's, so that an
// answer has the request's order. It never mixes up rows: a broker that answers
// in another order only loses that order.
func splice[T any](rows []T, own []placed[T]) []T {
	for _, p := range own {
		rows = slices.Insert(rows, min(p.at, len(rows)), p.row)
	}
	return rows
}

// own maps the physical names of a broker's list in place and drops what is
// not this instance's; name points to an entry's name, which is of that kind.
func own[T any](x *Exchange, kind tenancy.Kind, rows []T, name func(*T) *string) []T {
	kept := rows[:0]
	for _, row := range rows {
		n := name(&row)
		if virtual, ok := x.Space.Virtual(kind, *n); ok && virtual != "" {
			*n = virtual
			kept = append(kept, row)
		}
	}
	return kept
}

// describable keeps the topics that the session may describe, by their virtual
// names; the others must not even be known to exist.
func describable[T any](x *Exchange, rows []T, name func(*T) string) []T {
	return slices.DeleteFunc(rows, func(row T) bool { return !x.allows(name(&row), opDescribe) })
}

// refuseGroups maps a list of groups in place and returns what can be asked of
// the broker; refuse makes the row of one that is refused with code.
func refuseGroups[T any](x *Exchange, groups []string, refuse func(group string, code int16) T) (asked []string, refused []placed[T]) {
	asked = make([]string, 0, len(groups))
	for i, group := range groups {
		if physical, code := x.group(group, x.needs.Group); code == 0 {
			asked = append(asked, physical)
		} else {
			refused = append(refused, placed[T]{i, refuse(group, code)})
		}
	}
	return asked, refused
}

// gatewayClientHost is what client_host shows: the broker only sees the
// gateway, and what it sees of it is not the client's business. The form is
// Kafka's InetAddress.toString.
const gatewayClientHost = "/0.0.0.0"

// topicRef points to what names a topic in an entry: its name, or from some
// version on its id.
type topicRef[T any] func(*T) (name *string, id *topicID)

// refuseTopics maps the topics of a request and returns what can be asked of
// the broker, never nil (null often means all). refuse makes the row of a topic
// that is not forwarded: UNKNOWN_TOPIC_ID for an id that is not this
// instance's, whosever it is, TOPIC_AUTHORIZATION_FAILED where the ACLs do not
// allow what the row needs, and UNKNOWN_TOPIC_OR_PARTITION for a name that no
// topic can have.
func refuseTopics[Q, P any](x *Exchange, topics []Q, byID bool, ref topicRef[Q], refuse func(*Q, int16) P) (asked []Q, refused []placed[P]) {
	if byID {
		x.ageIDs()
		knowIDs(x, topics, func(t *Q) topicID { _, id := ref(t); return *id })
	}
	asked = make([]Q, 0, len(topics))
	for i, topic := range topics {
		name, id := ref(&topic)
		if code := physicalRef(x, byID, name, id); code != 0 {
			refused = append(refused, placed[P]{i, refuse(&topic, code)})
			continue
		}
		asked = append(asked, topic)
	}
	return asked, refused
}

// physicalRef maps one topic's name in place, or checks its id.
func physicalRef(x *Exchange, byID bool, name *string, id *topicID) (code int16) {
	if byID {
		return x.topicByID(*id, x.needs.Topic)
	}
	physical, code := x.topic(*name, x.needs.Topic)
	if code == 0 {
		*name = physical
	}
	return code
}

// answeredTopics makes the client's rows of the broker's: names unmapped (ids
// are those that were asked for), refused ones back in their places.
func answeredTopics[P any](x *Exchange, rows []P, byID bool, ref topicRef[P], refused []placed[P]) []P {
	if !byID {
		rows = own(x, tenancy.KindTopic, rows, func(row *P) *string { name, _ := ref(row); return name })
	}
	return splice(rows, refused)
}

// knowIDs asks the pool about those topic ids of rows that this session does
// not know yet; ownsID answers for all of them then.
func knowIDs[T any](x *Exchange, rows []T, id func(*T) topicID) {
	var ask []topicID
	for i := range rows {
		if id := id(&rows[i]); !x.ownsID(id) {
			ask = append(ask, id)
		}
	}
	x.learnIDs(ask)
}

// ownIDs is own for rows that name topics by id. Ids that the pool does not
// know yet are looked up at once.
func ownIDs[T any](x *Exchange, rows []T, id func(*T) topicID) []T {
	knowIDs(x, rows, id)
	return slices.DeleteFunc(rows, func(row T) bool { return !x.ownsID(id(&row)) })
}
