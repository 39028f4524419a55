package wire

import (
	"io"
	"net"
)

// gatherBytes is the largest piece that is copied together with its neighbours:
// that is cheaper than a vector entry, or a TLS record, of its own.
const gatherBytes = 4 << 10

// Size is the number of bytes in all pieces.
func Size(pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// Writer writes frames in pieces. Not for concurrent use.
type Writer struct {
	dst     io.Writer
	gather  []byte // short neighbours, copied together
	vectors net.Buffers
}

// NewWriter writes to dst. A *net.TCPConn gets one writev(2) for each frame.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write sends head and the pieces of body as one frame. Large pieces are not
// copied; they must not change until Write returns.
func (w *Writer) Write(head []byte, body [][]byte) error {
	w.gather = append(w.gather[:0], head...)
	w.vectors = w.vectors[:0]
	from := 0 // where in gather the present run of short pieces begins
	for _, p := range body {
		if len(p) <= gatherBytes {
			// If this moves gather, runs that were cut before keep pointing into
			// the old array, which still holds their bytes.
			w.gather = append(w.gather, p...)
			continue
		}
		w.cut(from)
		from = len(w.gather)
		w.vectors = append(w.vectors, p)
	}
	w.cut(from)
	v := w.vectors // WriteTo consumes the header it is called on
	_, err := v.WriteTo(w.dst)
	clear(w.vectors)
	if cap(w.gather) > 16*gatherBytes {
		w.gather = nil
	}
	return err
}

// cut ends a run of short pieces.
func (w *Writer) cut(from int) {
	if len(w.gather) > from {
		w.vectors = append(w.vectors, w.gather[from:len(w.gather):len(w.gather)])
	}
}
