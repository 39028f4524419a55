package rewrite

import (
	"encoding/binary"
	"errors"
	"math"

	"weir/tenancy"
)

// consumerProtocol is the protocol type whose blobs name topics: brokers read
// them (which offsets may expire, which may be deleted, migration to KIP-848),
// so they are mapped. Blobs of every other type are opaque.
const consumerProtocol = "consumer"

// errBlob is a blob that is not what its protocol type says.
var errBlob = errors.New("consumer protocol blob is malformed")

// nameMap maps one topic's name; false drops the entry.
type nameMap func(name string) (mapped string, ok bool)

// mapSubscription maps the topics of a member's subscription (Kafka's
// ConsumerProtocolSubscription.json). Versions above 3 are read as 3 and what
// follows is kept, as is user data. An empty blob is a member without one.
//
// Some clients (kafkajs up to 1, several assignors for it) announce version 1
// and write no more than version 0 has. That is passed on as the version it
// is, so that the broker never sees a blob that ends early.
func mapSubscription(blob []byte, name nameMap) ([]byte, error) {
	if len(blob) == 0 {
		return blob, nil
	}
	b := newBlob(blob, name)
	version := b.version()
	b.array(func() bool { return b.topic() })
	b.bytes()
	for _, field := range []struct {
		since int16
		walk  func()
	}{
		{1, func() { b.array(b.topicPartitions) }}, // owned partitions
		{2, func() { b.copy(4) }},                  // generation
		{3, b.string},                              // rack
	} {
		if version < field.since {
			break
		}
		if len(b.in) == 0 && !b.bad {
			binary.BigEndian.PutUint16(b.out, uint16(field.since-1))
			break
		}
		field.walk()
	}
	return b.done()
}

// mapAssignment maps the topics of a member's assignment (Kafka's
// ConsumerProtocolAssignment.json), which is the same in all versions.
func mapAssignment(blob []byte, name nameMap) ([]byte, error) {
	if len(blob) == 0 {
		return blob, nil
	}
	b := newBlob(blob, name)
	b.version()
	b.array(b.topicPartitions)
	b.bytes()
	return b.done()
}

// toPhysical is the nameMap of requests. Names are not checked: the broker only
// compares them, and no topic of an illegal name can come into being.
func (s *Session) toPhysical(name string) (string, bool) {
	return s.Space.Physical(tenancy.KindTopic, name), true
}

// toVirtual is the nameMap of responses.
func (s *Session) toVirtual(name string) (string, bool) {
	return s.Space.Virtual(tenancy.KindTopic, name)
}

// blob copies from in to out, mapping names on its way. The first thing that
// does not fit makes it bad and empties in, so that every loop ends. Nothing is
// allocated by an announced length.
type blob struct {
	in, out []byte
	name    nameMap
	bad     bool
}

func newBlob(in []byte, name nameMap) *blob {
	return &blob{in: in, out: make([]byte, 0, len(in)+len(in)/2), name: name}
}

// done returns what was written and, as it is, what was not read.
func (b *blob) done() ([]byte, error) {
	if b.bad {
		return nil, errBlob
	}
	return append(b.out, b.in...), nil
}

func (b *blob) fail() { b.bad, b.in = true, nil }

// take returns the next n bytes of in, nil if there are not so many.
func (b *blob) take(n int) []byte {
	if n < 0 || n > len(b.in) {
		b.fail()
		return nil
	}
	taken := b.in[:n]
	b.in = b.in[n:]
	return taken
}

func (b *blob) copy(n int) { b.out = append(b.out, b.take(n)...) }

// int32 reads a length or count.
func (b *blob) int32() int {
	raw := b.take(4)
	if raw == nil {
		return -1
	}
	return int(int32(binary.BigEndian.Uint32(raw)))
}

func (b *blob) version() int16 {
	raw := b.take(2)
	if raw == nil {
		return 0
	}
	v := int16(binary.BigEndian.Uint16(raw))
	if v < 0 {
		b.fail()
	}
	b.out = append(b.out, raw...)
	return v
}

// array copies a list of entries; entry copies one and says whether to keep it.
func (b *blob) array(entry func() bool) {
	at := len(b.out)
	n, kept := b.int32(), uint32(0)
	if n < 0 {
		b.fail()
		return
	}
	b.out = append(b.out, 0, 0, 0, 0)
	for range n {
		if b.bad {
			return
		}
		start := len(b.out)
		if entry() {
			kept++
		} else {
			b.out = b.out[:start]
		}
	}
	binary.BigEndian.PutUint32(b.out[at:], kept)
}

// topic copies a topic's name, mapped.
func (b *blob) topic() bool {
	raw := b.take(2)
	if raw == nil {
		return false
	}
	name := b.take(int(int16(binary.BigEndian.Uint16(raw))))
	if b.bad {
		return false
	}
	mapped, ok := b.name(string(name))
	if len(mapped) > math.MaxInt16 {
		b.fail()
		return false
	}
	b.out = binary.BigEndian.AppendUint16(b.out, uint16(len(mapped)))
	b.out = append(b.out, mapped...)
	return ok
}

// topicPartitions copies a topic with its partitions.
func (b *blob) topicPartitions() bool {
	ok := b.topic()
	n := b.int32()
	if n < 0 || n > len(b.in)/4 {
		b.fail()
		return false
	}
	b.out = binary.BigEndian.AppendUint32(b.out, uint32(n))
	b.copy(4 * n)
	return ok
}

// bytes copies nullable bytes. Every negative length is null, as in Kafka.
func (b *blob) bytes() {
	start := b.in
	n := b.int32()
	if !b.bad {
		b.out = append(b.out, start[:4]...)
		b.copy(max(n, 0))
	}
}

// string copies a nullable string that is not a topic.
func (b *blob) string() {
	raw := b.take(2)
	if raw != nil {
		b.out = append(b.out, raw...)
		b.copy(max(int(int16(binary.BigEndian.Uint16(raw))), 0))
	}
}
