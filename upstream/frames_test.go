package upstream

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// tape is a connection that plays an answer back and swallows what is sent.
type tape struct {
	net.Conn
	io.Reader
	sent bytes.Buffer
}

func (t *tape) Read(b []byte) (int, error)  { return t.Reader.Read(b) }
func (t *tape) Write(b []byte) (int, error) { return t.sent.Write(b) }

func frame(corr int32, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	out = binary.BigEndian.AppendUint32(out, uint32(corr))
	return append(out, body...)
}

func TestTalkerRefuses(t *testing.T) {
	tests := map[string]struct {
		answer []byte
		want   string
	}{
		"nothing":         {nil, "EOF"},
		"cut length":      {[]byte{0, 0}, "unexpected EOF"},
		"cut header":      {[]byte{0, 0, 0, 9, 0}, "unexpected EOF"},
		"cut body":        {frame(1, []byte("abc"))[:10], "unexpected EOF"},
		"HTTP":            {[]byte("HTTP/1.1 400 Bad Request\r\n"), "is this a Kafka listener"},
		"TLS alert":       {[]byte{0x15, 3, 3, 0, 2, 2, 80}, "is this a Kafka listener"},
		"too short":       {[]byte{0, 0, 0, 3, 1, 2, 3}, "frame of 3 bytes"},
		"another's":       {frame(2, nil), "correlation id 2, want 1"},
		"garbage in body": {frame(1, []byte{0, 0, 0xff}), "decode"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := (&talker{conn: &tape{Reader: bytes.NewReader(tt.answer)}}).ask(kmsg.NewPtrMetadataRequest())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ask: %v, want %q", err, tt.want)
			}
		})
	}
}

// What follows an answer stays on the connection.
func TestTalkerReadsToTheByte(t *testing.T) {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(1)
	conn := &tape{Reader: strings.NewReader(string(frame(1, resp.AppendTo(nil))) + "rest")}
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.SetVersion(1)
	if _, err := (&talker{conn: conn}).ask(req); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(conn.Reader); string(rest) != "rest" {
		t.Errorf("left on the connection: %q", rest)
	}
}

// A broker's answers never panic, hang or take more memory than they have bytes.
func FuzzTalker(f *testing.F) {
	old := kmsg.NewPtrApiVersionsResponse()
	old.ErrorCode = codeUnsupportedVersion
	f.Add(frame(1, old.AppendTo(nil)))
	full := kmsg.NewPtrApiVersionsResponse()
	full.SetVersion(maxApiVersions)
	full.ApiKeys = []kmsg.ApiVersionsResponseApiKey{key(3, 0, 13), key(18, 0, 4)}
	meta := kmsg.NewPtrMetadataResponse()
	meta.SetVersion(maxMetadata)
	meta.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "h", Port: 1}}
	f.Add(append(frame(1, full.AppendTo(nil)), frame(2, meta.AppendTo(nil))...))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		talk := &talker{conn: &tape{Reader: bytes.NewReader(answer)}}
		done := time.AfterFunc(10*time.Second, func() { panic("it hangs") })
		defer done.Stop()
		api, err := askVersions(talk)
		if err != nil {
			return
		}
		if m, err := askBrokers(talk, api); err == nil && len(m.Brokers) == 0 {
			t.Error("no brokers and no error")
		}
	})
}

// A broker that is still starting lists nobody: that is no news to act on.
func TestAskBrokersRefusesEmptyList(t *testing.T) {
	resp := kmsg.NewPtrMetadataResponse()
	resp.SetVersion(maxMetadata)
	conn := &tape{Reader: bytes.NewReader(frame(1, resp.AppendTo(nil)))}
	if _, err := askBrokers(&talker{conn: conn}, api(key(3, 0, 13))); err == nil || !strings.Contains(err.Error(), "starting") {
		t.Errorf("askBrokers: %v", err)
	}
	if _, err := askBrokers(&talker{conn: conn}, api(key(3, 0, 0))); err == nil {
		t.Error("Metadata v0 would have asked for every topic")
	}
}

// Kafka hides features that begin at level 0 from ApiVersions v3 (KIP-1022).
func TestAskVersionsShowsAllFeatures(t *testing.T) {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(4)
	conn := &tape{Reader: bytes.NewReader(frame(1, resp.AppendTo(nil)))}
	if _, err := askVersions(&talker{conn: conn}); err != nil {
		t.Fatal(err)
	}
	if version := binary.BigEndian.Uint16(conn.sent.Bytes()[6:]); version != 4 {
		t.Errorf("asked at v%d, want v4", version)
	}
}
