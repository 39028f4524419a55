package metering

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"weir/tenancy"
)

// recordVersion begins the canonical form of a record. Another form gets another
// number, and what is sealed in an older one stays as it is.
const recordVersion = 1

// errRecord is what a record in Redis or in an archive is that cannot be one.
var errRecord = errors.New("not a usage record")

// Encode is the canonical form of a sealed record, which its hash is made of and in
// which it is kept: about 150 bytes. The same record has the same bytes for ever.
func (r Record) Encode() []byte {
	b := make([]byte, 0, 192)
	b = append(b, recordVersion)
	for _, s := range []string{string(r.Instance), string(r.Tenant), r.Plan, r.Pool, r.Part} {
		b = appendText(b, s)
	}
	b = binary.AppendVarint(b, int64(r.Hour))
	b = binary.AppendUvarint(b, uint64(r.Revision))
	b = append(b, bit(r.Complete))
	b = binary.AppendUvarint(b, uint64(r.Gateways))
	b = binary.AppendVarint(b, int64(r.Sealed.Sub(r.Hour.End())/time.Second))
	b = binary.AppendUvarint(b, uint64(r.Number))
	b = append(b, r.Prev[:]...)
	b = r.Values.appendTo(b)
	return appendText(b, string(r.Sources))
}

// Hash is what the next record of the chain has as its Prev: SHA-256 of the canonical
// form, which has this one's Prev in it.
func (r Record) Hash() [32]byte { return sha256.Sum256(r.Encode()) }

// DecodeRecord reads what Encode wrote, and nothing else: what it takes is encoded to
// the same bytes again.
func DecodeRecord(raw []byte) (Record, error) {
	d := recordReader{rest: raw}
	version := d.byte()
	r := Record{Line: Line{
		Instance: tenancy.InstanceID(d.text()), Tenant: tenancy.TenantID(d.text()), Plan: d.text(), Pool: d.text(), Part: d.text(),
	}}
	r.Hour = Hour(d.varint())
	r.Revision = int(d.uvarint())
	r.Complete = d.byte() == 1
	r.Gateways = int(d.uvarint())
	r.Sealed = r.Hour.End().Add(time.Duration(d.varint()) * time.Second)
	r.Number = int64(d.uvarint())
	copy(r.Prev[:], d.take(len(r.Prev)))
	r.Values = d.values()
	r.Sources = Sources(d.text())
	switch _, bad := r.Sources.list(); {
	case version != recordVersion && len(raw) > 0:
		return Record{}, fmt.Errorf("%w: form %d is unknown here, only %d is", errRecord, version, recordVersion)
	case d.bad || bad != nil || len(d.rest) > 0 || r.Number < 1 || r.Instance == "" || !bytes.Equal(r.Encode(), raw):
		return Record{}, fmt.Errorf("%w: %.32x… (%d bytes) is damaged", errRecord, raw, len(raw))
	}
	return r, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTo appends which meters are not zero, as bits, and their numbers.
func (v Values) appendTo(b []byte) []byte {
	var bits uint64
	for m, n := range v {
		if n != 0 {
			bits |= 1 << m
		}
	}
	b = binary.AppendUvarint(b, bits)
	for _, n := range v {
		if n != 0 {
			b = binary.AppendVarint(b, n)
		}
	}
	return b
}

// recordReader reads fields one after the other; bad stays true from the first on that is
// not there.
type recordReader struct {
	rest []byte
	bad  bool
}

func (d *recordReader) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.rest) {
		d.bad = true
		return nil
	}
	got := d.rest[:n]
	d.rest = d.rest[n:]
	return got
}

func (d *recordReader) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *recordReader) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > 1<<62 { // what is counted here fits into an int64
		d.bad = true
		return 0
	}
	d.take(size)
	return n
}

func (d *recordReader) varint() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.take(size)
	return n
}

func (d *recordReader) text() string {
	n := d.uvarint()
	if n > maxSources {
		d.bad = true
		return ""
	}
	return string(d.take(int(n)))
}

func (d *recordReader) values() (v Values) {
	bits := d.uvarint()
	if bits>>Meters != 0 { // a meter of a newer Weir
		d.bad = true
		return v
	}
	for m := range v {
		if bits&(1<<m) != 0 {
			v[m] = d.varint()
		}
	}
	return v
}
