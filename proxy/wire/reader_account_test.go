package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestReaderAccounts: at any time what Grow was asked for less what Shrunk was told
// is the buffer's size, and the frame that was given is within it.
func TestReaderAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(minFrame, 3*firstChunk), rapid.IntRange(minFrame, keepBytes+100)), 1, 12).Draw(t, "sizes")
		for _, n := range sizes {
			stream = append(stream, frame(make([]byte, n))...)
		}
		charged, tight := 0, false
		r := NewReader(&interrupted{src: bytes.NewReader(stream), all: true})
		r.Grow = func(n int) error { charged += n; return nil }
		r.Shrunk = func(n int) { charged -= n }
		r.Tight = func() bool { return tight }
		for range len(sizes) {
			tight = rapid.Bool().Draw(t, "tight")
			body, err := r.Next(1 << 30)
			for isInterrupted(err) {
				if rapid.Bool().Draw(t, "release") {
					r.Release()
				}
				body, err = r.Next(1 << 30)
			}
			if err != nil || charged != len(r.buf) || len(body) > charged {
				t.Fatalf("%v: %d charged for a buffer of %d with a frame of %d", err, charged, len(r.buf), len(body))
			}
		}
		if r.End(); charged != 0 {
			t.Fatalf("%d are charged after the end", charged)
		}
	})
}

// TestReaderGrowRefused: what Grow refuses is not allocated, and ends the frame.
func TestReaderGrowRefused(t *testing.T) {
	r, full := NewReader(bytes.NewReader(frame(make([]byte, 3*firstChunk)))), errors.New("full")
	r.Grow = func(n int) error {
		if len(r.buf) > 0 {
			return full
		}
		return nil
	}
	if _, err := r.Next(1 << 20); !errors.Is(err, full) || len(r.buf) != firstChunk {
		t.Errorf("%v with a buffer of %d", err, len(r.buf))
	}
}

// TestReaderTight: where memory is short no large buffer waits for the next frame.
func TestReaderTight(t *testing.T) {
	for _, tight := range []bool{false, true} {
		r := NewReader(io.MultiReader(bytes.NewReader(frame(make([]byte, 2*firstChunk)))))
		r.Tight = func() bool { return tight }
		for range 2 {
			_, _ = r.Next(1 << 20)
		}
		if kept := len(r.buf) > 0; kept == tight {
			t.Errorf("tight %v: a buffer of %d is kept", tight, len(r.buf))
		}
	}
}
