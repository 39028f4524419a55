package rewrite

import (
	"encoding/binary"
	"fmt"
	"math"
)

// cursor walks a body in place. Every announced count and length is held
// against the bytes that are left before anybody relies on it. The first
// failure sticks: from then on reads return zeros, and arrays are empty, so a
// walk needs to look at err only at its end and in its loops.
//
// It is stricter than Kafka where Kafka is lenient (negative lengths other than
// -1, varints beyond 31 bits), so that the broker can never read a body in
// another way than it was checked.
type cursor struct {
	body     []byte
	at       int  // body[:at] has been walked
	flexible bool // KIP-482: compact strings and arrays, tags
	elements int  // that a layout may still have
	memory   int  // in bytes, that it may still take once decoded
	err      error
}

func (c *cursor) left() int { return len(c.body) - c.at }

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("at byte %d of %d: %w", c.at, len(c.body), fmt.Errorf(format, args...))
	}
	c.at = len(c.body)
}

// take steps over n bytes and returns them, nil if so many are not left.
func (c *cursor) take(n int) []byte {
	if n > c.left() {
		c.fail("%d bytes announced, %d left", n, c.left())
		return nil
	}
	b := c.body[c.at : c.at+n : c.at+n]
	c.at += n
	return b
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) uuid() (id topicID) {
	copy(id[:], c.take(len(id)))
	return id
}

// uvarint reads an unsigned varint of at most 31 bits.
func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.body[c.at:min(c.at+binary.MaxVarintLen32, len(c.body))])
	if n <= 0 || v > math.MaxInt32 {
		c.fail("varint is cut short or longer than 31 bits")
		return 0
	}
	c.at += n
	return int(v)
}

// length reads what precedes an array or bytes (fixed: 4 bytes) or a string
// (fixed: 2); -1 is null.
func (c *cursor) length(fixed int) int {
	n := 0
	switch {
	case c.flexible:
		n = c.uvarint() - 1
	case fixed == 2:
		n = int(c.int16())
	default:
		n = int(c.int32())
	}
	if c.err != nil {
		return -1
	}
	if n < -1 {
		c.fail("length %d is negative", n)
	}
	return n
}

// array reads the count of an array that may not be null and whose elements
// take at least smallest bytes each.
func (c *cursor) array(smallest int) int {
	n := c.length(4)
	if n < 0 {
		c.fail("array is null")
	}
	return c.room(n, smallest)
}

// nullableArray is array where null is allowed and the same as empty.
func (c *cursor) nullableArray(smallest int) int {
	return c.room(max(0, c.length(4)), smallest)
}

func (c *cursor) room(n, smallest int) int {
	if c.err == nil && n > c.left()/smallest {
		c.fail("array of %d announced, %d bytes left", n, c.left())
	}
	if c.err != nil {
		return 0
	}
	return n
}

// nullableStr returns a string's bytes, which alias the body; nil is null.
func (c *cursor) nullableStr() []byte {
	n := c.length(2)
	if n > math.MaxInt16 { // Kafka refuses such a compact string too
		c.fail("string of %d bytes, at most %d are allowed", n, math.MaxInt16)
	}
	if c.err != nil || n < 0 {
		return nil
	}
	return c.take(n)
}

// str is nullableStr where null is not allowed.
func (c *cursor) str() []byte {
	b := c.nullableStr()
	if b == nil && c.err == nil {
		c.fail("string is null")
	}
	return b
}

// records steps over a records field, which may be null, without a look inside, and
// returns its size.
func (c *cursor) records() int {
	n := c.length(4)
	if n > 0 {
		c.skip(n)
	}
	return n
}

// before is the n bytes that have just been walked; nil after a failure, or of a null
// field's size.
func (c *cursor) before(n int) []byte {
	if c.err != nil || n <= 0 {
		return nil
	}
	return c.body[c.at-n : c.at]
}

// tags reads the number of tagged fields that follow (KIP-482); 0 if the
// version has none.
func (c *cursor) tags() int {
	if !c.flexible {
		return 0
	}
	n := c.uvarint()
	if n > c.left()/2 {
		c.fail("%d tagged fields announced, %d bytes left", n, c.left())
		return 0
	}
	return n
}

// tag reads one tagged field.
func (c *cursor) tag() (id int, payload []byte) {
	id = c.uvarint()
	return id, c.take(c.uvarint())
}

// skipTags steps over a section of tagged fields.
func (c *cursor) skipTags() {
	for n := c.tags(); n > 0 && c.err == nil; n-- {
		c.tag()
	}
}

// end fails if anything follows what has been walked.
func (c *cursor) end() {
	if c.err == nil && c.left() > 0 {
		c.fail("%d bytes follow the end", c.left())
	}
}
