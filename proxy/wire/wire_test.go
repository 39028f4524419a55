package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestReaderReturnsWhatWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want [][]byte
		for range rapid.IntRange(1, 8).Draw(t, "frames") {
			body := rapid.SliceOfN(rapid.Byte(), 4, 20_000).Draw(t, "body")
			want = append(want, body)
			stream = append(stream, frame(body)...)
		}
		var src io.Reader = bytes.NewReader(stream)
		switch rapid.IntRange(0, 2).Draw(t, "slicing") {
		case 1:
			src = iotest.OneByteReader(src)
		case 2:
			src = iotest.DataErrReader(src)
		}
		r := NewReader(src)
		for i, body := range want {
			got, err := r.Next(20_000)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("frame %d: %d bytes, %v; want %d bytes", i, len(got), err, len(body))
			}
		}
		if _, err := r.Next(20_000); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("after the last frame: %v", err)
		}
	})
}

func TestReaderRefusesSizes(t *testing.T) {
	for _, size := range []uint32{0, 3, 1025, 1 << 31, 0xffffffff} {
		r := NewReader(bytes.NewReader(binary.BigEndian.AppendUint32(nil, size)))
		if _, err := r.Next(1024); !errors.Is(err, ErrFrameSize) {
			t.Errorf("size %d: %v", int32(size), err)
		}
	}
}

func TestReaderNeverAllocatesByAnnouncedSize(t *testing.T) {
	announced := binary.BigEndian.AppendUint32(nil, 100<<20)
	r := NewReader(bytes.NewReader(append(announced, make([]byte, 1000)...)))
	if _, err := r.Next(100 << 20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("a cut frame: %v", err)
	}
	if len(r.buf) > 2*firstChunk {
		t.Errorf("1000 bytes arrived and %d are allocated", len(r.buf))
	}
}

// interrupted fails every second read, as a deadline does.
type interrupted struct {
	src  io.Reader
	fail bool
	all  bool // gives what is asked for, not three bytes
}

func isInterrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func (i *interrupted) Read(p []byte) (int, error) {
	if i.fail = !i.fail; i.fail {
		return 0, os.ErrDeadlineExceeded
	}
	if i.all {
		return i.src.Read(p)
	}
	return i.src.Read(p[:min(3, len(p))])
}

func TestReaderResumesAfterTimeout(t *testing.T) {
	body := []byte("a frame that arrives in pieces")
	r := NewReader(&interrupted{src: bytes.NewReader(frame(body))})
	for {
		got, err := r.Next(100)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q, %v", got, err)
		}
		return
	}
}

func TestReaderShrinks(t *testing.T) {
	stream := frame(make([]byte, 1<<20))
	for range shrinkAfter {
		stream = append(stream, frame(make([]byte, 100))...)
	}
	r := NewReader(bytes.NewReader(stream))
	for range shrinkAfter + 1 {
		if _, err := r.Next(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Next(1 << 20); !errors.Is(err, io.EOF) { // the last frame is gone with the next call
		t.Fatal(err)
	}
	if len(r.buf) != 0 {
		t.Errorf("%d bytes kept after %d small frames", len(r.buf), shrinkAfter)
	}
}

func TestHeadersRoundTrip(t *testing.T) {
	for key := range int16(kmsg.MaxKey + 1) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for v := range req.MaxVersion() + 1 {
			for _, id := range [][]byte{nil, {}, []byte("client-1")} {
				h := RequestHeader{Key: key, Version: v, Correlation: 77, ClientID: id}
				f := append(AppendRequest(nil, h, 4), "body"...)
				got, body, err := ParseRequest(f[4:])
				if err != nil || string(body) != "body" || got.Correlation != 77 ||
					(got.ClientID == nil) != (id == nil) || !bytes.Equal(got.ClientID, id) {
					t.Fatalf("request %d v%d client %q: %+v %q %v", key, v, id, got, body, err)
				}
			}
			f := append(AppendResponse(nil, key, v, 78, 4), "body"...)
			corr, body, err := ParseResponse(f[4:], key, v)
			if err != nil || corr != 78 || string(body) != "body" {
				t.Fatalf("response %d v%d: %d %q %v", key, v, corr, body, err)
			}
		}
	}
}

func TestWriterSendsOneFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []byte
		var body [][]byte
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			n := rapid.SampledFrom([]int{0, 1, 100, gatherBytes, gatherBytes + 1, 3 * gatherBytes}).Draw(t, "size")
			p := bytes.Repeat([]byte{byte(len(body) + 1)}, n)
			body = append(body, p)
		}
		want = append([]byte("head"), slices.Concat(body...)...)
		var out bytes.Buffer
		w := NewWriter(&out)
		for range 2 { // the second time into used scratch
			out.Reset()
			if err := w.Write([]byte("head"), body); err != nil || !bytes.Equal(out.Bytes(), want) {
				t.Fatalf("%d bytes, %v; want %d", out.Len(), err, len(want))
			}
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, key := range []int16{0, 1, 3, 18, 17} {
		for _, v := range []int16{0, 3, 12} {
			f.Add(append(AppendRequest(nil, RequestHeader{Key: key, Version: v, ClientID: []byte("c")}, 2), "xy"...)[4:])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, body, err := ParseRequest(data)
		if err != nil {
			return
		}
		again := append(AppendRequest(nil, h, len(body)), body...)
		h2, body2, err := ParseRequest(again[4:])
		if err != nil || h2.Key != h.Key || h2.Correlation != h.Correlation || !bytes.Equal(body, body2) {
			t.Fatalf("%+v %x became %+v %x, %v", h, body, h2, body2, err)
		}
		_, _, _ = ParseResponse(data, h.Key, h.Version)
	})
}

func BenchmarkReader(b *testing.B) {
	stream := frame(make([]byte, 64<<10))
	src := bytes.NewReader(stream)
	r := NewReader(src)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(stream)
		if _, err := r.Next(1 << 20); err != nil {
			b.Fatal(err)
		}
	}
}
