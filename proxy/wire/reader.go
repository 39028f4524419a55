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
	// Inspect, if set, may refuse a frame once its first bytes are there: begin
	// holds at least 2 of the size bytes of the body.
	Inspect func(begin []byte, size int) error
	// Charge, if set, may refuse or hold up a frame after that, once the header of a
	// request is there as far as the client id: begin holds at least that much of the
	// size bytes of the body, or all of them where they are fewer. Nothing is read
	// meanwhile.
	Charge func(begin []byte, size int) error
	// Grow, if set, is asked before the buffer becomes n bytes larger, and may hold
	// that up; its error is Next's. Shrunk is told when it has become n bytes smaller.
	// The sum of both is the buffer's size.
	Grow   func(n int) error
	Shrunk func(n int)
	// Tight, if set, says that memory is short: no buffer of more than 4 KiB is kept
	// for the next frame.
	Tight func() bool

	src io.Reader

	head  [4]byte
	nhead int // bytes of head that have arrived
	size  int // body size, once head is complete
	buf   []byte
	n     int // bytes of the body that have arrived
	small int // frames in a row that used little of buf

	inspected, charged bool // the frame that is arriving
	given              bool // buf holds a frame that Next has returned
}

// NewReader reads frames from src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Next returns the next frame's body of at most limit bytes. It is valid until
// the next call of Next or Release. The buffer grows as bytes arrive, never by
// the announced length, so it is never larger than twice what has been sent.
func (r *Reader) Next(limit int) ([]byte, error) {
	if r.given {
		r.given = false
		r.shrink()
	}
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
			r.size, r.n, r.inspected, r.charged = int(size), 0, false, false
		}
	}
	for r.n < r.size {
		if err := r.grow(); err != nil {
			return nil, err
		}
		n, err := r.src.Read(r.buf[r.n:min(len(r.buf), r.size)])
		r.n += n
		if err := r.inspect(); err != nil {
			return nil, err
		}
		if err != nil && r.n < r.size {
			return nil, midFrame(err, true)
		}
	}
	r.nhead, r.given = 0, true
	return r.buf[:r.size:r.size], nil
}

// inspect calls Inspect and Charge once for each frame.
func (r *Reader) inspect() error {
	if r.Inspect != nil && !r.inspected && r.n >= 2 {
		r.inspected = true
		if err := r.Inspect(r.buf[:r.n], r.size); err != nil {
			return err
		}
	}
	if r.Charge == nil || r.charged || r.n < min(fixedHeader, r.size) {
		return nil
	}
	if r.size > fixedHeader {
		id := int(int16(binary.BigEndian.Uint16(r.buf[fixedHeader-2:])))
		if r.n < min(fixedHeader+max(id, 0), r.size) {
			return nil
		}
	}
	r.charged = true
	return r.Charge(r.buf[:r.n], r.size)
}

// grow makes room for at least one more byte of the body.
func (r *Reader) grow() error {
	if r.n < len(r.buf) {
		return nil
	}
	next := min(max(firstChunk, 2*len(r.buf)), r.size)
	if r.Grow != nil {
		if err := r.Grow(next - len(r.buf)); err != nil {
			return err
		}
	}
	buf := make([]byte, next)
	copy(buf, r.buf[:r.n])
	r.buf = buf
	return nil
}

// shrink gives up a buffer that is larger than its owner's frames need.
func (r *Reader) shrink() {
	if r.size*4 > len(r.buf) || len(r.buf) <= firstChunk {
		r.small = 0
	} else {
		r.small++
	}
	if len(r.buf) > keepBytes || r.small >= shrinkAfter || len(r.buf) > firstChunk && r.Tight != nil && r.Tight() {
		r.drop()
	}
}

func (r *Reader) drop() {
	if n := len(r.buf); n > 0 && r.Shrunk != nil {
		r.Shrunk(n)
	}
	r.buf, r.small, r.given = nil, 0, false
}

// Between says whether the reader stands between two frames.
func (r *Reader) Between() bool { return r.nhead == 0 }

// Release gives up the buffer of a connection that has become idle. Only between
// frames; the one that Next has returned is gone.
func (r *Reader) Release() {
	if r.Between() {
		r.drop()
	}
}

// End gives up the buffer, whatever it holds. Next must not be called again.
func (r *Reader) End() { r.drop() }

// midFrame tells an orderly end (io.EOF between frames) from a cut frame.
func midFrame(err error, inside bool) error {
	if inside && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
