package rewrite

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// What Produce and Fetch share: a topic is keyed by its name or, in newer
// versions, by its id; answers carry texts and the addresses of new leaders.

// smallestTopic is the fewest bytes that a topic without partitions takes.
func (p *passage) smallestTopic(byID bool) int {
	switch {
	case byID:
		return 16 + 1 + 1
	case p.in.flexible:
		return 1 + 1 + 1
	}
	return 2 + 4
}

// topicKey reads what a topic is called by.
func (p *passage) topicKey(byID bool) (name []byte, id topicID) {
	if byID {
		return nil, p.in.uuid()
	}
	return p.in.str(), topicID{}
}

// topicKey puts what a topic is called by.
func (s *sink) topicKey(byID bool, name []byte, id topicID) {
	if byID {
		s.raw(id[:])
		return
	}
	s.str("", name)
}

// verdicts are the codes that the dry walk found for a list of topics. The real
// walk takes them from here and asks nobody again: ACLs and what is known of ids
// may change in between, and both walks must cut the same.
type verdicts struct {
	op      kmsg.ACLOperation // that is needed of each topic
	most    int               // topics in the list
	at      int               // the next one
	codes   []uint8           // of each, all below 128; nil: all are 0
	replay  bool              // codes are known in dry walks too
	unknown []topicID         // dry only: ids that this connection has not used yet
}

// start rewinds; the dry walk forgets what an earlier one found.
func (v *verdicts) start(most int, dry bool) {
	v.most, v.at, v.unknown = most, 0, nil
	if dry && !v.replay {
		clear(v.codes)
	}
}

// mapTopic maps the topic key that began at byte at and has just been read, or
// returns the code with which it is refused. A nil name means that the topic is
// called by its id.
func (v *verdicts) mapTopic(x *Exchange, p *passage, at int, name []byte, id topicID) (code int16) {
	if code = v.next(x, p, name, id); code == 0 && name != nil && p.in.err == nil {
		p.mapName(x.Space, tenancy.KindTopic, at, name)
	}
	return code
}

// next is mapTopic without the map.
func (v *verdicts) next(x *Exchange, p *passage, name []byte, id topicID) (code int16) {
	if p.in.err != nil {
		return 0
	}
	if p.fresh.dry && !v.replay {
		if code = v.judge(x, name, id); code != 0 && v.codes == nil {
			v.codes = make([]uint8, v.most)
		}
		if v.codes != nil {
			v.codes[v.at] = uint8(code)
		}
	} else if v.codes != nil {
		code = int16(v.codes[v.at])
	}
	v.at++
	return code
}

// judge is the code with which a topic is refused. An id that is not known to be
// this instance's is refused and noted as unknown.
func (v *verdicts) judge(x *Exchange, name []byte, id topicID) (code int16) {
	switch {
	case name == nil:
		code = x.topicByID(id, v.op)
		if code == kerr.UnknownTopicID.Code && len(v.unknown) < maxAsked {
			v.unknown = append(v.unknown, id)
		}
	case !x.mayBytes(kmsg.ACLResourceTypeTopic, name).Has(v.op):
		code = kerr.TopicAuthorizationFailed.Code
	case !legalTopicBytes(name, len(x.Space.Prefix())) && !x.aliased(name):
		code = kerr.UnknownTopicOrPartition.Code
	}
	return code
}

// aliased reports whether a topic's virtual name is an alias.
func (x *Exchange) aliased(name []byte) bool {
	if x.Space.Aliases() == nil {
		return false
	}
	_, ok := x.Space.Alias(tenancy.KindTopic, string(name))
	return ok
}

// mapName puts a virtual name that began at byte at and has just been read as
// the physical one.
func (p *passage) mapName(space tenancy.Namespace, kind tenancy.Kind, at int, name []byte) {
	p.cut(at, p.in.at)
	if space.Aliases() != nil {
		p.fresh.str(space.Physical(kind, string(name)), nil)
		return
	}
	p.fresh.str(space.Prefix(), name)
}

// legalTopicBytes is legalTopic without making a string of name.
func legalTopicBytes(name []byte, prefix int) bool {
	if len(name) > 249-prefix {
		return false
	}
	for _, c := range name {
		if !nameByte(c) {
			return false
		}
	}
	return string(name) != "" && string(name) != "." && string(name) != ".."
}

