package wire

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// Both are called once for each frame, as soon as they can be and in that order,
// however the bytes arrive; who refuses there ends the frame.
func TestInspectAndCharge(t *testing.T) {
	header := RequestHeader{Key: 3, Version: 1, Correlation: 9, ClientID: []byte("me")}
	long := append(AppendRequest(nil, header, 20), make([]byte, 20)...)
	short := []byte{0, 0, 0, 4, 0, 3, 0, 1} // shorter than a header
	var calls []int
	r := NewReader(iotest.OneByteReader(bytes.NewReader(append(append([]byte{}, long...), short...))))
	r.Inspect = func(begin []byte, _ int) error { calls = append(calls, len(begin)); return nil }
	r.Charge = func(begin []byte, _ int) error { calls = append(calls, 100+len(begin)); return nil }
	for range 2 {
		if _, err := r.Next(1 << 10); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{2, 112, 2, 104}, calls); diff != "" {
		t.Errorf("called with so many bytes, 100 more for Charge (-want +got):\n%s", diff)
	}

	no := errors.New("no")
	r = NewReader(bytes.NewReader(long))
	r.Charge = func([]byte, int) error { return no }
	if _, err := r.Next(1 << 10); !errors.Is(err, no) {
		t.Errorf("%v, want what Charge says", err)
	}
}
