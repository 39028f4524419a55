package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
)

// dial opens a TLS connection to the bootstrap address, or to another listener.
func (r *rig) dial(listener int, serverName string) net.Conn {
	r.t.Helper()
	cfg := r.tls()
	if cfg.ServerName = serverName; serverName == "" {
		cfg.ServerName = "127.0.0.1"
	}
	d := tls.Dialer{Config: cfg}
	c, err := d.DialContext(r.t.Context(), "tcp", r.srv.Addrs()[listener])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// send writes one request and returns the answer, or the error of reading it.
func send(c net.Conn, req kmsg.Request, version int16) (kmsg.Response, error) {
	req.SetVersion(version)
	body := req.AppendTo(nil)
	h := wire.RequestHeader{Key: req.Key(), Version: version, Correlation: 7, ClientID: []byte("raw")}
	if _, err := c.Write(append(wire.AppendRequest(nil, h, len(body)), body...)); err != nil {
		return nil, err
	}
	frame, err := wire.NewReader(c).Next(1 << 20)
	if err != nil {
		return nil, err
	}
	corr, rest, err := wire.ParseResponse(frame, req.Key(), version)
	if err != nil || corr != 7 {
		return nil, errors.Join(err, errors.New("wrong correlation id"))
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	return resp, resp.ReadFrom(rest)
}

// login authenticates with PLAIN.
func login(c net.Conn, user string) error {
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = "PLAIN"
	if _, err := send(c, h, 1); err != nil {
		return err
	}
	a := kmsg.NewPtrSASLAuthenticateRequest()
	a.SASLAuthBytes = []byte("\x00" + user + "\x00" + password)
	resp, err := send(c, a, 2)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.SASLAuthenticateResponse).ErrorCode)
}

// closedWithout reads until the server closes, and fails if it says anything.
func closedWithout(t *testing.T, c net.Conn) {
	t.Helper()
	rest, err := io.ReadAll(c)
	if len(rest) > 0 || isTimeout(err) {
		t.Errorf("the server sent %q, %v; want it to close silently", rest, err)
	}
}

// logs waits for a line with the reason: it is written as the connection ends.
func (r *rig) logs(reason string) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if strings.Contains(r.log.String(), "reason="+reason) {
			return
		}
		<-time.After(time.Millisecond)
	}
	r.t.Errorf("no line with reason=%s in the log:\n%s", reason, r.log)
}

func TestFirstByte(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Listeners = append(c.Listeners, Listener{Address: "127.0.0.1:0", Node: AnyNode, Ports: c.Listeners[0].Ports})
	})
	for name, test := range map[string]struct {
		plaintextPort bool
		send          string
		reason        string
	}{
		"kafka on the TLS port":      {false, "\x00\x00\x00\x10\x00\x12\x00\x03", reasonPlaintextOnTLS},
		"http on the TLS port":       {false, "GET / HTTP/1.1\r\n\r\n", reasonHTTP},
		"garbage on the TLS port":    {false, "\xff\xfe\xfd", reasonPlaintextOnTLS},
		"TLS on the plaintext port":  {true, "\x16\x03\x01\x02\x00\x01", reasonTLSOnPlaintext},
		"http on the plaintext port": {true, "POST / HTTP/1.1\r\n\r\n", reasonHTTP},
		"a huge frame":               {true, "\x7f\xff\xff\xff", reasonFrameSize},
	} {
		t.Run(name, func(t *testing.T) {
			addr := r.srv.Addrs()[0]
			if test.plaintextPort {
				addr = r.srv.Addrs()[4]
			}
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(c, test.send)
			closedWithout(t, c)
			r.logs(test.reason)
		})
	}
}