// unmapTopic reads a topic key of a response and takes the prefix off. A topic
// that is not this instance's is the tripwire: it closes the connection.
//
// It returns the bytes of the id, or the virtual name, which alias the body.
func (p *passage) unmapTopic(x *Exchange, byID bool) (key []byte) {
	at := p.in.at
	name, id := p.topicKey(byID)
	if p.in.err != nil {
		return nil
	}
	if byID {
		if !x.ownsID(id) && !x.learnIDs([]topicID{id}) {
			p.in.fail("%w", x.strangeID(id))
		}
		return p.in.before(len(id))
	}
	virtual, ok := virtualBytes(x.Space, name)
	if !ok {
		p.in.fail("%w", x.leak("", string(tenancy.KindTopic), string(name)))
		return nil
	}
	p.cut(at, p.in.at)
	p.fresh.str("", virtual)
	return virtual
}

// virtualBytes is Namespace.Virtual for a topic's name in a buffer; without
// aliases it does not allocate.
func virtualBytes(space tenancy.Namespace, physical []byte) (virtual []byte, ok bool) {
	if space.Aliases() != nil {
		name, ok := space.Virtual(tenancy.KindTopic, string(physical))
		return []byte(name), ok && name != ""
	}
	prefix := space.Prefix()
	if len(physical) <= len(prefix) || string(physical[:len(prefix)]) != prefix {
		return nil, false
	}
	return physical[len(prefix):], true
}

// strangeID is why a topic id of an answer is not passed on: it is another's, or
// nobody's (any more), which is no cause for alarm.
func (x *Exchange) strangeID(id topicID) error {
	for _, physical := range x.Pool.TopicNames(x.Ctx, x.Space, []topicID{id}) {
		return x.leak("", "topic id", physical)
	}
	return fmt.Errorf("broker answered with topic id %x, which is no topic's", id)
}

// text replaces a broker's message by what the client may read of it.
func (p *passage) text(x *Exchange, code int16) {
	at := p.in.at
	b := p.in.nullableStr()
	if b == nil {
		return
	}
	msg := string(b)
	p.cut(at, p.in.at)
	p.fresh.nullableStr(x.Text(code, &msg))
}

// endpoints walks the tagged fields at the end of a response and replaces the
// addresses of brokers (tag 0: node_endpoints, KIP-951) by those at which this
// client reaches them; racks pass. Other fields are cut.
func (p *passage) endpoints(x *Exchange) {
	at := p.in.at
	n := p.in.tags()
	if n == 0 {
		return
	}
	var payload []byte
	for ; n > 0 && p.in.err == nil; n-- {
		id, b := p.in.tag()
		if id == 0 && p.in.err == nil {
			payload = p.rewriteEndpoints(x, b)
		}
	}
	if p.in.err != nil {
		return
	}
	p.cut(at, p.in.at)
	if payload == nil {
		p.fresh.uvarint(0)
		return
	}
	p.fresh.uvarint(1)
	p.fresh.uvarint(0)
	p.fresh.uvarint(len(payload))
	p.fresh.raw(payload)
}

func (p *passage) rewriteEndpoints(x *Exchange, payload []byte) []byte {
	in, out := cursor{body: payload, flexible: true}, sink{flexible: true}
	endpointList(x, &in, &out)
	if in.end(); in.err != nil {
		p.in.fail("node_endpoints: %w", in.err)
	}
	return out.b
}

// plainEndpoints replaces the addresses in a list of node_endpoints that is not
// tagged (KIP-932).
func (p *passage) plainEndpoints(x *Exchange) {
	at, out := p.in.at, sink{flexible: true}
	if endpointList(x, &p.in, &out); p.in.err == nil && len(out.b) > 1 {
		p.cut(at, p.in.at)
		p.fresh.raw(out.b)
	}
}

// endpointList copies a list of node_endpoints with the gateway's addresses.
func endpointList(x *Exchange, in *cursor, out *sink) {
	n := in.array(11)
	out.count(n)
	for ; n > 0 && in.err == nil; n-- {
		node := in.int32()
		in.str()   // host
		in.skip(4) // port
		rack := in.nullableStr()
		in.skipTags()

		host, port := x.Address(node)
		out.int32(node)
		out.str(host, nil)
		out.int32(port)
		if rack == nil {
			out.nullableStr(nil)
		} else {
			out.str("", rack)
		}
		out.noTags()
	}
}

// malformed closes the connection for what the client sent.
func (x *Exchange) malformed(err error) error { return x.closing(ReasonMalformed, "", err) }

// badUpstream closes the connection for what the broker sent.
func (x *Exchange) badUpstream(err error) error {
	return x.tripped(x.closing(ReasonBadUpstream, " response", err))
}

func (x *Exchange) closing(reason, what string, err error) error {
	return &Error{Reason: reason, Err: fmt.Errorf("%s v%d%s: %w", kmsg.NameForKey(x.Key), x.Version, what, err)}
}
