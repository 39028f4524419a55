package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFrameSize is a frame whose announced length is not allowed. Whether it is
// hostile or only too large, the stream cannot be read on: close.
var ErrFrameSize = errors.New("frame size is not allowed")

const (
	// minFrame is the smallest request or response: a correlation id (a request
	// has six bytes more, which ParseRequest checks).
	minFrame = 4
	// fixedHeader is a request's header up to the client id: key, version,
	// correlation id, and the id's length.
	fixedHeader = 10
	// firstChunk is what a frame's first bytes are read into: most requests fit,
	// and an announced gigabyte costs no more than this until it arrives.
	firstChunk = 4 << 10
	// keepBytes is the largest buffer that is kept from one frame to the next.
	keepBytes = 4 << 20
	// shrinkAfter is how many frames in a row may use less than a quarter of the
	// buffer before it is given up.
	shrinkAfter = 16
)

// Reader reads frames: i32 length | body. A read that times out can be resumed
// by calling Next again; nothing is lost. Not for concurrent use.
type Reader struct {
	// Inspect, if set, may refuse or hold up a frame once the header of a request is
	// there as far as the client id: begin holds at least that much of the size bytes
	// of the body, or all of them where they are fewer. Nothing is read meanwhile.
	Inspect func(begin []byte, size int) error

	src io.Reader

	head  [4]byte
	nhead int // bytes of head that have arrived
	size  int // body size, once head is complete
	buf   []byte
	n     int // bytes of the body that have arrived
	small int // frames in a row that used little of buf

	inspected bool // the frame that is arriving
}

// NewReader reads frames from src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Next returns the next frame's body of at most limit bytes. It is valid until
// the next call of Next or Release. The buffer grows as bytes arrive, never by
// the announced length, so it is never larger than twice what has been sent.
func (r *Reader) Next(limit int) ([]byte, error) {
	for r.nhead < len(r.head) {
		n, err := r.src.Read(r.head[r.nhead:])
		r.nhead += n
		if err != nil && r.nhead < len(r.head) {
			return nil, midFrame(err, r.nhead > 0)
		}
		if r.nhead == len(r.head) {
			size := binary.BigEndian.Uint32(r.head[:])
			if size < minFrame || uint64(size) > uint64(limit) {
				return nil, fmt.Errorf("%w: %d bytes announced, %d to %d allowed", ErrFrameSize, int32(size), minFrame, limit)
			}
			r.size, r.n, r.inspected = int(size), 0, false
		}
	}
	for r.n < r.size {
		r.grow()
		n, err := r.src.Read(r.buf[r.n:min(len(r.buf), r.size)])
		r.n += n
		if err := r.inspect(); err != nil {
			return nil, err
		}
		if err != nil && r.n < r.size {
			return nil, midFrame(err, true)
		}
	}
	r.nhead = 0
	body := r.buf[:r.size:r.size]
	r.shrink()
	return body, nil
}

// inspect calls Inspect once for each frame.
func (r *Reader) inspect() error {
	if r.Inspect == nil || r.inspected || r.n < min(fixedHeader, r.size) {
		return nil
	}
	if r.size > fixedHeader {
		id := int(int16(binary.BigEndian.Uint16(r.buf[fixedHeader-2:])))
		if r.n < min(fixedHeader+max(id, 0), r.size) {
			return nil
		}
	}
	r.inspected = true
	return r.Inspect(r.buf[:r.n], r.size)
}

// grow makes room for at least one more byte of the body.
func (r *Reader) grow() {
	if r.n < len(r.buf) {
		return
	}
	next := min(max(firstChunk, 2*len(r.buf)), r.size)
	buf := make([]byte, next)
	copy(buf, r.buf[:r.n])
	r.buf = buf
}

// shrink gives up a buffer that is larger than its owner's frames need. The
// caller's slice of it stays valid: it is only no longer used for the next frame.
func (r *Reader) shrink() {
	if r.size*4 > len(r.buf) || len(r.buf) <= firstChunk {
		r.small = 0
	} else {
		r.small++
	}
	if len(r.buf) > keepBytes || r.small >= shrinkAfter {
		r.buf, r.small = nil, 0
	}
}

// Between says whether the reader stands between two frames.
func (r *Reader) Between() bool { return r.nhead == 0 }

// Release gives up the buffer of a connection that has become idle. Only between frames.
func (r *Reader) Release() {
	if r.Between() {
		r.buf, r.small = nil, 0
	}
}

// midFrame tells an orderly end (io.EOF between frames) from a cut frame.
func midFrame(err error, inside bool) error {
	if inside && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
