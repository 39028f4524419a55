package metering

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Sources says which counts are added up in a record, so that what comes later is
// neither missed nor added twice, even when the counts themselves are gone by then.
// Only the sealer reads it: for each source 8 bytes that stand for it, the sequence of
// its count, and, if the count was not final, its values; in order.
type Sources string

// maxSources bounds the sources of one record, and each of its texts, in bytes.
const maxSources = 1 << 20

// sourceMark is one count that is in a record.
type sourceMark struct {
	of    uint64 // stands for gateway, epoch, part
	seq   int64
	final bool
	// values are those of the count, if it was not final: all of it, also in a correction.
	values Values
}

// hash stands for a source within a line; two of one line that agree by chance are
// not to be expected in 64 bits.
func (s Source) hash() uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", s.Gateway, s.Epoch, s.Part))
	return binary.BigEndian.Uint64(sum[:])
}

func markOf(c Count) sourceMark {
	m := sourceMark{of: c.hash(), seq: c.Seq, final: c.Final}
	if !c.Final {
		m.values = c.Values
	}
	return m
}

func sourcesOf(marks []sourceMark) Sources {
	slices.SortFunc(marks, func(a, b sourceMark) int { return cmp.Compare(a.of, b.of) })
	var b []byte
	for _, m := range marks {
		b = binary.BigEndian.AppendUint64(b, m.of)
		b = binary.AppendVarint(b, m.seq)
		b = append(b, bit(m.final))
		if !m.final {
			b = m.values.appendTo(b)
		}
	}
	return Sources(b)
}

// list is the reverse of sourcesOf.
func (s Sources) list() ([]sourceMark, error) {
	d := recordReader{rest: []byte(s)}
	var marks []sourceMark
	for len(d.rest) > 0 && !d.bad {
		var m sourceMark
		if of := d.take(8); of != nil {
			m.of = binary.BigEndian.Uint64(of)
		}
		m.seq = d.varint()
		if m.final = d.byte() == 1; !m.final {
			m.values = d.values()
		}
		marks = append(marks, m)
	}
	if d.bad || string(sourcesOf(marks)) != string(s) {
		return nil, fmt.Errorf("%w: its sources are damaged", errRecord)
	}
	return marks, nil
}
