package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"weir/auth"
)

const (
	// writeTimeout is how long a client may take to accept one chunk of an
	// answer, and the whole of it beyond one second for each frameRate bytes;
	// who reads slower holds memory of ours.
	writeTimeout = 60 * time.Second
	chunkBytes   = 256 << 10
	// holdBytes is how much of an answer is gathered below TLS: crypto/tls makes
	// one write for each record of 16 KiB.
	holdBytes = 64 << 10
	// handshakeBytes bounds the client's part of a TLS handshake: a chain as package
	// auth looks at it, and 32 KiB for the rest. crypto/tls would gather 256 KiB in a
	// buffer of twice that for each of the lobby's connections.
	handshakeBytes = 96 << 10
)

// transport is the TCP side of a client connection. It remembers the peeked
// bytes, and between hold and flush it gathers what TLS writes.
type transport struct {
	net.Conn
	owner   *conn
	peeked  []byte
	spoke   bool        // the client has sent a byte, behind the PROXY header if there is one
	muted   atomic.Bool // nothing is sent any more
	most    int         // bytes that may still be read; counts if bounded
	bounded bool        // during the TLS handshake

	mu    sync.Mutex // Write is also called by crypto/tls on the reading goroutine (alerts, key updates)
	held  []byte
	on    bool
	since time.Time // when the answer under way began
	sent  int       // bytes of it
}

// peek returns the next n bytes without consuming them, fewer with an error. It
// reads no byte behind them. What it returns is good until the next call.
func (t *transport) peek(n int) ([]byte, error) {
	have := len(t.peeked)
	if n <= have {
		return t.peeked[:n], nil
	}
	t.peeked = slices.Grow(t.peeked, n-have)[:n]
	got, err := io.ReadFull(t.Conn, t.peeked[have:])
	t.peeked = t.peeked[:have+got]
	t.spoke = t.spoke || got > 0
	return t.peeked, err
}

// skip consumes n bytes that have been peeked, which were not the client's.
func (t *transport) skip(n int) { t.peeked, t.spoke = t.peeked[n:], false }

// bound limits what is read until unbound. Reading goroutine only, as Read.
func (t *transport) bound(most int) { t.bounded, t.most = true, most }

func (t *transport) unbound() { t.bounded = false }

func (t *transport) Read(p []byte) (int, error) {
	n, err := t.read(p)
	if t.bounded {
		if t.most -= n; t.most < 0 {
			return 0, closef(string(auth.ReasonCertificateTooLarge), "more than %d bytes of TLS handshake", handshakeBytes)
		}
	}
	return n, err
}

func (t *transport) read(p []byte) (int, error) {
	if len(t.peeked) > 0 && len(p) > 0 {
		n := copy(p, t.peeked)
		t.peeked = t.peeked[n:]
		return n, nil
	}
	return t.Conn.Read(p)
}

// mute drops whatever is written from now on. Any goroutine.
func (t *transport) mute() { t.muted.Store(true) }

func (t *transport) Write(p []byte) (int, error) {
	if t.muted.Load() {
		return len(p), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		return t.send(p)
	}
	t.held = append(t.held, p...)
	if len(t.held) < holdBytes {
		return len(p), nil
	}
	return len(p), t.sendHeld()
}

// hold begins to gather writes; flush sends them.
func (t *transport) hold() {
	t.mu.Lock()
	t.on, t.since, t.sent = true, time.Now(), 0
	t.mu.Unlock()
}

func (t *transport) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.sendHeld()
	t.on = false
	if t.owner != nil && t.owner.srv.memory.tight() {
		t.held = nil
	}
	return err
}

func (t *transport) sendHeld() error {
	if len(t.held) == 0 {
		return nil
	}
	_, err := t.send(t.held)
	t.held = t.held[:0]
	return err
}

