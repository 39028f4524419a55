package metering

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"unsafe"

	"weir/tenancy"
)

// A slot is where one source counts one line: 1 KiB, so that none lies on two pages,
// which the kernel writes at different times. All numbers are little-endian.
//
//	0    u32  CRC-32C of the label, from 4 to its end; 0: the slot is free
//	4    u16  what it is: slotCounts, slotDoubts
//	6    u16  length of the texts
//	8    i64  hour
//	16   i64  part of the source
//	24        five texts, each behind its u16 length: instance, tenant, plan, pool, part
//	768  i64  sequence of the newest Count
//	776  i64  a number for each meter
//
// A label is written after the numbers were set to zero, and its CRC last, so that a
// process which is killed in between leaves a free slot.
const (
	slotSize     = 1024
	slotCounts   = 1
	slotDoubts   = 2
	slotTexts    = 24
	slotSequence = 768
	slotMeters   = 776
	// maxTexts is how long the texts of a label may be. Ids, names of plans and pools, and
	// names of topics and users need 560 at the most.
	maxTexts = slotSequence - slotTexts
	// maxMeters is for how many there is room.
	maxMeters = (slotSize - slotMeters) / 8
	// implausible is more than any meter reaches in an hour: 2⁵⁶ bytes are 20 TB a second.
	implausible = 1 << 56
	// implausibleHeld is that of byte seconds, of which an hour has 3600 for each byte
	// that is held: 2⁶² are 1.1 PiB.
	implausibleHeld = 1 << 62
)

// most is more than a meter reaches in an hour.
func (m Meter) most() int64 {
	if m == StorageByteSeconds {
		return implausibleHeld
	}
	return implausible
}

var _ [maxMeters - Meters]struct{} // there is room for all meters

// counters are those of one line, wherever their memory is.
type counters [Meters]atomic.Int64

func (c *counters) values() (v Values) {
	for m := range c {
		v[m] = c[m].Load()
	}
	return v
}

func (c *counters) add(v *Values, sign int64) {
	for m, n := range v {
		if n != 0 {
			c[m].Add(sign * n)
		}
	}
}

var errLabel = errors.New("the label is damaged")

// slot is one of a file, mapped or read, or of the heap. Its numbers are read and
// written by atomics, the rest by whoever holds the Book's lock.
type slot struct {
	mem   []byte
	file  *counterFile // nil: the heap's
	index uint32       // in the file
}

func heapSlot() *slot { return &slot{mem: make([]byte, slotSize)} }

func (s *slot) counters() *counters { return (*counters)(unsafe.Pointer(&s.mem[slotMeters])) } //nolint:gosec // 8-aligned, and Meters of them fit
func (s *slot) sequence() *atomic.Int64 {
	return (*atomic.Int64)(unsafe.Pointer(&s.mem[slotSequence])) //nolint:gosec // 8-aligned
}
func (s *slot) crc() *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&s.mem[0])) } //nolint:gosec // 8-aligned

func (s *slot) free() { s.crc().Store(0) }

// seal makes the label count, length bytes from 4 on.
func (s *slot) seal(length int) {
	s.crc().Store(max(1, crc32.Checksum(s.mem[4:4+length], castagnoli())))
}

func (s *slot) sealed(length int) bool {
	return s.crc().Load() == max(1, crc32.Checksum(s.mem[4:4+length], castagnoli()))
}

// take labels the slot for a line, and sets its numbers to zero. False if the label is too long.
func (s *slot) take(l *Line, part int64) bool {
	texts := [...]string{string(l.Instance), string(l.Tenant), l.Plan, l.Pool, l.Part}
	length := 0
	for _, text := range texts {
		length += 2 + len(text)
	}
	if length > maxTexts {
		return false
	}
	s.free()
	s.sequence().Store(0)
	clear(s.mem[slotMeters:])
	le := binary.LittleEndian
	le.PutUint16(s.mem[4:], slotCounts)
	le.PutUint16(s.mem[6:], uint16(length))
	le.PutUint64(s.mem[8:], uint64(l.Hour))
	le.PutUint64(s.mem[16:], uint64(part))
	at := s.mem[slotTexts:slotTexts]
	for _, text := range texts {
		at = append(le.AppendUint16(at, uint16(len(text))), text...)
	}
	s.seal(slotTexts - 4 + length)
	return true
}

// label reads what take wrote. errLabel if it is not that.
func (s *slot) label() (l Line, part int64, err error) {
	le := binary.LittleEndian
	length := int(le.Uint16(s.mem[6:]))
	if le.Uint16(s.mem[4:]) != slotCounts || length > maxTexts || !s.sealed(slotTexts-4+length) {
		return Line{}, 0, errLabel
	}
	var texts [5]string
	rest := s.mem[slotTexts : slotTexts+length]
	for i := range texts {
		if len(rest) < 2 || len(rest) < 2+int(le.Uint16(rest)) {
			return Line{}, 0, errLabel
		}
		n := int(le.Uint16(rest))
		texts[i], rest = string(rest[2:2+n]), rest[2+n:]
	}
	return Line{
		Hour: Hour(le.Uint64(s.mem[8:])), Instance: tenancy.InstanceID(texts[0]), Tenant: tenancy.TenantID(texts[1]),
		Plan: texts[2], Pool: texts[3], Part: texts[4],
	}, int64(le.Uint64(s.mem[16:])), nil
}

// read is the Count that a slot of a dead file holds; its sequence is the newest that
// was handed out.
func (s *slot) read(gateway string, epoch int64) (Count, error) {
	line, part, err := s.label()
	if err != nil {
		return Count{}, err
	}
	c := Count{Line: line, Source: Source{Gateway: gateway, Epoch: epoch, Part: part}, Seq: s.sequence().Load(), Values: s.counters().values()}
	if c.Seq < 0 || c.Seq >= maxSeq/2 {
		return Count{}, fmt.Errorf("instance %s in hour %s: sequence %d cannot be", line.Instance, line.Hour, c.Seq)
	}
	for m, n := range c.Values {
		if n < 0 || n >= Meter(m).most() {
			return Count{}, fmt.Errorf("instance %s in hour %s: %s of %d cannot be", line.Instance, line.Hour, Meter(m), n)
		}
	}
	c.Seq = max(c.Seq, 0)
	test := c
	test.Seq = 1
	return c, test.check()
}
