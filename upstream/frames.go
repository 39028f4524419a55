package upstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxControlFrame bounds an answer to this package's own questions (ApiVersions,
// Metadata without topics, SASL): far above what a pool of 1,000 brokers says
// (100 KiB), and low enough that a TLS or HTTP port, whose first bytes read as
// a length, is recognised.
const maxControlFrame = 1 << 20

// clientID is what the brokers' logs and quotas see of the gateway's own requests.
const clientID = "weir"

// talker asks a broker one question at a time on an established connection.
// Answers are read to the byte, so that nothing of what follows is lost. Only
// requests whose answer has response header v0 are asked: ApiVersions (all
// versions) and non-flexible versions of others.
type talker struct {
	conn net.Conn
	corr int32
}

// ask sends req at the version it carries and reads its answer into a new
// response. Deadlines are the caller's. After an error the connection is of no use.
func (t *talker) ask(req kmsg.Request) (kmsg.Response, error) {
	t.corr++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, req, t.corr)
	if _, err := t.conn.Write(frame); err != nil {
		return nil, fmt.Errorf("send %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	body, err := t.read()
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	resp := req.ResponseKind()
	v, isVersions := resp.(*kmsg.ApiVersionsResponse)
	if isVersions && len(body) >= 2 && int16(binary.BigEndian.Uint16(body)) == codeUnsupportedVersion {
		v.Version = 0 // whatever was asked (KIP-511)
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decode the answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return resp, nil
}

// read returns the next frame without its response header.
func (t *talker) read() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(t.conn, head[:4]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 4 || n > maxControlFrame {
		return nil, fmt.Errorf("frame of %d bytes, want 4 to %d: is this a Kafka listener with the configured security?", n, maxControlFrame)
	}
	if _, err := io.ReadFull(t.conn, head[4:]); err != nil {
		return nil, unexpected(err)
	}
	if corr := int32(binary.BigEndian.Uint32(head[4:])); corr != t.corr {
		return nil, fmt.Errorf("answer has correlation id %d, want %d", corr, t.corr)
	}
	var body bytes.Buffer // grows as bytes arrive, not by what was announced
	if _, err := io.CopyN(&body, t.conn, int64(n)-4); err != nil {
		return nil, unexpected(err)
	}
	return body.Bytes(), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
