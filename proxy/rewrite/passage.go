package rewrite

import "fmt"

// minPiece is the length in bytes from which a stretch of the old body becomes
// a piece of its own rather than being copied between fresh bytes. Below it a
// piece costs more than the copy (24 bytes of slice header, one iovec), and no
// record batch is shorter: its header alone has 61 bytes, so record bytes are
// never copied.
const minPiece = 64

// growth is how many bytes of memory the rewrite of one body may take beyond
// the body's own size, unless the body is larger still: names grow by the
// prefix, and a refused partition's row is longer than its request. Real
// clients stay far below (30,000 topics in one request); only a body of
// countless empty topics reaches it, and closes the connection.
const growth = 1 << 20

// pieceBytes is the size of a []byte within a slice of pieces.
const pieceBytes = 24

// passage is one walk over a body that makes another one out of it: what is
// not cut stays, as slices of the old body. It is walked dry first, which
// checks it to its last byte and tells how much memory the real walk needs.
type passage struct {
	in     cursor
	fresh  sink
	kept   int // in.body[:kept] is decided
	mark   int // fresh.b[mark:] is not in a piece yet
	npiece int // dry: pieces needed
	pieces [][]byte
}

// start rewinds, for a dry walk or the real one.
func (p *passage) start(body []byte, flexible, dry bool) {
	need, npiece := p.fresh.size, p.npiece
	*p = passage{in: cursor{body: body, flexible: flexible}, fresh: sink{dry: dry, flexible: flexible}}
	if !dry {
		// Slack for counts and other heads that only the real walk rewrites.
		p.fresh.b = make([]byte, 0, need+3*minPiece)
		p.pieces = make([][]byte, 0, npiece+4)
	}
}

// cut takes in.body[from:to] out; what lies between the last cut and from stays.
func (p *passage) cut(from, to int) {
	p.keep(from)
	p.kept = to
}

func (p *passage) keep(to int) {
	if to <= p.kept { // also after a failure
		return
	}
	stretch := p.in.body[p.kept:to:to]
	p.kept = to
	switch {
	case len(stretch) < minPiece:
		p.fresh.raw(stretch)
	case p.fresh.dry:
		p.npiece += 2
	default:
		p.close()
		p.pieces = append(p.pieces, stretch)
	}
}

// close makes a piece of the fresh bytes since the last one. Should fresh.b
// grow afterwards, the piece keeps the old memory, which nobody writes again.
func (p *passage) close() {
	if end := len(p.fresh.b); end > p.mark {
		p.pieces = append(p.pieces, p.fresh.b[p.mark:end:end])
		p.mark = end
	}
}

// finish keeps what is left and returns all pieces.
func (p *passage) finish() [][]byte {
	p.keep(len(p.in.body))
	p.close()
	return p.pieces
}

// checked ends a dry walk: the layout must have held, and the memory for pieces
// and fresh bytes, with extra bytes of the caller's, must stay within bounds.
func (p *passage) checked(extra int) error {
	p.in.end()
	if p.in.err != nil {
		return p.in.err
	}
	p.keep(len(p.in.body))
	size := p.fresh.size + pieceBytes*p.npiece + extra
	if most := len(p.in.body) + max(len(p.in.body), growth); size > most {
		return fmt.Errorf("body of %d bytes needs %d bytes of names and answers, at most %d are allowed", len(p.in.body), size, most)
	}
	return nil
}

// dropTags walks a section of tagged fields and empties it: none of those that
// Produce and Fetch requests have within topics and partitions are a
// consumer's or producer's, and an unknown one may name anything.
func (p *passage) dropTags() { p.keepTags() }

// keepTags walks a section of tagged fields and keeps those that are known:
// id i is a struct of sizes[i] bytes. All others are cut, and also what those
// structs have tagged themselves.
func (p *passage) keepTags(sizes ...int) {
	at := p.in.at
	n := p.in.tags()
	if n == 0 {
		return
	}
	first, keep := p.in.at, 0
	for i := 0; i < n && p.in.err == nil; i++ {
		id, payload := p.in.tag()
		if id >= len(sizes) {
			continue
		}
		if keep++; len(payload) <= sizes[id] {
			p.in.fail("tagged field %d has %d bytes, want %d", id, len(payload), sizes[id]+1)
		}
	}
	if p.in.err != nil {
		return
	}
	end := p.in.at
	p.cut(at, end)
	p.fresh.uvarint(keep)
	for p.in.at = first; p.in.at < end; {
		id, payload := p.in.tag()
		if id < len(sizes) {
			p.fresh.uvarint(id)
			p.fresh.uvarint(sizes[id] + 1)
			p.fresh.raw(payload[:sizes[id]])
			p.fresh.uvarint(0)
		}
	}
}