func TestBeforeAuthentication(t *testing.T) {
	r := newRig(t)
	raw := func(b []byte) func(net.Conn) error {
		return func(c net.Conn) error { _, err := c.Write(b); return err }
	}
	frame := func(h wire.RequestHeader, body string) []byte {
		return append(wire.AppendRequest(nil, h, len(body)), body...)
	}
	for name, test := range map[string]struct {
		do     func(net.Conn) error
		reason string
	}{
		"metadata first":                 {raw(frame(wire.RequestHeader{Key: 3, Version: 1}, "\x00\x00\x00\x00")), reasonSASLFirst},
		"unknown key":                    {raw(frame(wire.RequestHeader{Key: 9999}, "")), reasonUnsupported},
		"negative key":                   {raw(frame(wire.RequestHeader{Key: -1, Version: -1}, "")), reasonUnsupported},
		"too large":                      {raw(binary.BigEndian.AppendUint32(nil, preAuthFrame+1)), reasonFrameSize},
		"negative size":                  {raw([]byte{0x80, 0, 0, 0}), reasonFrameSize},
		"short frame":                    {raw([]byte{0, 0, 0, 5, 0, 18, 0, 0, 0}), reasonMalformed},
		"cut client id":                  {raw([]byte{0, 0, 0, 10, 0, 17, 0, 1, 0, 0, 0, 1, 0x7f, 0xff}), reasonMalformed},
		"cut mechanism":                  {raw(frame(wire.RequestHeader{Key: 17, Version: 1}, "\x00\x10PL")), reasonMalformed},
		"authenticate without handshake": {raw(frame(wire.RequestHeader{Key: 36, Version: 0}, "\x00\x00\x00\x00")), reasonSASLFirst},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(0, "")
			if err := test.do(c); err != nil {
				t.Fatal(err)
			}
			if name == "short frame" { // the rest never comes
				_ = c.(*tls.Conn).CloseWrite()
			}
			closedWithout(t, c)
			if name != "short frame" {
				r.logs(test.reason)
			}
		})
	}
}

func TestWrongMechanismIsToldWhatThereIs(t *testing.T) {
	r := newRig(t)
	c := r.dial(0, "")
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = "GSSAPI"
	resp, err := send(c, h, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := resp.(*kmsg.SASLHandshakeResponse)
	if got.ErrorCode != kerr.UnsupportedSaslMechanism.Code || len(got.SupportedMechanisms) != 3 {
		t.Errorf("%+v", got)
	}
	closedWithout(t, c)
	r.logs(reasonMechanism)
}

func TestApiVersions(t *testing.T) {
	r := newRig(t)
	c := r.dial(0, "")
	// An unknown version is answered in v0 with what there is.
	h := wire.RequestHeader{Key: 18, Version: 99, Correlation: 7}
	if _, err := c.Write(wire.AppendRequest(nil, h, 0)); err != nil {
		t.Fatal(err)
	}
	frame, err := wire.NewReader(c).Next(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(frame[4:]); err != nil || resp.ErrorCode != kerr.UnsupportedVersion.Code || len(resp.ApiKeys) != 1 {
		t.Fatalf("%+v, %v", resp, err)
	}
	// A known one lists the table, and nothing beside it.
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
	full, err := send(c, req, 4)
	if err != nil {
		t.Fatal(err)
	}
	said := map[int16][2]int16{}
	for _, k := range full.(*kmsg.ApiVersionsResponse).ApiKeys {
		said[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	if said[0] != [2]int16{0, 13} || said[1] != [2]int16{4, 18} || said[24][1] != 3 {
		t.Errorf("produce %v, fetch %v, add partitions %v", said[0], said[1], said[24])
	}
	for _, hidden := range []int16{4, 27, 52, 58, 71, 72, 83} {
		if v, ok := said[hidden]; ok {
			t.Errorf("%s is advertised: %v", kmsg.NameForKey(hidden), v)
		}
	}
	req.ClientSoftwareName = "not a name"
	bad, err := send(c, req, 4)
	if err != nil || bad.(*kmsg.ApiVersionsResponse).ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("bad software name: %+v, %v", bad, err)
	}
}

func TestAfterAuthentication(t *testing.T) {
	r := newRig(t)
	for name, test := range map[string]struct {
		frame  []byte
		reason string
	}{
		"key not in the table": {frame(52, 0, nil), reasonUnsupported},
		"produce v2":           {frame(0, 2, []byte("\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")), reasonUnsupported},
		"garbage metadata":     {frame(3, 9, []byte("\xff\xff\xff\xff\x0f")), reasonMalformed},
		"trailing bytes":       {frame(12, 0, []byte("\x00\x01g\x00\x00\x00\x01\x00\x01mxx")), reasonMalformed},
		"large metadata":       {[]byte{0x00, 0x90, 0x00, 0x00, 0x00, 0x03, 0x00, 0x09}, reasonFrameSize},
		"over the limit":       {[]byte{0x7f, 0x00, 0x00, 0x00}, reasonFrameSize},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(0, "")
			if err := login(c, "u@i-a"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(test.frame); err != nil {
				t.Fatal(err)
			}
			closedWithout(t, c)
			r.logs(test.reason)
		})
	}
	// And nobody else has noticed.
	roundTrip(t, r.client("a", kgo.ConsumeTopics("calm")), "calm", "a", 10)
}

func frame(key, version int16, body []byte) []byte {
	return append(wire.AppendRequest(nil, wire.RequestHeader{Key: key, Version: version}, len(body)), body...)
}

func TestEndpointAndNameMustAgree(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		sni, user string
		ok        bool
	}{
		{"", "u@i-a", true},
		{"", "u", false},
		{"", "nobody@i-a", false},
		{"", "u@i-none", false},
		{"i-a.kafka.localhost", "u", true},
		{"i-a.kafka.localhost", "u@i-a", true},
		{"b1-i-a.kafka.localhost", "u", true},
		{"i-a.kafka.localhost", "u@i-b", false},
		{"i-none.kafka.localhost", "u", false},
	} {
		err := login(r.dial(0, test.sni), test.user)
		if (err == nil) != test.ok {
			t.Errorf("%s at %q: %v", test.user, test.sni, err)
		}
		if !test.ok && !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s at %q: %v, want the one error there is", test.user, test.sni, err)
		}
	}
}