// send writes in chunks, each of which must be accepted in time. The deadline
// is only ever set here: crypto/tls sets none outside its own Close.
func (t *transport) send(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		chunk := p[sent:min(len(p), sent+chunkBytes)]
		if err := t.Conn.SetWriteDeadline(t.deadline(len(chunk))); err != nil {
			return sent, err
		}
		n, err := t.Conn.Write(chunk)
		sent, t.sent = sent+n, t.sent+n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// deadline is until when the next n bytes must be accepted. mu is held.
func (t *transport) deadline(n int) time.Time {
	chunk := time.Now().Add(writeTimeout)
	if !t.on {
		return chunk
	}
	answer := t.since.Add(writeTimeout + time.Duration(t.sent+n)*time.Second/frameRate)
	if answer.Before(chunk) {
		return answer
	}
	return chunk
}

// release gives up the gather buffer of an idle connection.
func (t *transport) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on && len(t.held) == 0 {
		t.held = nil
	}
}

// recordHandshake is the first byte of TLS (RFC 8446, 5.1).
const recordHandshake = 0x16

// sniff looks at the first byte that the client sends and refuses a client that
// speaks something else than this port. It never answers: whatever we sent
// would be read as the size of a frame, or as garbage (KAFKA's
// OutOfMemoryError on a TLS port comes from there).
func (t *transport) sniff(wantTLS bool) error {
	begin, err := t.peek(1)
	if err != nil {
		return readFailed(err)
	}
	first := begin[0]
	switch {
	case wantTLS && first == recordHandshake, !wantTLS && first == 0:
		// A request's size begins with 0: frames before authentication are small.
		return nil
	case first == recordHandshake:
		return &closing{reason: reasonTLSOnPlaintext, fix: "set security.protocol=SASL_PLAINTEXT, or use the TLS port"}
	case bytes.IndexByte([]byte("GPHDOC"), first) >= 0:
		return &closing{reason: reasonHTTP, fix: "this port speaks Kafka; REST is on the admin address"}
	case wantTLS:
		return &closing{reason: reasonPlaintextOnTLS, fix: "set security.protocol=SASL_SSL and trust the gateway's CA"}
	}
	return closef(reasonFrameSize, "first byte 0x%02x", first)
}

// readFailed turns an error of reading from the client into the reason for closing.
func readFailed(err error) error {
	var c *closing
	switch {
	case errors.As(err, &c):
		return err
	case isTimeout(err):
		return &closing{reason: reasonHandshakeSlow, err: err}
	}
	var alert *net.OpError
	var record tls.RecordHeaderError
	if errors.As(err, &alert) && alert.Op == remoteAlert || errors.As(err, &record) {
		return &closing{reason: reasonTLS, err: err}
	}
	return &closing{reason: reasonClientGone, err: err}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// tlsFailed says what a failed handshake means for who runs the client.
func tlsFailed(err error) error {
	var ours *closing
	if errors.As(err, &ours) {
		return ours
	}
	if isTimeout(err) {
		return &closing{reason: reasonHandshakeSlow, err: err}
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) { // closed with something unread, without an alert
		return &closing{reason: reasonClientGone, err: fmt.Errorf("handshake: %w", err)}
	}
	c := &closing{reason: reasonTLS, err: fmt.Errorf("handshake: %w", err)}
	if distrusts(err) {
		c.reason = reasonCertificate
		c.fix = "the client refused our certificate: check its CA file and the host name it connects to"
	}
	return c
}

// remoteAlert is the Op of the net.OpError that crypto/tls makes of an alert.
const remoteAlert = "remote error"

// distrusts reports whether the client ended the handshake over our certificate
// (RFC 8446, 6.2). crypto/tls exports the alerts' texts only.
func distrusts(err error) bool {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != remoteAlert {
		return false
	}
	const bad, unknownCA = 42, 48 // what stands between them is about certificates, but 47
	for code := tls.AlertError(bad); code <= unknownCA; code++ {
		if code != 47 && alert.Err.Error() == code.Error() {
			return true
		}
	}
	return false
}
