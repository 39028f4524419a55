package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrHeader is a header that does not parse.
var ErrHeader = errors.New("malformed header")

// RequestHeader is Kafka's request header v1, or v2 for flexible versions
// (KIP-482). Tagged fields of v2 are dropped: none is defined.
type RequestHeader struct {
	Key         int16
	Version     int16
	Correlation int32
	ClientID    []byte // aliases the frame; nil if null
}

// ParseRequest splits a frame into header and body. For a key or version that
// is not known the body is nil and the fixed fields are still filled.
func ParseRequest(frame []byte) (RequestHeader, []byte, error) {
	var h RequestHeader
	if len(frame) < 10 {
		return h, nil, fmt.Errorf("%w: request of %d bytes", ErrHeader, len(frame))
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.Correlation = int32(binary.BigEndian.Uint32(frame[4:]))
	n := int(int16(binary.BigEndian.Uint16(frame[8:])))
	rest := frame[10:]
	if n > len(rest) || n < -1 {
		return h, nil, fmt.Errorf("%w: client id of %d bytes", ErrHeader, n)
	}
	if n >= 0 {
		h.ClientID, rest = rest[:n:n], rest[n:]
	}
	if !Flexible(h.Key, h.Version) {
		return h, rest, nil
	}
	rest, err := skipTags(rest)
	return h, rest, err
}

// AppendRequest appends length and header of a request whose body has size bytes.
func AppendRequest(dst []byte, h RequestHeader, size int) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Correlation))
	if h.ClientID == nil {
		dst = append(dst, 0xff, 0xff)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.ClientID)))
		dst = append(dst, h.ClientID...)
	}
	if Flexible(h.Key, h.Version) {
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4+size))
	return dst
}

// RequestSize is how many bytes a request's frame has whose body has size bytes, with
// the four that say so.
func RequestSize(h RequestHeader, size int) int {
	n := 4 + 2 + 2 + 4 + 2 + len(h.ClientID) + size
	if Flexible(h.Key, h.Version) {
		n++
	}
	return n
}

// ParseResponse splits the frame of an answer to (key, version).
func ParseResponse(frame []byte, key, version int16) (correlation int32, body []byte, err error) {
	if len(frame) < 4 {
		return 0, nil, fmt.Errorf("%w: response of %d bytes", ErrHeader, len(frame))
	}
	correlation, body = int32(binary.BigEndian.Uint32(frame)), frame[4:]
	if flexibleResponse(key, version) {
		body, err = skipTags(body)
	}
	return correlation, body, err
}

// AppendResponse appends length and header of a response whose body has size bytes.
func AppendResponse(dst []byte, key, version int16, correlation int32, size int) []byte {
	tags := 0
	if flexibleResponse(key, version) {
		tags = 1
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+tags+size))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	return append(dst, make([]byte, tags)...)
}

// flexibleResponse: an ApiVersions response always has header v0, so that a
// client that does not know the version can read it (KIP-511).
func flexibleResponse(key, version int16) bool {
	return key != int16(kmsg.ApiVersions) && Flexible(key, version)
}

// skipTags passes a tagged field section.
func skipTags(b []byte) ([]byte, error) {
	r := kbin.Reader{Src: b}
	for n := r.Uvarint(); n > 0; n-- {
		_, size := r.Uvarint(), r.Uvarint()
		if uint64(size) > uint64(len(r.Src)) || !r.Ok() {
			return nil, fmt.Errorf("%w: tagged field of %d bytes", ErrHeader, size)
		}
		r.Src = r.Src[size:]
	}
	if !r.Ok() {
		return nil, fmt.Errorf("%w: tagged fields are cut", ErrHeader)
	}
	return r.Src, nil
}