func TestHandshakeV0(t *testing.T) {
	r := newRig(t)
	c := r.dial(0, "")
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = "PLAIN"
	if _, err := send(c, h, 0); err != nil {
		t.Fatal(err)
	}
	token := "\x00u@i-a\x00" + password
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c, answer); err != nil || binary.BigEndian.Uint32(answer) != 0 {
		t.Fatalf("answer %x, %v", answer, err)
	}
	if _, err := send(c, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Error(err)
	}
}

func TestSlowHandshakeIsClosed(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	c, err := net.Dial("tcp", r.srv.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	closedWithout(t, c)
	r.logs(reasonHandshakeSlow)
}

func TestTooManyHandshakes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxHandshakes = 1 })
	held := r.dial(0, "") // TLS done: it has the only place
	c, err := net.Dial("tcp", r.srv.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	closedWithout(t, c)
	if err := login(held, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	// Authenticated connections do not count. The place is given back after the
	// answer that the client has seen.
	eventually(t, "another client may log in", func() bool { return r.srv.lobby.len() == 0 })
	if err := login(r.dial(0, ""), "u@i-b"); err != nil {
		t.Error(err)
	}
}

func TestRequestThatStopsIsClosed(t *testing.T) {
	r := newRig(t, func(c *Config) { c.FrameGrace, c.UpstreamIdle = 50*time.Millisecond, 20*time.Millisecond })
	c, quiet := r.dial(0, ""), r.dial(0, "")
	for _, c := range []net.Conn{c, quiet} {
		if err := login(c, "u@i-a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte{0, 0, 0, 100, 0, 0, 0, 9, 0, 0}); err != nil { // Produce v9, 6 of 100 bytes
		t.Fatal(err)
	}
	closedWithout(t, c)
	r.logs(reasonSlowFrame)
	// One that waits between two requests may wait.
	if _, err := send(quiet, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Error(err)
	}
}
