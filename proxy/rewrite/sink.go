package rewrite

import "encoding/binary"

// sink takes fresh bytes or, dry, only counts them.
type sink struct {
	dry      bool
	flexible bool
	size     int    // bytes put
	b        []byte // nil if dry
}

// next is the sink for the next walk; a real one has room for what a dry one counted.
func (s *sink) next(flexible, dry bool) sink {
	n := sink{dry: dry, flexible: flexible}
	if !dry && s.size > 0 {
		n.b = make([]byte, 0, s.size)
	}
	return n
}

func (s *sink) raw(p []byte) {
	s.size += len(p)
	if !s.dry {
		s.b = append(s.b, p...)
	}
}

func (s *sink) int16(v int16) {
	s.size += 2
	if !s.dry {
		s.b = binary.BigEndian.AppendUint16(s.b, uint16(v))
	}
}

func (s *sink) int32(v int32) {
	s.size += 4
	if !s.dry {
		s.b = binary.BigEndian.AppendUint32(s.b, uint32(v))
	}
}

func (s *sink) int64(v int64) { //nolint:unparam // only -1 today; one method per wire type
	s.size += 8
	if !s.dry {
		s.b = binary.BigEndian.AppendUint64(s.b, uint64(v))
	}
}

func (s *sink) uvarint(v int) {
	var b [binary.MaxVarintLen64]byte
	s.raw(b[:binary.PutUvarint(b[:], uint64(v))])
}

// count puts the number of an array's elements.
func (s *sink) count(n int) {
	if s.flexible {
		s.uvarint(n + 1)
		return
	}
	s.int32(int32(n))
}

// str puts prefix and name as one string.
func (s *sink) str(prefix string, name []byte) {
	n := len(prefix) + len(name)
	if s.flexible {
		s.uvarint(n + 1)
	} else {
		s.int16(int16(n))
	}
	s.size += n
	if !s.dry {
		s.b = append(append(s.b, prefix...), name...)
	}
}

// nullableStr puts a string that may be null.
func (s *sink) nullableStr(text *string) {
	switch {
	case text != nil:
		s.str(*text, nil)
	case s.flexible:
		s.uvarint(0)
	default:
		s.int16(-1)
	}
}

// noTags puts an empty section of tagged fields, if the version has them.
func (s *sink) noTags() {
	if s.flexible {
		s.uvarint(0)
	}
}
